"""Protobuf's wire format, read without a schema: which fields a file has at its top level."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_HEAD_FIELDS = 4096  # top-level fields looked at: a net of more layers than this has long shown what it is

Fields = Counter[tuple[int, int]]  # (field number, wire type) -> how often


def top_level_fields(path: Path) -> Fields:
    """The first top-level protobuf fields; those read until the bytes stopped making sense."""
    fields: Fields = Counter()
    size = path.stat().st_size
    with path.open("rb") as file:
        for _ in range(_HEAD_FIELDS):
            tag = _varint(file)
            skip = None if not tag or tag >> 3 == 0 else _length(file, tag & 7)
            if tag is None or skip is None:
                break
            fields[tag >> 3, tag & 7] += 1
            if file.tell() + skip >= size:
                break
            file.seek(skip, 1)
    return fields


def start_of_first(head: bytes, number: int = 1) -> bytes:
    """The first bytes inside a protobuf's first field when that is this one, a message; else nothing."""
    if head[:1] != bytes([number << 3 | 2]):
        return b""
    length = next((at for at in range(1, 11) if head[at : at + 1] < b"\x80"), 10)
    return head[length + 1 : length + 4]


def fields_of(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(number, wire type, value) of each field of a message, or of its start; numbers without their value."""
    file = io.BytesIO(data)
    while tag := _varint(file):
        length = _length(file, tag & 7)
        if length is None or tag >> 3 == 0:
            return
        yield tag >> 3, tag & 7, file.read(min(length, len(data)))


def _length(file: BinaryIO, wire: int) -> int | None:
    """Bytes of a field's value after what this reads of it; None when it makes no sense."""
    if wire == VARINT:
        return None if _varint(file) is None else 0
    if wire == BYTES:
        return _varint(file)
    return {FIXED64: 8, FIXED32: 4}.get(wire)


def _varint(file: BinaryIO) -> int | None:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            return None
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    return None
