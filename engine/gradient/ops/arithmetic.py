"""Elementwise arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import torch

from . import operator
from .unsigned import in_int64, in_int64_modulo, signed

_ELEMENTWISE: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "Abs": torch.abs,
    "Acos": torch.acos,
    "Acosh": torch.acosh,
    "Asin": torch.asin,
    "Asinh": torch.asinh,
    "Atan": torch.atan,
    "Atanh": torch.atanh,
    "Ceil": torch.ceil,
    "Cos": torch.cos,
    "Cosh": torch.cosh,
    "Erf": torch.erf,
    "Exp": torch.exp,
    "Floor": torch.floor,
    "Log": torch.log,
    "Neg": torch.neg,
    "Reciprocal": torch.reciprocal,
    "Round": torch.round,  # halves to even, as in ONNX
    "Sign": torch.sign,
    "Sin": torch.sin,
    "Sinh": torch.sinh,
    "Sqrt": torch.sqrt,
    "Tan": torch.tan,
}


def _enter(name: str, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
    def elementwise(x: torch.Tensor) -> torch.Tensor:
        return function(x)

    elementwise.__name__ = name.lower()
    operator(name)(in_int64(elementwise))


for _name, _function in _ELEMENTWISE.items():
    _enter(_name, _function)


@operator("Add", since=7)
@in_int64_modulo
def add(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return a + b


@operator("Sub", since=7)
@in_int64_modulo
def sub(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return a - b


@operator("Mul", since=7)
@in_int64_modulo
def mul(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return a * b


@operator("Div", since=7)
@in_int64
def div(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


@operator("Mod")
@in_int64
def mod(a: torch.Tensor, b: torch.Tensor, *, fmod: int = 0) -> torch.Tensor:
    """The result has the sign of `b`; with `fmod`, that of `a`."""
    return torch.fmod(a, b) if fmod else torch.remainder(a, b)


@operator("Pow", since=7)
def power(base: torch.Tensor, exponent: torch.Tensor) -> torch.Tensor:
    """The result has the base's type."""
    exponent = signed(exponent)
    if not base.is_floating_point():
        exact = base if not exponent.is_floating_point() else base.double()
        return torch.pow(exact, exponent).to(base.dtype)
    if exponent.numel() == 1 and exponent.dim() <= base.dim() and not exponent.requires_grad:
        return torch.pow(base, exponent.item()).to(base.dtype)  # squares and roots have kernels of their own
    return torch.pow(base, exponent).to(base.dtype)


@operator("Sum")
def add_all(*terms: torch.Tensor) -> torch.Tensor:
    return reduce(torch.add, terms)


@operator("Mean")
def mean_of_all(*terms: torch.Tensor) -> torch.Tensor:
    return reduce(torch.add, terms) / len(terms)


@operator("Max")
@in_int64
def maximum(*choices: torch.Tensor) -> torch.Tensor:
    return reduce(torch.maximum, choices)


@operator("Min")
@in_int64
def minimum(*choices: torch.Tensor) -> torch.Tensor:
    return reduce(torch.minimum, choices)
