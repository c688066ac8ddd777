"""What an HDF5 file consists of: object headers and their messages, groups, heaps, types, as in its specification.

HDF5's own library crashes on damaged files, so it is not used: this reads the form that Keras writes (that of HDF5 1.6,
which h5py still writes unless told otherwise) with every offset checked, and names whatever else it meets.
https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

UNDEFINED = 2**64 - 1
MAGIC = b"\x89HDF\r\n\x1a\n"
# Types of messages.
SPACE, LINK_INFO, TYPE, LINK, EXTERNAL_FILES, LAYOUT, FILTERS, ATTRIBUTE, CONTINUATION, SYMBOLS, ATTRIBUTE_INFO = (
    0x01,
    0x02,
    0x03,
    0x06,
    0x07,
    0x08,
    0x0B,
    0x0C,
    0x10,
    0x11,
    0x15,
)
_NEWER = "in a form of HDF5 that is not read (libver='latest', or more than eight names beyond ASCII)"
_SHARED = 2  # flag of a message that is kept elsewhere
_READINGS, _SPARE, _CALL = 16, 1 << 26, 64  # see `File.part`
_MOST_BLOCKS = 4096  # of one object header; of one tree
_FIXED, _FLOAT, _STRING, _OPAQUE, _ENUM, _VARIABLE = 0, 1, 3, 5, 8, 9
_EXPONENTS = {2: 5, 4: 8, 8: 11}  # bytes of a number -> bits of its exponent in IEEE 754


class Damaged(ValueError):
    """The file contradicts itself, or has something that Keras never writes."""


@dataclass(frozen=True)
class Kind:
    """A type of element: `numbers` is NumPy's name of it, "bfloat16", or empty."""

    size: int
    numbers: str = ""
    text: str = ""  # "fixed" or "variable"


@dataclass
class Header:
    """An object: its messages by type."""

    messages: dict[int, list[bytes]] = field(default_factory=dict)

    def first(self, kind: int) -> bytes | None:
        """The first message of a type."""
        return next(iter(self.messages.get(kind, ())), None)


class File:
    """The bytes of a file, and how to find objects in them."""

    def __init__(self, data: memoryview) -> None:
        """Raises Damaged when it does not begin as HDF5 does."""
        self.data = data
        self._left = _READINGS * len(data) + _SPARE  # bytes that may still be looked at: no file is read so often
        self._heaps: dict[int, dict[int, tuple[int, int]]] = {}  # heap -> number of an object -> place and length
        if bytes(data[:8]) != MAGIC:
            raise Damaged("it does not begin as one")
        version = self.number(8, 1)
        if version in (0, 1):
            sizes, at = self.part(13, 2), 24 + 4 * version
            base, _, end, _, _, self.root = self.numbers(at, 6)
        elif version in (2, 3):
            sizes = self.part(9, 2)
            base, _, end, self.root = self.numbers(12, 4)
        else:
            raise Damaged(f"it is of version {version}")
        if sizes != b"\x08\x08" or base:
            raise Damaged("it is of a kind that Keras never writes")
        if end > len(data):
            raise Damaged(f"it says that it is {end} bytes long and is {len(data)}")

    def part(self, at: int, length: int) -> bytes:
        """Some bytes. Raises Damaged when they are outside the file."""
        return bytes(self.view(at, length))

    def view(self, at: int, length: int) -> memoryview:
        """The same, not copied."""
        if not 0 <= at <= at + length <= len(self.data):
            raise Damaged(f"something lies at {at}, outside of it")
        self._left -= length + _CALL
        if self._left < 0:
            raise Damaged("its parts refer to each other without end")
        return self.data[at : at + length]

    def number(self, at: int, length: int) -> int:
        """One number."""
        return int.from_bytes(self.part(at, length), "little")

    def numbers(self, at: int, count: int) -> tuple[int, ...]:
        """Numbers of eight bytes: addresses and sizes."""
        return struct.unpack(f"<{count}Q", self.part(at, 8 * count))

    def header(self, at: int) -> Header:
        """The object whose header lies here."""
        header = Header()
        newer = self.part(at, 4) == b"OHDR"
        if newer:
            flags = self.number(at + 5, 1)
            start = at + 6 + 16 * bool(flags & 0x20) + 4 * bool(flags & 0x10)
            width = 1 << (flags & 3)
            blocks = [(start + width, self.number(start, width))]
        else:
            if self.number(at, 1) != 1:
                raise Damaged(f"no object lies at {at}")
            flags, blocks = 0, [(at + 16, self.number(at + 8, 4))]
        done = 0
        while blocks:
            done += 1
            if done > _MOST_BLOCKS:
                raise Damaged("an object's header has no end")
            block = self.part(*blocks.pop())
            for kind, shared, content in _messages(block, newer, bool(flags & 4)):
                if kind == CONTINUATION:
                    start, length = _unpacked("<QQ", content)
                    blocks.append((start + 4, length - 8) if newer else (start, length))
                elif shared and kind in (TYPE, SPACE, LAYOUT):
                    raise Damaged("an array's type is kept elsewhere, which Keras never does")
                else:
                    header.messages.setdefault(kind, []).append(content)
        return header

    def members(self, header: Header) -> Iterator[tuple[str, int | None]]:
        """(name, address) of what is in a group; the address is None for a link to a name or another file."""
        info = header.first(LINK_INFO)
        if info is not None:
            heap_at = 2 + 8 * (info[1] & 1)
            if int.from_bytes(info[heap_at : heap_at + 8], "little") != UNDEFINED:
                raise Damaged(f"a group is kept {_NEWER}")
            yield from map(_link, header.messages.get(LINK, ()))
        symbols = header.first(SYMBOLS)
        if symbols is not None:
            tree, heap = _unpacked("<QQ", symbols)
            if self.part(heap, 4) != b"HEAP":
                raise Damaged(f"no heap lies at {heap}")
            size, _, names = self.numbers(heap + 8, 3)
            text = self.part(names, size)
            for _, node in self.leaves(tree, 0, 8):
                yield from self._entries(node, text)

    def _entries(self, node: int, names: bytes) -> Iterator[tuple[str, int | None]]:
        if self.part(node, 4) != b"SNOD":
            raise Damaged(f"no group lies at {node}")
        for index in range(self.number(node + 6, 2)):
            start, address = self.numbers(node + 8 + 40 * index, 2)
            linked = self.number(node + 24 + 40 * index, 4) == 2
            end = names.find(b"\0", start)
            if end < 0:
                raise Damaged("a name has no end")
            yield names[start:end].decode("utf-8", "replace"), None if linked else address

    def leaves(self, root: int, kind: int, key: int) -> Iterator[tuple[bytes, int]]:
        """(key, address) of everything in a tree of a kind, its keys so many bytes long."""
        pending, done = [root], 0
        while pending:
            at = pending.pop()
            done += 1
            if self.part(at, 4) != b"TREE" or self.number(at + 4, 1) != kind or done > _MOST_BLOCKS:
                raise Damaged(f"no tree lies at {at}")
            level, count = self.number(at + 5, 1), self.number(at + 6, 2)
            content = self.part(at + 24, count * (key + 8))
            entries = [content[start : start + key + 8] for start in range(0, len(content), key + 8)]
            for entry in reversed(entries) if level else entries:
                child = int.from_bytes(entry[key:], "little")
                if level:
                    pending.append(child)
                else:
                    yield entry[:key], child

    def from_heap(self, collection: int, index: int) -> bytes:
        """One object of a global heap, where text of any length is kept."""
        if collection not in self._heaps:
            self._heaps[collection] = dict(self._in_heap(collection))
        if index not in self._heaps[collection]:
            raise Damaged("some text is not in the file")
        return self.part(*self._heaps[collection][index])

    def _in_heap(self, collection: int) -> Iterator[tuple[int, tuple[int, int]]]:
        if self.part(collection, 4) != b"GCOL":
            raise Damaged(f"no heap lies at {collection}")
        at, end = collection + 16, collection + self.numbers(collection + 8, 1)[0]
        while at + 16 <= end:
            number, size = self.number(at, 2), self.number(at + 8, 8)
            if not number:
                return
            yield number, (at + 16, size)
            at += 16 + -(-size // 8) * 8

    def attributes(self, header: Header) -> dict[str, list[str]]:
        """Text attributes of an object, each as a list; others are left out."""
        info = header.first(ATTRIBUTE_INFO)
        if info is not None:
            heap_at = 2 + 2 * (info[1] & 1)
            if int.from_bytes(info[heap_at : heap_at + 8], "little") != UNDEFINED:
                raise Damaged(f"attributes are kept {_NEWER}")
        found = {}
        for message in header.messages.get(ATTRIBUTE, ()):
            name, kind, dims, content = _attribute(message)
            if kind.text:
                found[name] = self._texts(kind, math.prod(dims), content)
        return found

    def _texts(self, kind: Kind, count: int, content: bytes) -> list[str]:
        if count * kind.size > len(content):
            raise Damaged("an attribute is longer than what holds it")
        parts = [content[at : at + kind.size] for at in range(0, count * kind.size, kind.size or 1)]
        if kind.text == "variable":
            parts = [self._variable(part) for part in parts]
        return [part.rstrip(b"\0").decode("utf-8", "replace") for part in parts]

    def _variable(self, part: bytes) -> bytes:
        length, collection, index = _unpacked("<IQI", part)
        return self.from_heap(collection, index)[:length] if length else b""


def _unpacked(form: str, content: bytes) -> tuple[Any, ...]:
    if len(content) < struct.calcsize(form):
        raise Damaged("a message is too short")
    return struct.unpack_from(form, content)


def _messages(block: bytes, newer: bool, ordered: bool) -> Iterator[tuple[int, bool, bytes]]:
    """(type, whether it is kept elsewhere, content) of the messages in a part of an object header."""
    at, width = 0, (4 + 2 * ordered) if newer else 8
    while at + width <= len(block):
        kind, length, flags = struct.unpack_from("<BHB" if newer else "<HHB", block, at)
        if at + width + length > len(block):
            raise Damaged("a message is longer than what holds it")
        yield kind, bool(flags & _SHARED), block[at + width : at + width + length]
        at += width + length


def _link(message: bytes) -> tuple[str, int | None]:
    """A link message: its name and, of a hard link, its address."""
    flags, at = message[1], 2
    kind = message[at] if flags & 8 else 0
    at += bool(flags & 8) + 8 * bool(flags & 4) + bool(flags & 0x10)
    width = 1 << (flags & 3)
    length = int.from_bytes(message[at : at + width], "little")
    name = message[at + width : at + width + length].decode("utf-8", "replace")
    return name, None if kind else int.from_bytes(message[at + width + length :][:8], "little")


def _attribute(message: bytes) -> tuple[str, Kind, tuple[int, ...], bytes]:
    """(name, type, sizes, content)."""
    version, flags, *lengths = _unpacked("<BBHHH", message)
    if version not in (1, 2, 3) or (version > 1 and flags):
        raise Damaged("an attribute is of a kind that Keras never writes")
    at, parts = 8 + (version == 3), []
    for length in lengths:
        parts.append(message[at : at + length])
        at += -(-length // 8) * 8 if version == 1 else length
    name, kind, space = parts
    return name.rstrip(b"\0").decode("utf-8", "replace"), parse_type(kind), parse_space(space) or (), message[at:]


def parse_space(message: bytes) -> tuple[int, ...] | None:
    """The sizes of an array, () of a single number; None where there is none at all."""
    version, rank = _unpacked("<BB", message)
    if version not in (1, 2) or rank > 32:
        raise Damaged("an array's sizes are of a kind that Keras never writes")
    if version == 2 and message[3] == 2:
        return None
    return tuple(_unpacked(f"<{rank}Q", message[8 if version == 1 else 4 :]))


def parse_type(message: bytes) -> Kind:
    """A type of element."""
    kind, bits, size = _unpacked("<B3sI", message)
    kind, order = kind & 15, ">" if bits[0] & 1 else "<"
    if kind == _FIXED and size in (1, 2, 4, 8):
        return Kind(size, f"{order}{'i' if bits[0] & 8 else 'u'}{size}")
    if kind == _FLOAT and size in _EXPONENTS:
        exponent = _unpacked("<HHBB", message[8:])[3]
        if exponent == _EXPONENTS[size]:
            return Kind(size, f"{order}f{size}")
        return Kind(size, "bfloat16" if (size, exponent) == (2, 8) else "")
    if kind == _ENUM:
        return parse_type(message[8:])
    if kind == _VARIABLE and bits[0] & 15 == 1:
        return Kind(size, text="variable")
    return Kind(size, text="fixed" if kind == _STRING else "")
