"""PREFIX-0000.params: arrays by name, in all forms that MXNet's NDArray has been written in.

A list of arrays, then a list of names. An array of the first form starts with its number of axes; later ones start
with a magic number. All numbers are little-endian.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import InputError

MAGIC = struct.pack("<QQ", 0x112, 0)
_V1, _V2, _V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_TYPES = ("f4", "f8", "f2", "u1", "i4", "i1", "i8", "?", "i2", "u2", "u4", "u8")  # by their number
_STORAGES = {1: "row_sparse", 2: "csr"}
_MOST_AXES = 32
_LARGEST_SIDE = 1 << 40
_LONGEST_NAME = 1 << 12  # bytes


def read_params(path: Path) -> dict[str, np.ndarray]:
    """Name -> array, "arg:" and "aux:" in front of names as the file has them.

    Raises InputError when the file is damaged, cut off or holds what is no plain array.
    """
    with path.open("rb") as file:
        reader = _Reader(path, file)
        if file.read(len(MAGIC)) != MAGIC:
            raise InputError(f"{path}: expected MXNet's parameters, found another file")
        arrays = [reader.array() for _ in range(reader.count("arrays", 4))]
        names = [reader.name() for _ in range(reader.count("names", 8))]
    if len(names) != len(arrays):
        raise InputError(f"{path}: holds {len(arrays)} arrays and {len(names)} names; expected a name for each")
    return {name: array for name, array in zip(names, arrays, strict=True) if array is not None}


class _Reader:
    """Reads numbers and arrays, never more than the file holds."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file
        self._size = path.stat().st_size

    def count(self, what: str, least: int) -> int:
        """Of entries of at least so many bytes each."""
        found = int(self._numbers("Q", 1)[0])
        left = self._size - self._file.tell()
        if found * least > left:
            raise InputError(f"{self._path}: claims {found} {what}, the {left} bytes behind cannot hold them; damaged")
        return found

    def name(self) -> str:
        """One name, with its length in front."""
        length = int(self._numbers("Q", 1)[0])
        if length > _LONGEST_NAME:
            raise InputError(f"{self._path}: a name claims {length} bytes; the file is damaged")
        return self._bytes(length, "a name").decode("utf-8", "replace")

    def array(self) -> np.ndarray | None:
        """One array; None for a place that was left empty."""
        magic = int(self._numbers("I", 1)[0])
        if magic in (_V2, _V3):
            storage = int(self._numbers("i", 1)[0])
            if storage in _STORAGES:
                raise InputError(f"{self._path}: holds a {_STORAGES[storage]} array; expected dense ones only")
            shape = self._shape(int(self._numbers("i", 1)[0]), "q")
            is_empty = not shape if magic == _V2 else shape is None or -1 in shape
        else:
            shape = self._shape(int(self._numbers("I", 1)[0]), "q") if magic == _V1 else self._shape(magic, "I")
            is_empty = not shape
        return None if is_empty or shape is None else self._content(shape)

    def _shape(self, axes: int, code: str) -> tuple[int, ...] | None:
        if axes == -1:
            return None
        if not 0 <= axes <= _MOST_AXES:
            raise InputError(f"{self._path}: an array claims {axes} axes; the file is damaged")
        return tuple(int(side) for side in self._numbers(code, axes))

    def _content(self, shape: tuple[int, ...]) -> np.ndarray:
        _, _, kind = self._numbers("i", 3)  # the first two: the device it lay on
        if not 0 <= kind < len(_TYPES):
            raise InputError(f"{self._path}: an array's numbers are of type {kind}; expected 0 to {len(_TYPES) - 1}")
        dtype = np.dtype(_TYPES[kind]).newbyteorder("<")
        if not all(0 < side < _LARGEST_SIDE for side in shape):
            raise InputError(f"{self._path}: an array claims the shape {list(shape)}; the file is damaged")
        raw = self._bytes(math.prod(shape) * dtype.itemsize, f"an array of shape {'x'.join(map(str, shape))}")
        return np.frombuffer(raw, dtype).reshape(shape)

    def _numbers(self, code: str, count: int) -> tuple[int, ...]:
        form = f"<{count}{code}"
        return struct.unpack(form, self._bytes(struct.calcsize(form), "a number"))

    def _bytes(self, length: int, what: str) -> bytes:
        start, left = self._file.tell(), self._size - self._file.tell()
        if length > left:
            raise InputError(
                f"{self._path}: is cut off or damaged: {what} at byte {start} claims {length} bytes, {left} are left"
            )
        return self._file.read(length)
