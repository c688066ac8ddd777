"""The two files of a Caffe model: which is which, and the other one found beside the one that is given."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path

from ..errors import InputError

_TEXT_CONTROLS = frozenset(b"\t\n\r\f\v")


def find_pair(path: Path, companion: Path | None) -> tuple[Path | None, Path]:
    """(prototxt or None, caffemodel) for the file given and, maybe, its companion.

    Raises InputError when both are of the same kind or no caffemodel can be found.
    """
    if companion is not None:
        if not companion.is_file():
            raise InputError(f"--companion names no file: {companion}")
        if is_text(path) == is_text(companion):
            kind = "prototxts (text)" if is_text(path) else "caffemodels (binary)"
            raise InputError(f"expected one prototxt and one caffemodel, found two {kind}: {path}, {companion}")
        return (path, companion) if is_text(path) else (companion, path)
    if is_text(path):
        return path, _caffemodel_beside(path)
    return _prototxt_beside(path), path


def is_text(path: Path) -> bool:
    """A prototxt holds no control characters, a caffemodel soon does."""
    with path.open("rb") as file:
        head = file.read(4096)
    return not any(byte < 32 and byte not in _TEXT_CONTROLS for byte in head)


def _caffemodel_beside(prototxt: Path) -> Path:
    found = sorted(prototxt.parent.glob("*.caffemodel"))
    chosen = _closest(prototxt, found)
    if chosen is None:
        seen = f"several lie beside it: {', '.join(path.name for path in found)}" if found else "none lies beside it"
        raise InputError(f"{prototxt}: expected a caffemodel with the weights, but {seen}; name it with --companion")
    return chosen


def _prototxt_beside(caffemodel: Path) -> Path | None:
    """None when there is none; the network is then rebuilt from the caffemodel.

    Raises InputError when several fit equally well.
    """
    found = sorted(path for path in caffemodel.parent.glob("*.prototxt") if "solver" not in path.name.lower())
    if not found:
        return None
    same = caffemodel.with_suffix(".prototxt")
    if same in found:
        return same
    deploy = [path for path in found if "deploy" in path.name.lower()]
    chosen = _closest(caffemodel, deploy or found)
    if chosen is None:
        names = ", ".join(path.name for path in deploy or found)
        raise InputError(f"{caffemodel}: several prototxts lie beside it ({names}); choose one with --companion")
    return chosen


def _closest(path: Path, candidates: Iterable[Path]) -> Path | None:
    """The only candidate, or the one whose name begins most like `path`'s; None when that is no one's or several'."""
    candidates = list(candidates)
    if len(candidates) == 1:
        return candidates[0]
    common = {other: _common_start(path.stem, other.stem) for other in candidates}
    best = max(common.values(), default=0)
    leading = [other for other, length in common.items() if length == best]
    return leading[0] if best > 2 and len(leading) == 1 else None


def _common_start(first: str, second: str) -> int:
    """How many characters two names begin with alike."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False)))
