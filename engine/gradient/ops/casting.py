"""Changes of element type."""

from __future__ import annotations

import torch

from ....importers.errors import InputError
from . import operator

_BITS = {getattr(torch, f"{sign}int{bits}", None): bits for sign in ("", "u") for bits in (2, 4)}  # held in int8
_FLOAT8 = (torch.float8_e4m3fn, torch.float8_e4m3fnuz, torch.float8_e5m2, torch.float8_e5m2fnuz)
_POWER_OF_TWO = getattr(torch, "float8_e8m0fnu", None)  # since torch 2.7
_LAST_ROUNDED_DOWN = 464.0  # to 448, the largest number of float8_e4m3fn, which has no infinity
_LARGEST_EXPONENT = 127  # of float8_e8m0fnu, whose byte 255 is NaN


@operator("Cast")
def cast(x: torch.Tensor, *, to: torch.dtype, saturate: int = 1, round_mode: str = "up") -> torch.Tensor:
    """`saturate`: to the largest number what lies outside a float of 8 bits; else NaN, or infinity if there is one."""
    if to in _BITS:
        return _few_bits(x, to)
    if to in _FLOAT8:
        return _float8(x, to, bool(saturate))
    if to == _POWER_OF_TWO:
        return _power_of_two(x, to, bool(saturate), round_mode)
    return x.to(to)


@operator("CastLike")
def cast_like(x: torch.Tensor, like: torch.Tensor, *, saturate: int = 1, round_mode: str = "up") -> torch.Tensor:
    """Where `like` is of a type that torch holds in another (4 bits), it is that other."""
    return cast(x, to=like.dtype, saturate=saturate, round_mode=round_mode)


@operator("BitCast")
def bit_cast(x: torch.Tensor, *, to: torch.dtype) -> torch.Tensor:
    if to in _BITS:
        return _few_bits(x, to)
    if to.itemsize != x.element_size():
        raise InputError(f"BitCast from {x.dtype} to {to}: expected as many bits; was a precision forced on the model?")
    return x.view(to)


def _few_bits(x: torch.Tensor, to: torch.dtype) -> torch.Tensor:
    """The lowest bits, in int8."""
    bits = _BITS[to]
    lowest = x.to(torch.int64) & ((1 << bits) - 1)
    sign = 1 << (bits - 1)
    return ((lowest ^ sign) - sign if to.is_signed else lowest).to(torch.int8)


def _float8(x: torch.Tensor, to: torch.dtype, saturate: bool) -> torch.Tensor:
    x = x.to(torch.promote_types(x.dtype, torch.float32)) if x.itemsize > 1 else x.float()
    if saturate:
        return x.clamp(-torch.finfo(to).max, torch.finfo(to).max).to(to)
    if to == torch.float8_e4m3fn:  # torch has changed its mind about what becomes of the rest
        x = x.masked_fill(x.abs() > _LAST_ROUNDED_DOWN, torch.nan)
    return x.to(to)


def _power_of_two(x: torch.Tensor, to: torch.dtype, saturate: bool, round_mode: str) -> torch.Tensor:
    """OCP Microscaling Formats (MX) Specification 1.0: an exponent of 8 bits, and nothing else."""
    fraction, exponent = torch.frexp(x.double())  # fraction in [1/2, 1)
    over = {"up": fraction > 0.5, "nearest": fraction >= 0.75, "down": torch.zeros_like(fraction, dtype=torch.bool)}
    exponent = exponent - 1 + over[round_mode]
    smallest = torch.where(x == 0, -_LARGEST_EXPONENT - 1, exponent)
    smallest = torch.where(torch.isinf(x), _LARGEST_EXPONENT + 1, smallest)
    kept = smallest.clamp(-_LARGEST_EXPONENT, _LARGEST_EXPONENT)
    lost = torch.isnan(x) if saturate else torch.isnan(x) | (kept != smallest)
    byte = (kept + _LARGEST_EXPONENT).masked_fill(lost, 255)
    return byte.to(torch.uint8).view(to)
