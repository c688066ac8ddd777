"""Weights to arrays: one file of all tensors in the order of their names, or a folder of one file each.

Each tensor stands as: version (4 bytes, 0), levels of sequences (8 bytes, none for weights), version (4 bytes, 0),
length of its description (4 bytes), the description (type and dims), its numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from google.protobuf.message import DecodeError

from ..data_files import data_file
from ..errors import InputError
from .files import HEADER, MOST_DESCRIPTION
from .reader import NUMBERS, Variable
from .wire_schema import enum_name, message_class


def read_weights(files: Path | None, variables: Sequence[Variable]) -> dict[str, np.ndarray]:
    """Of `variables` in their order; `files`: a file of all of them, or the folder of a file each.

    Raises InputError when they are not there, cut short or of other shapes.
    """
    if not variables:
        return {}
    if files is None:
        raise InputError(
            "the program's weights are missing: expected a .pdiparams file beside it; name it with --companion"
        )
    if files.is_dir():
        return {each.name: _of_its_own_file(files, each) for each in variables}
    stored = _Stored(files)
    weights = {each.name: stored.tensor(each) for each in variables}
    stored.check_end(len(variables))
    return weights


def _of_its_own_file(folder: Path, variable: Variable) -> np.ndarray:
    stored = _Stored(data_file("a weight", variable.name, folder))
    value = stored.tensor(variable)
    stored.check_end(1)
    return value


class _Stored:
    """One file of tensors, read from its start to its end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._data = path.read_bytes()
        self._at = 0

    def tensor(self, variable: Variable) -> np.ndarray:
        """The next one, which has to be what the program says of `variable`."""
        name = variable.name
        header = self._take(HEADER.size, name, np.dtype("u1"))
        version, levels, tensor_version, length = HEADER.unpack(header.tobytes())
        if version or levels or tensor_version or not 0 < length <= MOST_DESCRIPTION:
            raise InputError(f"{self._path}: expected the weight {name} at byte {self._at}, found other content")
        message = message_class("TensorDescription")()
        try:
            message.ParseFromString(self._take(length, name, np.dtype("u1")).tobytes())
        except DecodeError:
            raise InputError(f"{self._path}: the description of the weight {name} is damaged") from None
        dtype, shape = enum_name("Kind", message.data_type), tuple(message.dims)
        if dtype != variable.dtype or not _fits(shape, variable.shape):
            raise InputError(
                f"{self._path}: expected the weight {name} as {variable.dtype} {list(variable.shape)}, found {dtype} "
                f"{list(shape)}; do the two files belong together?"
            )
        return self._take(math.prod(shape), name, _numpy(dtype, name)).reshape(shape)

    def check_end(self, count: int) -> None:
        """Raise InputError when the file goes on."""
        if self._at != len(self._data):
            raise InputError(
                f"{self._path}: expected {count} weights in {self._at} bytes, found {len(self._data)} bytes; do the "
                "two files belong together?"
            )

    def _take(self, count: int, name: str, dtype: np.dtype) -> np.ndarray:
        end = self._at + count * dtype.itemsize
        if end > len(self._data):
            raise InputError(
                f"{self._path}: cut short in the weight {name}: expected at least {end} bytes, found {len(self._data)}"
            )
        taken = np.frombuffer(self._data, dtype, count, self._at)
        self._at = end
        return taken


def _fits(shape: Sequence[int], declared: Sequence[int]) -> bool:
    return len(shape) == len(declared) and all(
        size >= 0 and claim in (size, -1) for size, claim in zip(shape, declared, strict=True)
    )


def _numpy(dtype: str, name: str) -> np.dtype:
    if dtype not in NUMBERS:
        raise InputError(f"the weight {name} is stored as {dtype}, which is not supported")
    return np.dtype(dtype).newbyteorder("<")
