"""An HDF5 file as plain data: its attributes, and its arrays by path. Nothing outside the file is ever opened.

HDF5 has ways to point elsewhere (links, virtual datasets, external storage) and to claim more numbers than it holds.
Keras writes none of them, so whatever has one is refused.
"""

from __future__ import annotations

import math
import mmap
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ..errors import InputError
from .hdf5_objects import (
    EXTERNAL_FILES,
    FILTERS,
    LAYOUT,
    LINK_INFO,
    SPACE,
    SYMBOLS,
    TYPE,
    UNDEFINED,
    Damaged,
    File,
    Header,
    Kind,
    parse_space,
    parse_type,
)

_MOST_MEMBERS = 200_000  # groups and arrays of one file
_DEEPEST = 64  # groups in each other
_RATIO = 16  # arrays together against the file: compressed weights are never this much smaller
_SPARE = 1 << 24  # bytes that may be read whatever the file's size
_DEFLATE, _SHUFFLE, _CHECKSUM = 1, 2, 3  # filters
_BROKEN = (Damaged, struct.error, IndexError, ValueError, zlib.error, OverflowError)


@contextmanager
def open_hdf5(source: Path | bytes, where: str) -> Iterator[Hdf5]:
    """The file, or the bytes of one, open while its arrays are read; `where` is what messages call it.

    Raises InputError when it is damaged or points outside itself.
    """
    opened = Hdf5(memoryview(source if isinstance(source, bytes) else _mapped(source)), where)
    try:
        yield opened
    finally:
        opened.close()


def _mapped(path: Path) -> mmap.mmap:
    """Unmapped when the last array is gone that looks into it."""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


class Hdf5:
    """An open file. Paths have forward slashes, also where Windows wrote the other ones."""

    def __init__(self, data: memoryview, where: str) -> None:
        self.where = where
        self._groups: dict[str, dict[str, list[str]]] = {}  # path -> its text attributes
        self._arrays: dict[str, Header] = {}
        self._budget = _RATIO * len(data) + _SPARE  # bytes that may still be read
        self._counted: set[str] = set()
        try:
            self._file = File(data)
            self._walk()
        except _BROKEN as error:
            raise self._refusal(error) from None

    def close(self) -> None:
        """Let go of the file's bytes."""
        self._file.data = memoryview(b"")

    def _walk(self) -> None:
        file = self._file
        pending = [("", file.header(file.root), 0)]
        while pending:
            path, group, depth = pending.pop()
            self._groups[path] = file.attributes(group)
            for name, address in file.members(group):
                inner = f"{path}/{name}".replace("\\", "/").strip("/")
                if depth > _DEEPEST or len(self._groups) + len(self._arrays) > _MOST_MEMBERS:
                    raise InputError(f"{self.where}: expected a Keras file, but its groups are nested without end")
                if address is None:
                    raise InputError(f"{self.where}: {inner} is a link, which Keras never writes; it is not followed")
                header = file.header(address)
                if header.first(SYMBOLS) is not None or header.first(LINK_INFO) is not None:
                    pending.append((inner, header, depth + 1))
                elif header.first(LAYOUT) is not None:
                    self._arrays[inner] = header

    def __contains__(self, path: object) -> bool:
        return path in self._arrays

    def has_group(self, path: str) -> bool:
        """Whether there is a group; "" is the file itself."""
        return path in self._groups

    def arrays_in(self, path: str, *, deep: bool = False) -> list[str]:
        """Paths of the arrays in a group, directly or `deep`, those called by numbers in their order."""
        start = f"{path}/"
        names = [name[len(start) :] for name in self._arrays if name.startswith(start)]
        direct = [name for name in names if deep or "/" not in name]
        return [start + name for name in sorted(direct, key=_in_order)]

    def text(self, attribute: str, path: str = "") -> str | None:
        """A text attribute of the file or one of its groups, or None."""
        return next(iter(self._groups.get(path, {}).get(attribute, ())), None)

    def names(self, path: str, attribute: str) -> list[str] | None:
        """A list of names that is an attribute of a group, or None. Keras cuts long lists: NAME0, NAME1 …"""
        attributes = self._groups.get(path, {})
        if attribute in attributes:
            return attributes[attribute]
        found, count = [], 0
        while f"{attribute}{count}" in attributes:
            found += attributes[f"{attribute}{count}"]
            count += 1
        return found if count else None

    def read(self, path: str) -> np.ndarray:
        """An array, float32.

        Raises InputError when it lies elsewhere, holds no numbers or claims more than the file can hold.
        """
        header = self._arrays[path]
        try:
            if EXTERNAL_FILES in header.messages or _layout(header)[:2] == b"\x04\x03":
                raise InputError(f"{self.where}: the numbers of {path} lie in another file; that is not opened")
            kind, sizes = parse_type(header.first(TYPE) or b""), parse_space(header.first(SPACE) or b"")
            if self._file.attributes(header).get("dtype") == ["bfloat16"] and kind.size == 2:
                kind = Kind(2, "bfloat16")
            if not kind.numbers or sizes is None:
                raise InputError(f"{self.where}: expected numbers in {path}, found something else")
            self._charge(path, sizes, kind)
            return _numbers(self._content(header, kind, sizes), kind).reshape(sizes)
        except InputError:
            raise
        except _BROKEN as error:
            raise self._refusal(error) from None

    def _charge(self, path: str, sizes: tuple[int, ...], kind: Kind) -> None:
        if path not in self._counted:
            self._counted.add(path)
            self._budget -= math.prod(sizes) * kind.size
        if self._budget < 0:
            raise InputError(f"{self.where}: {path} claims {list(sizes)} numbers, more than the file can hold")

    def _content(self, header: Header, kind: Kind, sizes: tuple[int, ...]) -> bytes | memoryview:
        layout = _layout(header)
        form, length = layout[1], math.prod(sizes) * kind.size
        if layout[0] not in (3, 4) or form > 2 or (layout[0] == 4 and form == 2):
            raise Damaged("an array is kept in a form of HDF5 that is not read (libver='latest')")
        if form == 0:
            content: bytes | memoryview = layout[4 : 4 + length]
        elif form == 1:
            (at,) = struct.unpack_from("<Q", layout, 2)
            if at == UNDEFINED and length:
                raise Damaged("an array has never been written")
            content = self._file.view(at, length) if length else b""
        else:
            content = self._chunks(header, kind, sizes)
        if len(content) != length:
            raise Damaged("an array is longer than what holds it")
        return content

    def _chunks(self, header: Header, kind: Kind, sizes: tuple[int, ...]) -> bytes:
        """An array that is cut into blocks of one size, each perhaps compressed; what has none is 0."""
        layout, rank = _layout(header), len(sizes)
        if layout[2] != rank + 1:
            raise Damaged("an array's blocks have other axes than it")
        (tree,) = struct.unpack_from("<Q", layout, 3)
        block = struct.unpack_from(f"<{rank}I", layout, 11)
        length, filters = math.prod(block) * kind.size, _filters(header)
        if not length or math.prod(block) > 8 * math.prod(sizes) + _SPARE:
            raise Damaged("an array's blocks are larger than it")
        whole = np.zeros(sizes, f"V{kind.size}")
        entries = () if tree == UNDEFINED else self._file.leaves(tree, 1, 8 + 8 * (rank + 1))
        for key, at in entries:
            stored, _, *start = struct.unpack(f"<II{rank}Q", key[: 8 + 8 * rank])
            part = _unfiltered(self._file.part(at, stored), filters, length, kind.size)
            values = np.frombuffer(part, f"V{kind.size}").reshape(block)
            if any(first >= size for first, size in zip(start, sizes, strict=True)):
                raise Damaged("a block lies outside of its array")
            fits = tuple(slice(min(size - first, side)) for first, size, side in zip(start, sizes, block, strict=True))
            there = tuple(slice(first, first + side) for first, side in zip(start, block, strict=True))
            whole[there] = values[fits]
        return whole.tobytes()

    def _refusal(self, error: BaseException) -> InputError:
        return InputError(f"{self.where}: expected a Keras file, but it is truncated or damaged ({error})")


def _in_order(path: str) -> list[tuple[bool, str]]:
    return [(not part.isdigit(), part.zfill(9)) for part in path.split("/")]


def _layout(header: Header) -> bytes:
    return header.first(LAYOUT) or b""


def _filters(header: Header) -> list[int]:
    """The filters that blocks went through, in order."""
    message = header.first(FILTERS)
    if message is None:
        return []
    version, count = message[0], message[1]
    at, found = 8 if version == 1 else 2, []
    for _ in range(count):
        number, name, _, values = struct.unpack_from("<HHHH", message, at)
        if version != 1:
            name, values = 0, struct.unpack_from("<H", message, at + 4)[0]
            at -= 2
        if number not in (_DEFLATE, _SHUFFLE, _CHECKSUM):
            raise Damaged(f"an array went through the filter {number}, which is not supported")
        at += 8 + name + 4 * (values + (values % 2 if version == 1 else 0))
        found.append(number)
    return found


def _unfiltered(content: bytes, filters: list[int], length: int, size: int) -> bytes:
    """A block of `length` bytes as it was before the filters."""
    for number in reversed(filters):
        if number == _CHECKSUM:
            content = content[:-4]
        elif number == _DEFLATE:
            content = zlib.decompressobj().decompress(content, length + 4)
        else:
            content = np.frombuffer(content, np.uint8).reshape(size, -1).T.tobytes()
    if len(content) != length:
        raise Damaged("a block holds fewer or more numbers than it should")
    return content


def _numbers(content: bytes | memoryview, kind: Kind) -> np.ndarray:
    if kind.numbers == "bfloat16":
        return (np.frombuffer(content, "<u2").astype("<u4") << 16).view("<f4").astype(np.float32, copy=False)
    return np.frombuffer(content, kind.numbers).astype(np.float32, copy=False)
