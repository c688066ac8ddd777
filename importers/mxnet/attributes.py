"""The attributes of a symbol's node: every value is text, as MXNet's Python wrote it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ..errors import InputError

_NONE = ("", "None")
_TRUE, _FALSE = ("True", "true", "1"), ("False", "false", "0")
_MOST = 64  # numbers in a tuple
_LARGEST = 1 << 40  # of a whole number
_LARGEST_REAL = float.fromhex("0x1.fffffep127")


class Attributes:
    """Reads attributes by name; what the node does not say has the operator's default.

    Every method raises InputError when the text is not of the kind that is asked for.
    """

    def __init__(self, node: str, texts: Mapping[str, str]) -> None:
        self._node = node
        self._texts = texts

    def has(self, name: str) -> bool:
        """Whether the node gives it a value."""
        return self._texts.get(name, "").strip() not in _NONE

    def __contains__(self, name: object) -> bool:
        return name in self._texts

    def text(self, name: str, default: str = "") -> str:
        """As it is written."""
        return self._texts[name].strip() if self.has(name) else default

    def flag(self, name: str, default: bool = False) -> bool:
        """True or False, which older files write as 1 or 0."""
        if not self.has(name):
            return default
        if self.text(name) not in (*_TRUE, *_FALSE):
            raise self._refusal(name, "True or False")
        return self.text(name) in _TRUE

    def real(self, name: str, default: float) -> float:
        """A number."""
        try:
            return _real(self.text(name)) if self.has(name) else default
        except ValueError:
            raise self._refusal(name, "a number") from None

    def whole(self, name: str, default: int | None = None) -> int:
        """A whole number; without a default it has to be there."""
        if not self.has(name) and default is None:
            raise InputError(f"node {self._node}: its attribute {name} is missing")
        numbers = self.wholes(name, () if default is None else (default,))
        if len(numbers) != 1:
            raise self._refusal(name, "one whole number")
        return numbers[0]

    def wholes(self, name: str, default: Sequence[int] = ()) -> tuple[int, ...]:
        """Whole numbers: "(2, 2)", "[2,2]", "(2L, 2L)" of Python 2, or one alone."""
        found = [number for number in self.wholes_or_none(name, default) if number is not None]
        if len(found) < len(self.wholes_or_none(name, default)):
            raise self._refusal(name, "whole numbers")
        return tuple(found)

    def reals(self, name: str, default: Sequence[float] = ()) -> tuple[float, ...]:
        """Numbers: "(0.1, 0.2)", or one alone."""
        if not self.has(name):
            return tuple(default)
        try:
            found = tuple(map(_real, self._parts(name)))
        except ValueError:
            raise self._refusal(name, "numbers") from None
        if len(found) > _MOST or not all(map(math.isfinite, found)):
            raise self._refusal(name, f"at most {_MOST} finite numbers")
        return found

    def wholes_or_none(self, name: str, default: Sequence[int] = ()) -> tuple[int | None, ...]:
        """The same, where a place may be None."""
        if not self.has(name):
            return tuple(default)
        try:
            found = tuple(map(_number, self._parts(name)))
        except ValueError:
            raise self._refusal(name, "whole numbers") from None
        if len(found) > _MOST:
            raise self._refusal(name, f"at most {_MOST} numbers")
        return found

    def _parts(self, name: str) -> list[str]:
        return [part for text in self.text(name).strip("()[]").split(",") if (part := text.strip())]

    def _refusal(self, name: str, expected: str) -> InputError:
        return InputError(f"node {self._node}: {name} expects {expected}, found {self.text(name)[:60]!r}")


def _real(text: str) -> float:
    """As a float32 holds it: beyond its range infinite."""
    number = float(text)
    return math.copysign(math.inf, number) if abs(number) > _LARGEST_REAL else number


def _number(text: str) -> int | None:
    if text == "None":
        return None
    number = int(text.rstrip("lL"))
    if abs(number) > _LARGEST:
        raise ValueError("too large")
    return number
