"""FlatBuffers, read with every offset and size checked before it is followed.

A table starts with the way back to its vtable, which says where each field lies; strings, vectors and tables lie
elsewhere, behind an offset. The generated readers follow any offset, and Python takes a negative one from the end.
What is read more than once is paid for each time: a small file cannot claim to hold more than it does.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import InputError

Fields = Sequence[tuple[str, str, Any]]  # name, kind, default: a field's place is its slot

_NUMBERS: dict[str, str] = {
    "bool": "<?",
    "byte": "<b",
    "ubyte": "<B",
    "short": "<h",
    "int": "<i",
    "uint": "<I",
    "long": "<q",
    "ulong": "<Q",
    "float": "<f",
}
_SPARE = 4  # times the file's size may be read: tables and strings may be shared, but not by all
_DEEPEST = 16  # tables within tables


class FlatBuffer:
    """The bytes of one file and the tables that a schema says are in them."""

    def __init__(self, data: bytes | memoryview, schema: Mapping[str, Fields], unions: Mapping[str, Sequence[str]]):
        """`schema`: table -> its fields; `unions`: union -> its tables, counted from 1."""
        self._data = memoryview(data)
        self._schema = schema
        self._unions = unions
        self._left = _SPARE * len(data) + 1024

    def root(self, table: str) -> dict[str, Any]:
        """The file's root as plain data: tables as dicts, vectors of numbers as read-only arrays on the file's bytes.

        Raises InputError where an offset or a size leaves the file.
        """
        return self._table(self._pointer(0), table, 0)

    def places(self, table: str, *fields: str) -> list[int]:
        """Where the tables lie that these fields lead to from the root, each through all entries of the one before.

        "Model", "subgraphs", "tensors": every tensor of every subgraph.
        """
        found = [self._pointer(0)]
        for field in fields:
            kind = next(kind for name, kind, _ in self._schema[table] if name == field)
            vectors = [place for at in found if (place := self.field_at(at, table, field)) is not None]
            starts = [self._vector(place, 4) for place in vectors]
            found = [self._pointer(start + 4 * index) for start, length in starts for index in range(length)]
            table = kind[1:-1]
        return found

    def field_at(self, at: int, table: str, field: str) -> int | None:
        """Where one field of a table lies; None where the file leaves it out."""
        slot = [name for name, _, _ in self._schema[table]].index(field)
        vtable = at - self._number("<i", at)
        entry = 4 + 2 * slot
        offset = self._number("<H", vtable + entry) if entry < self._number("<H", vtable) else 0
        return at + offset if offset else None

    def _table(self, at: int, name: str, depth: int) -> dict[str, Any]:
        if depth > _DEEPEST:
            raise InputError("the file is damaged: its tables nest without end")
        self._spend(4)
        vtable = at - self._number("<i", at)
        length = self._number("<H", vtable)
        if length < 4 or length % 2:
            raise InputError(f"the file is damaged: the table {name} at byte {at} has no valid list of fields")
        self._bytes(vtable, length)
        found: dict[str, Any] = {}
        for slot, (field, kind, default) in enumerate(self._schema[name]):
            entry = 4 + 2 * slot
            offset = self._number("<H", vtable + entry) if entry < length else 0
            if kind != "_":
                found[field] = self._value(at + offset, kind, found, field, depth) if offset else _absent(kind, default)
        return found

    def _value(self, at: int, kind: str, found: Mapping[str, Any], field: str, depth: int) -> Any:
        if kind in _NUMBERS:
            return self._number(_NUMBERS[kind], at)
        if kind in self._unions:
            members, chosen = self._unions[kind], found[f"{field}_type"]
            known = 0 < chosen <= len(members) and members[chosen - 1] in self._schema
            return self._table(self._pointer(at), members[chosen - 1], depth + 1) if known else {}
        if kind == "string":
            start, length = self._vector(at, 1)
            self._spend(length)
            return bytes(self._bytes(start, length)).decode("utf-8", "replace")
        if kind.startswith("["):
            return self._elements(at, kind[1:-1], depth)
        return self._table(self._pointer(at), kind, depth + 1)

    def _elements(self, at: int, kind: str, depth: int) -> Any:
        if kind in _NUMBERS:
            dtype = np.dtype(_NUMBERS[kind])
            start, length = self._vector(at, dtype.itemsize)
            if kind != "ubyte":  # buffers stay where they are, whoever shares them
                self._spend(length * dtype.itemsize)
            return np.frombuffer(self._bytes(start, length * dtype.itemsize), dtype)
        start, length = self._vector(at, 4)
        self._spend(4 * length)
        places = range(start, start + 4 * length, 4)
        return [self._value(place, kind, {}, "", depth) for place in places]

    def _vector(self, at: int, size: int) -> tuple[int, int]:
        """(first byte, elements) of a vector whose offset is at `at`."""
        start = self._pointer(at)
        length = self._number("<I", start)
        self._bytes(start + 4, length * size)
        return start + 4, length

    def _pointer(self, at: int) -> int:
        return at + int(self._number("<I", at))

    def _number(self, form: str, at: int) -> Any:
        return struct.unpack(form, self._bytes(at, struct.calcsize(form)))[0]

    def _bytes(self, at: int, length: int) -> memoryview:
        if at < 0 or at + length > len(self._data):
            raise InputError(
                f"the file is damaged or cut off: it refers to {length} bytes at byte {at} "
                f"and has {len(self._data)} bytes"
            )
        return self._data[at : at + length]

    def _spend(self, length: int) -> None:
        self._left -= length
        if self._left < 0:
            raise InputError("the file is damaged: the same bytes are used again and again")


def _absent(kind: str, default: Any) -> Any:
    """What a field is that the file does not write."""
    if kind in _NUMBERS:
        return default
    if kind == "string":
        return ""
    if kind.startswith("["):
        inner = kind[1:-1]
        return np.empty(0, np.dtype(_NUMBERS[inner])) if inner in _NUMBERS else []
    return {} if default is None else default


def parse_schema(text: Mapping[str, str]) -> dict[str, Fields]:
    """Tables from "name kind[=default], …" in the order of their slots; kind _ : a slot that is not read."""
    return {
        table: [_field(entry.split()) for entry in line.split(",") if entry.strip()] for table, line in text.items()
    }


def _field(words: Sequence[str]) -> tuple[str, str, Any]:
    if len(words) == 1:
        return "", "_", None
    kind, _, default = words[1].partition("=")
    number: Any = (float(default or 0) if kind == "float" else int(default or 0)) if kind in _NUMBERS else None
    return words[0], kind, bool(number) if kind == "bool" else number
