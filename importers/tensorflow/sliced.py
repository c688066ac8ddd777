"""Variables that a checkpoint keeps in pieces, and pieces of variables that a graph asks for.

Both come of partitioned variables: the checkpoint may say of a variable which slices of it there are, each stored
under a key of its own, and a graph restores its part by a text like "6 200 0,6:0,67": the whole shape, then start and
length along each axis ("-": all of it).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

Extents = tuple[tuple[int, int], ...]  # start and length along each axis; a length of -1: all of it

_TEXT = re.compile(r"(?:(\d+) )*((?:-|\d+,\d+)(?::(?:-|\d+,\d+))*)$")
_ESCAPES = {0: b"\0\xff", 0xFF: b"\xff\0"}
_HEADERS = ("", "80", "c0", "e0", "f0", "f8", "fc", "fe", "ff", "ff80", "ffc0")  # of a signed number of 0, 1 … bytes


def slice_key(name: str, extents: Extents) -> str:
    """The key of one slice: TensorFlow's "ordered code" of 0, the name, the number of axes, and each extent."""
    escaped = b"".join(_ESCAPES.get(byte, bytes([byte])) for byte in name.encode("utf-8", "surrogateescape"))
    numbers = b"".join(_signed(number) for extent in extents for number in extent)
    return (b"\0" + escaped + b"\0\1" + _unsigned(len(extents)) + numbers).decode("utf-8", "surrogateescape")


def _unsigned(number: int) -> bytes:
    content = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return bytes([len(content)]) + content


def _signed(number: int) -> bytes:
    length = (number if number >= 0 else ~number).bit_length() // 7 + 1
    content = bytearray(number.to_bytes(max(length, 1), "big", signed=True))
    for at, bits in enumerate(bytes.fromhex(_HEADERS[length])):
        content[at] ^= bits
    return bytes(content)


def within(extents: Extents, shape: Sequence[int]) -> tuple[slice, ...] | None:
    """The part of an array of this shape; None where it reaches outside."""
    if len(extents) != len(shape):
        return None
    ends = [
        (start, side if length < 0 else start + length) for (start, length), side in zip(extents, shape, strict=True)
    ]
    if any(not 0 <= start <= end <= side for (start, end), side in zip(ends, shape, strict=True)):
        return None
    return tuple(slice(start, end) for start, end in ends)


def parse_extents(text: str) -> Extents:
    """Of a graph's "6 200 0,6:0,67". Raises ValueError when it is something else."""
    if not _TEXT.match(text):
        raise ValueError(f"{text[:40]!r} names no slice")
    parts = text.rsplit(" ", 1)[-1].split(":")
    pairs = [(0, -1) if part == "-" else tuple(map(int, part.split(","))) for part in parts]
    return tuple((start, length) for start, length in pairs)
