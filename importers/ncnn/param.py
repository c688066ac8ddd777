"""The network of an NCNN model, from a .param of either form, as plain data.

Text: a magic number, counts of layers and blobs, then a line a layer: type, name, counts of what it reads and makes,
their names, and parameters `number=value`. Binary: the same in words of 4 bytes, with numbers for types and blobs, and
without names; whether a parameter's word is an integer or a float only its layer knows.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..names import printable
from .companion import MAGIC, is_text
from .layer_types import type_name

UNNAMED = "blob"  # with its number, a blob of a file that has no names
_END = -233
_ARRAY, _STRING = -23300, -23400  # minus its number, a parameter that is one
_LARGEST_FILE = 1 << 26  # bytes: the largest real ones have less than a hundredth of it
_PARAMETER = re.compile(r'(-?\d+)=("[^"\n]*"?|\S*)')


# Text, or words of 4 bytes: whether they are integers or floats only who asks for them knows.
Value = str | bytes


@dataclass(frozen=True)
class Layer:
    """One layer as written."""

    type: str
    name: str
    bottoms: list[str]  # blobs it reads
    tops: list[str]  # blobs it makes
    params: dict[int, Value] = field(default_factory=dict)

    def describe(self) -> str:
        """For messages."""
        return f"layer {self.name} ({self.type})"


def read_param(path: Path) -> list[Layer]:
    """The layers of the network, in order.

    Raises InputError when the file is damaged.
    """
    if path.stat().st_size > _LARGEST_FILE:
        raise InputError(f"{path}: expected a .param, found {path.stat().st_size} bytes; is it the file of weights?")
    content = path.read_bytes()
    try:
        layers = _text(content) if is_text(path) else _Binary(content).layers()
    except _Damaged as error:
        raise InputError(f"{path}: the .param is damaged: {error}") from None
    if not layers:
        raise InputError(f"{path}: expected a network, found no layers")
    return layers


class _Damaged(Exception):
    """What is wrong, and where."""


def _text(content: bytes) -> list[Layer]:
    lines = content.decode("utf-8-sig", "replace").splitlines()
    rows = [(number, line) for number, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")]
    counts = rows[1][1].split() if len(rows) > 1 else []
    if len(counts) != 2 or not all(map(_is_count, counts)):
        raise _Damaged(f"expected the counts of layers and blobs in line 2, found {printable(' '.join(counts))[:40]!r}")
    layers = [_layer(line, number) for number, line in rows[2:]]
    if len(layers) != int(counts[0]):
        raise _Damaged(f"it announces {counts[0]} layers, and has {len(layers)}")
    return layers


def _is_count(word: str) -> bool:
    return word.isdecimal() and len(word) < 10


def _layer(line: str, number: int) -> Layer:
    words = line.split()
    if len(words) < 4 or not all(map(_is_count, words[2:4])):
        raise _Damaged(
            f"expected a layer in line {number}: type, name, two counts, blobs; found {printable(line)[:60]!r}"
        )
    reads, makes = (min(int(count), len(words)) for count in words[2:4])
    blobs = words[4 : 4 + reads + makes]
    if len(blobs) != int(words[2]) + int(words[3]):
        raise _Damaged(f"layer {printable(words[1])} in line {number} names fewer blobs than it counts")
    rest = line.split(None, 4 + reads + makes)[4 + reads + makes :]
    return Layer(words[0], words[1], blobs[:reads], blobs[reads:], _parameters(rest[0] if rest else "", number))


def _parameters(text: str, number: int) -> dict[int, Value]:
    found: dict[int, Value] = {}
    for match in _PARAMETER.finditer(text):
        value = match[2]
        try:
            key = int(match[1])
            if key <= _ARRAY:
                found[_ARRAY - key] = b"".join(_word(item, is_float=_is_float(item)) for item in value.split(",")[1:])
            elif value[:1] == '"' or value[:1].isalpha():
                found[key] = value.strip('"')
            else:
                items = value.removesuffix(",").split(",")
                found[key] = b"".join(_word(item, is_float=_is_float(items[0])) for item in items)
        except (ValueError, OverflowError, struct.error):
            raise _Damaged(f"expected a number in line {number}, found {printable(value)[:40]!r}") from None
    return found


def _is_float(text: str) -> bool:
    return "." in text or "e" in text.lower()


def _word(text: str, *, is_float: bool) -> bytes:
    """A number as NCNN keeps it; an integer where a float is asked for is the float of the same bits, as there."""
    return struct.pack("<f", float(text)) if is_float else struct.pack("<i", int(text))


class _Binary:
    """Walks through the words of a binary .param."""

    def __init__(self, content: bytes) -> None:
        self._words = np.frombuffer(content, "<i4", len(content) // 4)
        self._at = 0

    def layers(self) -> list[Layer]:
        if self._int() != MAGIC:
            raise _Damaged(f"it does not start with {MAGIC}")
        count, _ = self._int(), self._int()
        layers: list[Layer] = []
        while len(layers) < count:
            layers.append(self._layer(len(layers)))
        return layers

    def _layer(self, index: int) -> Layer:
        kind, reads, makes = type_name(self._int()), self._int(), self._int()
        bottoms, tops = ([f"{UNNAMED}{blob}" for blob in self._take(count)] for count in (reads, makes))
        return Layer(kind, f"{kind}_{index}", bottoms, tops, self._parameters())

    def _parameters(self) -> dict[int, Value]:
        found: dict[int, Value] = {}
        while (key := self._int()) != _END:
            if key <= _STRING:
                length = self._int()
                found[_STRING - key] = self._take(-(-length // 4)).tobytes()[:length].decode("utf-8", "replace")
            elif key <= _ARRAY:
                found[_ARRAY - key] = self._take(self._int()).tobytes()
            else:
                found[key] = self._take(1).tobytes()
        return found

    def _int(self) -> int:
        return int(self._take(1)[0])

    def _take(self, count: int) -> np.ndarray:
        if not 0 <= count <= len(self._words) - self._at:
            raise _Damaged(f"it ends early: {count} words are expected at byte {4 * self._at}")
        self._at += count
        return self._words[self._at - count : self._at]
