"""Levels: the integers that stand for real numbers in a quantised network, real = (level - zero point) * scale.

Levels are held in their integer type or *carried*: as floats of the same whole values. Rounding has no gradient, and
integers cannot have one, so on the way from the image to a score levels are carried, and gradients go straight
through the rounding (Bengio et al. 2013, arXiv:1308.3432). Where a level saturates they stop: quantisers fold ReLUs
into the end of the range, and without it the gradient would pass every one of them. What is computed of carried
levels is carried.
"""

from __future__ import annotations

from typing import Any

import torch

_FEW_BITS = {  # held in int8
    getattr(torch, f"{sign}int{bits}", None): (0, 2**bits - 1) if sign else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    for sign in ("", "u")
    for bits in (2, 4)
}


def level_range(dtype: torch.dtype) -> tuple[int, int]:
    """The least and the greatest level of an integer type."""
    return _FEW_BITS.get(dtype) or (torch.iinfo(dtype).min, torch.iinfo(dtype).max)


class _Through(torch.autograd.Function):
    """One tensor's values, another's gradient."""

    @staticmethod
    def forward(x: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        return values.view_as(values)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Nothing is kept."""

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradient, None


def through(x: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """`values`, which were made of `x`, with the gradient of `x`."""
    made: torch.Tensor = _Through.apply(x, values)
    return made


def round_through(x: torch.Tensor) -> torch.Tensor:
    """`x` rounded half to even, with the gradient of `x`."""
    return through(x, x.detach().round())


def saturated_through(x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """`x` cast to an integer type but carried: its fraction dropped, its gradient kept where it lies in the range."""
    limits = torch.iinfo(dtype)
    return through(x.clamp(limits.min, limits.max), x.detach().to(dtype).to(x.dtype))


def carried(*tensors: torch.Tensor | None) -> bool:
    """Whether any of these levels are floats."""
    return any(tensor is not None and tensor.is_floating_point() for tensor in tensors)


def integer_type(*tensors: torch.Tensor | None) -> torch.dtype:
    """The first integer type among these levels and zero points; ONNX's default where all are carried or omitted."""
    known = (tensor.dtype for tensor in tensors if tensor is not None and not tensor.is_floating_point())
    return next(known, torch.uint8)


def exact_type(*levels: torch.Tensor | None) -> torch.dtype:
    """The float type that sums of products of these levels are computed in.

    Integers: float64, whose sums are those of integers. Carried: their own, as double precision takes twice the time;
    float32 rounds sums beyond 2^24, by less than a thousandth of an output level (2^24 products span 256 levels or so).
    """
    return next((entry.dtype for entry in levels if entry is not None and entry.is_floating_point()), torch.float64)


def along(parameter: torch.Tensor, x: torch.Tensor, axis: int, block_size: int = 0) -> torch.Tensor:
    """A scale or zero point (of the tensor, of each index of an axis, or of each block along it), to broadcast on x."""
    if parameter.numel() == 1:
        return parameter.reshape(())
    if block_size:
        return parameter.repeat_interleave(block_size, axis).narrow(axis, 0, x.shape[axis])
    if parameter.dim() > 1:  # of rows or columns of matrices
        return parameter
    shape = [1] * x.dim()
    shape[axis if x.dim() > 1 else 0] = -1
    return parameter.reshape(shape)


def centred(
    levels: torch.Tensor, zero: torch.Tensor | None, dtype: torch.dtype, axis: int = 0, block_size: int = 0
) -> torch.Tensor:
    """levels - zero point, as floats."""
    levels = levels.to(dtype)
    return levels if zero is None else levels - along(zero.to(dtype), levels, axis, block_size)


def dequantised(
    levels: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor | None, axis: int = 1, block_size: int = 0
) -> torch.Tensor:
    """The real numbers, of the scale's type, or float32 where that is narrower."""
    wide = torch.promote_types(scale.dtype, torch.float32)
    return centred(levels, zero, wide, axis, block_size) * along(scale.to(wide), levels, axis, block_size)


def quantised(
    steps: torch.Tensor,  # real numbers in units of the scale
    zero: torch.Tensor | None,
    dtype: torch.dtype,  # of the levels; says where they saturate
    carry: bool,
    axis: int = 1,  # of the zero points, where there are several
    block_size: int = 0,
) -> torch.Tensor:
    """The levels: rounded half to even, moved by the zero point, saturated."""
    low, high = level_range(dtype)
    steps = steps.to(torch.promote_types(steps.dtype, torch.float32))  # float16 lacks most 16-bit levels
    moved = steps.new_zeros(()) if zero is None else along(zero.to(steps.dtype), steps, axis, block_size)
    levels = round_through(steps.clamp(low - moved, high - moved)) + moved
    return levels if carry else levels.to(torch.int8 if dtype in _FEW_BITS else dtype)


def requantised(
    real: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor | None, dtype: torch.dtype, carry: bool, axis: int = 1
) -> torch.Tensor:
    """Real numbers as levels of this scale and zero point."""
    return quantised(real / along(scale.to(real.dtype), real, axis), zero, dtype, carry, axis)
