"""The two files as plain data: a cfg's sections, and a weights file as a stream of floats.

Darknet reads numbers with C's atoi and atof: what follows a number is ignored, and so it is here. Spaces mean nothing,
the first of two equal keys counts.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError

NETWORK = "net"
_SYNONYMS = {
    "network": NETWORK,
    "conv": "convolutional",
    "conn": "connected",
    "max": "maxpool",
    "avg": "avgpool",
    "local_avg": "local_avgpool",
    "soft": "softmax",
}
_LARGEST_CFG = 1 << 24  # bytes
_LARGEST_NUMBER = 1 << 31
_INTEGER, _NUMBER = re.compile(r"[-+]?\d+"), re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)
_VERSION_OF_LONG_SEEN = 2  # 10 * major + minor from which on the count of images seen has 64 bits
_TRANSPOSED = 1000  # a major or minor number above this says that weights of connected layers are transposed
_HEADER = struct.Struct("<iii")


@dataclass(frozen=True)
class Section:
    """One [section] of a cfg."""

    type: str
    index: int  # of the layer, from 0; -1: the network itself
    line: int
    options: Mapping[str, str]

    @property
    def name(self) -> str:
        """What the layer is called here: Darknet numbers its layers and gives them no names."""
        return f"{self.type}_{self.index}"

    def error(self, reason: str) -> InputError:
        """An InputError that names this section; to be raised by the caller."""
        return InputError(f"layer {self.index} ([{self.type}], line {self.line} of the cfg): {reason}")

    def text(self, key: str, default: str = "") -> str:
        """An option as it is written."""
        return self.options.get(key, default)

    def integer(self, key: str, default: int = 0) -> int:
        """A whole number. Raises InputError when there is something else."""
        return self._integer(key, self.options[key]) if key in self.options else default

    def number(self, key: str, default: float = 0.0) -> float:
        """A number. Raises InputError when there is something else."""
        return self._number(key, self.options[key]) if key in self.options else default

    def integers(self, key: str) -> list[int]:
        """Whole numbers with commas; none where there is no such option."""
        return [self._integer(key, part) for part in self._parts(key)]

    def numbers(self, key: str) -> list[float]:
        """Numbers with commas; none where there is no such option."""
        return [self._number(key, part) for part in self._parts(key)]

    def _parts(self, key: str) -> list[str]:
        return [part for part in self.options.get(key, "").split(",") if part]

    def _integer(self, key: str, text: str) -> int:
        found = _INTEGER.match(text)
        if found is None or abs(number := int(found[0][:20])) >= _LARGEST_NUMBER:
            raise self.error(f"{key} expects a whole number, found {text!r}")
        return number

    def _number(self, key: str, text: str) -> float:
        found = _NUMBER.match(text)
        if found is None or not math.isfinite(number := float(found[0])):
            raise self.error(f"{key} expects a number, found {text!r}")
        return number


def read_cfg(path: Path) -> list[Section]:
    """The sections in order, [net] first. Raises InputError when the file is no cfg."""
    if path.stat().st_size > _LARGEST_CFG:
        raise InputError(f"{path}: expected a cfg, found a file of {path.stat().st_size} bytes")
    sections: list[Section] = []
    options: dict[str, str] = {}
    for number, line in enumerate(path.read_text("utf-8-sig", "replace").splitlines(), 1):
        text = re.sub(r"\s+|#.*", "", line)
        if not text or text.startswith(";"):
            continue
        header = re.match(r"\[(.*?)\]", text)
        if header:
            options = {}
            kind = header[1].lower()
            sections.append(Section(_SYNONYMS.get(kind, kind), len(sections) - 1, number, options))
        elif not sections or "=" not in text:
            raise InputError(f"{path}: expected [section] or key=value in line {number}, found {line.strip()!r}")
        else:
            key, _, value = text.partition("=")
            options.setdefault(key, value)
    if not sections or sections[0].type != NETWORK:
        raise InputError(f"{path}: expected a cfg that begins with [net]")
    return sections


class Weights:
    """A weights file, read from the front; each layer takes what it needs."""

    def __init__(self, path: Path) -> None:
        """Raises InputError when the file has no header of Darknet's."""
        self.path = path
        with path.open("rb") as file:
            head = file.read(_HEADER.size)
        if len(head) < _HEADER.size:
            raise InputError(f"{path}: expected weights that begin with 16 bytes or more, found {len(head)}")
        major, minor, _ = _HEADER.unpack(head)
        self.transposed = major > _TRANSPOSED or minor > _TRANSPOSED
        self._start = _HEADER.size + (8 if 10 * major + minor >= _VERSION_OF_LONG_SEEN else 4)
        self._bytes = path.stat().st_size
        self._taken = 0  # numbers
        self._roles: dict[str, list[slice]] = {}  # what was taken in each role
        count = max(self._bytes - self._start, 0) // 4
        self._numbers = np.fromfile(path, "<f4", count, offset=self._start) if count else np.empty(0, "<f4")

    @property
    def is_at_end(self) -> bool:
        """Whether all was taken, to the byte."""
        return self._start + 4 * self._taken == self._bytes

    def take(self, role: str, shape: Sequence[int]) -> np.ndarray:
        """The next numbers, in this shape. Raises InputError when there are not so many."""
        count = math.prod(shape)
        if self._taken + count > len(self._numbers):
            needed = self._start + 4 * (self._taken + count)
            raise InputError(f"{self.path.name}: expected {needed} bytes or more, found {self._bytes}")
        place = slice(self._taken, self._taken + count)
        self._taken += count
        self._roles.setdefault(role, []).append(place)
        return self._numbers[place].reshape(shape)

    def raised(self, role: str, amount: float) -> bytes:
        """The file's content, with this added to all that was taken in a role."""
        numbers = self._numbers.copy()
        for place in self._roles.get(role, ()):
            numbers[place] += np.float32(amount)
        with self.path.open("rb") as file:
            return file.read(self._start) + numbers.tobytes()

    def check_end(self) -> None:
        """Raise InputError when something is left."""
        if not self.is_at_end:
            expected = self._start + 4 * self._taken
            raise InputError(
                f"{self.path}: the cfg's layers take {expected} bytes, the file has {self._bytes}; "
                "do the two belong together?"
            )
