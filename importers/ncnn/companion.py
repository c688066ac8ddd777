"""The two files of an NCNN model: which is which, and the other one found beside the one that is given."""

from __future__ import annotations

import struct
from pathlib import Path

from ..errors import InputError

MAGIC = 7767517
HALF_TAG = struct.pack("<I", 0x01306B47)  # in front of an array of half-precision numbers
_TEXT_MAGIC = str(MAGIC).encode()
_BINARY_MAGIC = struct.pack("<i", MAGIC)
# What the names of the two may end in: NCNN's own tools, its optimiser and pnnx all leave the rest alone.
_PARAM_SUFFIXES = (".param.bin", ".param")
_WEIGHTS_SUFFIX = ".bin"


def is_param(path: Path) -> bool:
    """Whether the file is the network: a .param, text or binary."""
    head = _head(path)
    return head.startswith(_BINARY_MAGIC) or head.split(maxsplit=1)[:1] == [_TEXT_MAGIC]


def is_text(param: Path) -> bool:
    """Of a network."""
    return not _head(param).startswith(_BINARY_MAGIC)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()


def has_tag(path: Path) -> bool:
    """Whether the file starts as weights of half precision do."""
    with path.open("rb") as file:
        return file.read(4) == HALF_TAG


def param_beside(weights: Path) -> Path | None:
    """The network whose name is that of the weights, None when there is none."""
    stem = weights.name.removesuffix(_WEIGHTS_SUFFIX)
    named = (weights.with_name(stem + suffix) for suffix in _PARAM_SUFFIXES[::-1])
    return next((path for path in named if path.is_file() and path != weights and is_param(path)), None)


def find_pair(path: Path, companion: Path | None) -> tuple[Path, Path]:
    """(network, weights) for the file given and, maybe, its companion.

    Raises InputError when both are of the same kind or the other one cannot be found.
    """
    if companion is not None:
        return _told_apart(path, companion)
    if is_param(path):
        return path, _weights_beside(path)
    param = param_beside(path)
    if param is None:
        raise InputError(f"{path}: these are an NCNN network's weights; name its .param with --companion")
    return param, path


def _told_apart(path: Path, companion: Path) -> tuple[Path, Path]:
    if not companion.is_file():
        raise InputError(f"--companion names no file: {companion}")
    if is_param(path) == is_param(companion):
        kind = "networks (.param)" if is_param(path) else "files of weights (.bin)"
        raise InputError(f"expected one network (.param) and its weights (.bin), found two {kind}: {path}, {companion}")
    return (path, companion) if is_param(path) else (companion, path)


def _weights_beside(param: Path) -> Path:
    stem = next((param.name.removesuffix(end) for end in _PARAM_SUFFIXES if param.name.endswith(end)), param.stem)
    named = param.with_name(stem + _WEIGHTS_SUFFIX)
    if named.is_file() and named != param:
        return named
    found = sorted(path for path in param.parent.glob("*.bin") if path != param and not is_param(path))
    if len(found) == 1:
        return found[0]
    seen = f"several lie beside it: {', '.join(path.name for path in found)}" if found else "none lies beside it"
    raise InputError(f"{param}: expected a .bin with the weights, but {seen}; name it with --companion")
