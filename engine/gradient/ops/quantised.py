"""Quantising and dequantising, convolutions and matrix products of integers.

What takes levels takes them as integers and carried (see levels.py), and gives them back likewise.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ....importers.errors import InputError
from ..dtypes import torch_dtype
from . import operator
from .casting import cast
from .convolution import conv
from .levels import along, carried, centred, dequantised, exact_type, integer_type, quantised, through


@operator("QuantizeLinear", since=10)
def quantize_linear(
    x: torch.Tensor,
    scale: torch.Tensor,
    zero: torch.Tensor | None = None,
    *,
    axis: int = 1,
    block_size: int = 0,
    level_type: torch.dtype | None = None,  # as the file has it, where that is known
    output_dtype: torch.dtype | None = None,
    precision: int = 0,  # element type that the division is done in; 0: the scale's
    saturate: int = 1,
) -> torch.Tensor:
    dtype = level_type or (torch.uint8 if zero is None else zero.dtype)
    steps = in_steps(x, scale, axis, block_size, torch_dtype(precision) if precision else None)
    if dtype.is_floating_point:
        return cast(steps, to=dtype, saturate=saturate)
    return quantised(steps, zero, dtype, False, axis, block_size)


def in_steps(
    x: torch.Tensor, scale: torch.Tensor, axis: int, block_size: int = 0, precision: torch.dtype | None = None
) -> torch.Tensor:
    """x in units of the scale, divided in `precision`."""
    precision = precision or (scale.dtype if scale.is_floating_point() else torch.float32)
    return x.to(precision) / along(scale.to(precision), x, axis, block_size)


@operator("DequantizeLinear", since=10)
def dequantize_linear(
    x: torch.Tensor,
    scale: torch.Tensor,
    zero: torch.Tensor | None = None,
    *,
    axis: int = 1,
    block_size: int = 0,
    output_dtype: torch.dtype | None = None,
) -> torch.Tensor:
    return dequantised(x, scale, zero, axis, block_size).to(output_dtype or scale.dtype)


@operator("DynamicQuantizeLinear", since=11, several=True)
def dynamic_quantize_linear(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    levels, scale, zero = dynamic_levels(x)
    return levels.to(torch.uint8), scale, zero.to(torch.uint8)


def dynamic_levels(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Carried uint8 levels in a range that spans these values and 0, their scale and zero point (all floats).

    Scale and zero point are constants to gradients: how they follow the extremes of the image is no part of what the
    network computes of it. Nothing saturates, as the range follows the values: the zero point is rounded, so an
    extreme can lie half a level outside, but that is rounding.
    """
    values = x.detach()
    low, high = values.min().clamp(max=0), values.max().clamp(min=0)
    scale = (high - low) / 255
    scale = torch.where(scale == 0, torch.ones_like(scale), scale)  # of all zeros; as onnxruntime does
    zero = (-low / scale).clamp(0, 255).round()
    return through(x / scale, quantised(values / scale, zero, torch.uint8, True)), scale, zero


@operator("ConvInteger", since=10)
def conv_integer(
    x: torch.Tensor,  # [N, C, …] levels
    w: torch.Tensor,  # [M, C / group, …] levels
    x_zero: torch.Tensor | None = None,
    w_zero: torch.Tensor | None = None,  # one, or [M]
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> torch.Tensor:
    exact = exact_type(x, w)
    left, right = centred(x, x_zero, exact), centred(w, w_zero, exact)
    sums = conv(left, right, auto_pad=auto_pad, dilations=dilations, group=group, pads=pads, strides=strides)
    return sums if carried(x, w) else sums.to(torch.int32)


@operator("QLinearConv", since=10)
def qlinear_conv(
    x: torch.Tensor,  # [N, C, …] levels
    x_scale: torch.Tensor,
    x_zero: torch.Tensor,
    w: torch.Tensor,  # [M, C / group, …] levels
    w_scale: torch.Tensor,  # one, or [M]; so the zero point
    w_zero: torch.Tensor,
    y_scale: torch.Tensor,
    y_zero: torch.Tensor,
    b: torch.Tensor | None = None,  # [M] int32, in units of x_scale * w_scale
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> torch.Tensor:
    exact = exact_type(x, w)
    left, right = centred(x, x_zero, exact), centred(w, w_zero, exact)
    bias = None if b is None else b.to(exact)
    sums = conv(left, right, bias, auto_pad=auto_pad, dilations=dilations, group=group, pads=pads, strides=strides)
    return rescaled(sums, x_scale * w_scale / y_scale, y_zero, carried(x, w))


def rescaled(sums: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor, carry: bool, axis: int = 1) -> torch.Tensor:
    """Sums of products of levels, in units of `scale`, as levels of the zero point's type."""
    scale = scale.to(torch.promote_types(scale.dtype, torch.float32))
    return quantised(sums.to(scale.dtype) * along(scale, sums, axis), zero, integer_type(zero), carry, axis)


@operator("MatMulInteger", since=10)
def matmul_integer(
    a: torch.Tensor,  # [… M, K] levels
    b: torch.Tensor,  # [… K, N] levels
    a_zero: torch.Tensor | None = None,  # one, or one a row
    b_zero: torch.Tensor | None = None,  # one, or one a column
) -> torch.Tensor:
    product = level_product(a, a_zero, b, b_zero)
    return product if carried(a, b) else product.to(torch.int32)


def level_product(
    a: torch.Tensor, a_zero: torch.Tensor | None, b: torch.Tensor, b_zero: torch.Tensor | None
) -> torch.Tensor:
    """The matrix product of the levels without their zero points, exact."""
    exact = exact_type(a, b)
    return centred(a, a_zero, exact, axis=a.dim() - 2) @ centred(b, b_zero, exact, axis=b.dim() - 1)


@operator("QLinearMatMul", since=10)
def qlinear_matmul(
    a: torch.Tensor,  # [… M, K] levels
    a_scale: torch.Tensor,  # one, or one a row; so the zero point
    a_zero: torch.Tensor,
    b: torch.Tensor,  # [… K, N] levels
    b_scale: torch.Tensor,  # one, or one a column; so the zero point
    b_zero: torch.Tensor,
    y_scale: torch.Tensor,
    y_zero: torch.Tensor,
) -> torch.Tensor:
    if y_scale.numel() > 1:
        raise InputError("QLinearMatMul with a scale for each row of its output: quantise the output as a whole")
    product = level_product(a, a_zero, b, b_zero)
    wide = torch.promote_types(a_scale.dtype, torch.float32)
    rows, columns = along(a_scale.to(wide), a, a.dim() - 2), along(b_scale.to(wide), b, b.dim() - 1)
    steps = product.to(wide) * (rows * columns / y_scale.to(wide).reshape(()))
    return quantised(steps, y_zero, integer_type(y_zero), carried(a, b))
