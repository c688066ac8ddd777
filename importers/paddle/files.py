"""Which files a PaddlePaddle model is: its program and, in one file or in one each, its weights."""

from __future__ import annotations

import re
import struct
from pathlib import Path

from ..errors import InputError
from ..wire import BYTES, start_of_first, top_level_fields

HEADER = struct.Struct("<IQIi")  # of a weight: version, levels of sequences, version, length of the description
MOST_DESCRIPTION = 1 << 10  # bytes of what a weight says of itself
_PROGRAM_FIELDS = {(1, BYTES), (4, BYTES), (5, BYTES)}
_PIR = re.compile(r'\s*\{\s*"base_code"\s*:\s*\{\s*"magic"\s*:\s*"pir"')
_HEAD = 256  # bytes
_PROGRAM, _PIR_PROGRAM, _WEIGHTS = ".pdmodel", ".json", ".pdiparams"
_OLD_PROGRAM, _OLD_WEIGHTS = "__model__", ("__params__", "params", "weights")
_PROGRAMS = (f"*{_PROGRAM}", f"*{_PIR_PROGRAM}", _OLD_PROGRAM)  # in this order


def is_program(path: Path) -> bool:
    """Bare protobuf of blocks, which start with their number and their parent's; or PaddlePaddle 3's JSON."""
    with path.open("rb") as file:
        nested = start_of_first(file.read(16))
    starts = nested[:1] == b"\x08" and nested[2:3] == b"\x10"
    return (starts and top_level_fields(path).keys() <= _PROGRAM_FIELDS) or is_pir(path)


def is_pir(path: Path) -> bool:
    """JSON that says first that it is a program of PaddlePaddle 3."""
    with path.open("rb") as file:
        return _PIR.match(file.read(_HEAD).decode("utf-8", "ignore")) is not None


def is_weights(path: Path) -> bool:
    """A tensor of version 0 without sequences, and the start of its description."""
    with path.open("rb") as file:
        head = file.read(HEADER.size + 1)
    if len(head) <= HEADER.size:
        return False
    *zeros, length = HEADER.unpack(head[:-1])
    return not any(zeros) and 0 < length <= MOST_DESCRIPTION and head[-1:] == b"\x08"


def program_file(path: Path) -> Path:
    """The program of a folder that has one. Any other path is returned as it is."""
    if not path.is_dir():
        return path
    for pattern in _PROGRAMS:
        found = [file for file in sorted(path.glob(pattern)) if file.is_file() and is_program(file)]
        if found:
            return found[0] if len(found) == 1 else path
    return path


def find_pair(path: Path, companion: Path | None) -> tuple[Path, Path | None]:
    """(the program, its weights: a file, a folder of a file each, or None). `path` is either, or their folder.

    Raises InputError when the program is missing, or the two files are of one kind.
    """
    path = program_file(path)
    if not (companion is None or companion.exists()):
        raise InputError(f"no such file: {companion}")
    if is_program(path):
        if companion is not None and companion.is_file() and not is_weights(companion):
            raise InputError(f"{companion}: expected the weights of {path.name} (.pdiparams), found other content")
        return path, companion or _weights_beside(path)
    program = companion or _program_beside(path)
    if not program.is_file() or not is_program(program):
        raise InputError(f"{program}: expected the program of {path.name} (.pdmodel, .json), found other content")
    return program, path


def _weights_beside(program: Path) -> Path | None:
    same = program.with_suffix(_WEIGHTS)
    if program.suffix in (_PROGRAM, _PIR_PROGRAM):
        return same if same.is_file() else None
    places = (same, *(program.with_name(name) for name in _OLD_WEIGHTS))
    return next((place for place in places if place.is_file() and place != program), program.parent)


def _program_beside(weights: Path) -> Path:
    same = [weights.with_suffix(suffix) for suffix in (_PROGRAM, _PIR_PROGRAM)]
    found = next((place for place in (*same, weights.with_name(_OLD_PROGRAM)) if place.is_file()), None)
    if found is None:
        raise InputError(
            f"{weights}: holds only weights, and no program ({same[0].name}) lies beside it; name it with --companion"
        )
    return found
