"""The two files of a Darknet network: which is which, and the other one found beside the one that is given."""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError

_SUFFIXES = (".cfg", ".weights")


def is_cfg(path: Path) -> bool:
    """A cfg is text; the first byte of weights is zero."""
    with path.open("rb") as file:
        return b"\0" not in file.read(256)


def find_pair(path: Path, companion: Path | None) -> tuple[Path, Path]:
    """(cfg, weights) for the file given and, maybe, its companion.

    Raises InputError when both are of the same kind or the other one is not found.
    """
    if companion is None:
        other = _beside(path, _SUFFIXES[is_cfg(path)])
        return (path, other) if is_cfg(path) else (other, path)
    if not companion.is_file():
        raise InputError(f"--companion names no file: {companion}")
    if is_cfg(path) == is_cfg(companion):
        kind = "cfgs (text)" if is_cfg(path) else "weights (binary)"
        raise InputError(f"expected one cfg and one file of weights, found two {kind}: {path}, {companion}")
    return (path, companion) if is_cfg(path) else (companion, path)


def _beside(path: Path, suffix: str) -> Path:
    """The namesake, else the only one whose name begins or goes on like it, else the only one.

    Darknet itself saves yolo_1000.weights, yolo_final.weights … for yolo.cfg.
    """
    found = sorted(path.parent.glob(f"*{suffix}"))
    same = path.with_suffix(suffix)
    alike = [other for other in found if path.stem.startswith(other.stem) or other.stem.startswith(path.stem)]
    if same in found:
        return same
    for chosen in (alike, found):
        if len(chosen) == 1:
            return chosen[0]
    seen = f"several lie beside it: {', '.join(other.name for other in found)}" if found else "none lies beside it"
    kind = "weights" if suffix == _SUFFIXES[1] else "its cfg, the network,"
    raise InputError(f"{path}: expected {kind} in a file *{suffix}, but {seen}; name it with --companion")
