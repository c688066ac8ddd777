"""An HDF5 file as plain data: its attributes, and its arrays by path. Nothing outside the file is ever opened.

HDF5 has ways to point elsewhere (links, virtual datasets, external storage) and to claim more numbers than it holds.
Keras writes none of them, so whatever has one is refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import InputError, MissingExtra

MAGIC = b"\x89HDF\r\n\x1a\n"
_MOST_MEMBERS = 200_000  # groups and arrays of one file
_DEEPEST = 64  # groups in each other
_RATIO = 16  # arrays together against the file: compressed weights are never this much smaller
_SPARE = 1 << 24  # bytes that may be read whatever the file's size

# What h5py raises on a damaged file, besides InputError.
DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, OverflowError, MemoryError)


@contextmanager
def open_hdf5(source: Path | BinaryIO, where: str, size: int) -> Iterator[Hdf5]:
    """The file, or the `size` bytes of one, open while its arrays are read; `where` is what messages call it.

    Raises InputError when it is damaged or points outside itself, MissingExtra without h5py.
    """
    if find_spec("h5py") is None:
        raise MissingExtra("reading Keras files", "keras")
    import h5py

    try:
        file = h5py.File(source, "r")
    except DAMAGE as error:
        raise InputError(f"{where}: expected an HDF5 file, but it is truncated or damaged ({error})") from None
    with file:
        yield Hdf5(file, where, size)


class Hdf5:
    """An open file. Paths have forward slashes, also where Windows wrote the other ones."""

    def __init__(self, file: Any, where: str, size: int) -> None:
        """`size`: of the file in bytes."""
        self.where = where
        self._groups: dict[str, Any] = {}
        self._arrays: dict[str, Any] = {}
        self._budget = _RATIO * size + _SPARE  # bytes that may still be read
        self._counted: set[str] = set()
        try:
            self._walk(file)
        except InputError:
            raise
        except DAMAGE as error:
            raise self._damaged(error) from None

    def _walk(self, file: Any) -> None:
        import h5py

        pending = [("", file, 0)]
        while pending:
            path, group, depth = pending.pop()
            self._groups[path] = group
            if depth > _DEEPEST or len(self._groups) + len(self._arrays) > _MOST_MEMBERS:
                raise InputError(f"{self.where}: expected a Keras file, but its groups are nested without end")
            for name in group:
                inner = f"{path}/{name}".replace("\\", "/").strip("/")
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise InputError(f"{self.where}: {inner} is a link, which Keras never writes; it is not followed")
                member = group[name]
                if isinstance(member, h5py.Group):
                    pending.append((inner, member, depth + 1))
                elif isinstance(member, h5py.Dataset):
                    self._arrays[inner] = member

    def __contains__(self, path: object) -> bool:
        return path in self._arrays

    def has_group(self, path: str) -> bool:
        """Whether there is a group; "" is the file itself."""
        return path in self._groups

    def arrays_in(self, path: str) -> list[str]:
        """Paths of the arrays directly in a group, those called by numbers in their order."""
        start = f"{path}/"
        names = [name[len(start) :] for name in self._arrays if name.startswith(start)]
        direct = [name for name in names if "/" not in name]
        return [start + name for name in sorted(direct, key=lambda name: (not name.isdigit(), name.zfill(9)))]

    def text(self, attribute: str, path: str = "") -> str | None:
        """A text attribute of the file or one of its groups, or None."""
        if path not in self._groups:
            return None
        try:
            value = self._groups[path].attrs.get(attribute)
        except DAMAGE as error:
            raise self._damaged(error) from None
        return None if value is None else _as_text(value)

    def names(self, path: str, attribute: str) -> list[str] | None:
        """A list of names that is an attribute of a group, or None. Keras cuts long lists: NAME0, NAME1 …"""
        found: list[str] = []
        try:
            attributes = self._groups[path].attrs
            parts = [attribute] if attribute in attributes else []
            while attribute not in attributes and f"{attribute}{len(parts)}" in attributes:
                parts.append(f"{attribute}{len(parts)}")
            if not parts:
                return None
            for part in parts:
                found += [_as_text(name) for name in np.asarray(attributes[part]).ravel()]
        except DAMAGE as error:
            raise self._damaged(error) from None
        return found

    def shape(self, path: str) -> tuple[int, ...]:
        """Of an array, without reading it."""
        return tuple(self._arrays[path].shape or ())

    def read(self, path: str) -> np.ndarray:
        """An array, float32.

        Raises InputError when it lies elsewhere, holds no numbers or claims more than the file can hold.
        """
        array = self._arrays[path]
        try:
            self._check(path, array)
            value = array[()]
            if array.attrs.get("dtype") == "bfloat16":
                return _from_bfloat16(value)
        except InputError:
            raise
        except DAMAGE as error:
            raise self._damaged(error) from None
        return np.asarray(value).astype(np.float32, copy=False)

    def _check(self, path: str, array: Any) -> None:
        if array.is_virtual or array.external:
            raise InputError(f"{self.where}: the numbers of {path} lie in another file; that is not opened")
        half = array.dtype.itemsize == 2 and array.attrs.get("dtype") == "bfloat16"
        if array.shape is None or (array.dtype.kind not in "fiub" and not half):
            raise InputError(f"{self.where}: expected numbers in {path}, found {array.dtype}")
        if path not in self._counted:
            self._counted.add(path)
            self._budget -= math.prod(array.shape) * array.dtype.itemsize
        if self._budget < 0:
            raise InputError(f"{self.where}: {path} claims {list(array.shape)} numbers, more than the file can hold")

    def _damaged(self, error: BaseException) -> InputError:
        return InputError(f"{self.where}: expected a Keras file, but it is truncated or damaged ({error})")


def _as_text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


def _from_bfloat16(value: Any) -> np.ndarray:
    bits = np.frombuffer(np.asarray(value).tobytes(), "<u2").astype("<u4") << 16
    return bits.view("<f4").reshape(np.shape(value)).astype(np.float32, copy=False)
