"""Comparison, logic and bits."""

from __future__ import annotations

from collections.abc import Callable

import torch

from . import operator
from .unsigned import in_int64, in_int64_modulo

_BINARY: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "And": torch.logical_and,
    "BitwiseAnd": torch.bitwise_and,
    "BitwiseOr": torch.bitwise_or,
    "BitwiseXor": torch.bitwise_xor,
    "Equal": torch.eq,
    "Greater": torch.gt,
    "GreaterOrEqual": torch.ge,
    "Less": torch.lt,
    "LessOrEqual": torch.le,
    "Or": torch.logical_or,
    "Xor": torch.logical_xor,
}
_ANY_READING = ("BitwiseAnd", "BitwiseOr", "BitwiseXor", "Equal")  # of the highest bit


def _enter(name: str, function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
    def binary(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return function(a, b)

    binary.__name__ = name.lower()
    operator(name, since=7)((in_int64_modulo if name in _ANY_READING else in_int64)(binary))


for _name, _function in _BINARY.items():
    _enter(_name, _function)


@operator("Not")
def logical_not(x: torch.Tensor) -> torch.Tensor:
    return torch.logical_not(x)


@operator("BitwiseNot")
@in_int64_modulo
def bitwise_not(x: torch.Tensor) -> torch.Tensor:
    return torch.bitwise_not(x)


@operator("BitShift")
def bit_shift(x: torch.Tensor, by: torch.Tensor, *, direction: str) -> torch.Tensor:
    """By as many bits as there are, or by a negative number: all bits leave."""
    return (_shift_left if direction == "LEFT" else _shift_right)(x, by)


@in_int64_modulo
def _shift_left(x: torch.Tensor, by: torch.Tensor) -> torch.Tensor:
    return torch.bitwise_left_shift(x, by)


@in_int64
def _shift_right(x: torch.Tensor, by: torch.Tensor) -> torch.Tensor:
    return torch.bitwise_right_shift(x, by)


@operator("Where")
def where(condition: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.where(condition, a, b)


@operator("IsNaN")
def is_nan(x: torch.Tensor) -> torch.Tensor:
    return torch.isnan(_comparable(x))


@operator("IsInf")
def is_inf(x: torch.Tensor, *, detect_negative: int = 1, detect_positive: int = 1) -> torch.Tensor:
    x = _comparable(x)
    if detect_negative and detect_positive:
        return torch.isinf(x)
    return torch.isneginf(x) if detect_negative else torch.isposinf(x) & bool(detect_positive)


def _comparable(x: torch.Tensor) -> torch.Tensor:
    return x.float() if x.is_floating_point() and x.itemsize == 1 else x  # torch only holds floats of 8 bits
