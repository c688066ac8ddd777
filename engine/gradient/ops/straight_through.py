"""Meanings that are taken where gradients are wanted: the values of the exact ones, and a gradient (see levels.py)."""

from __future__ import annotations

import torch

from . import operator
from .casting import cast
from .levels import integer_type, quantised, round_through, through
from .quantised import dynamic_levels, in_steps


@operator("QuantizeLinear", since=10, straight_through=True)
def quantize_linear(
    x: torch.Tensor,
    scale: torch.Tensor,
    zero: torch.Tensor | None = None,
    *,
    axis: int = 1,
    block_size: int = 0,
    level_type: torch.dtype | None = None,
    output_dtype: torch.dtype | None = None,
    precision: int = 0,
    saturate: int = 1,
) -> torch.Tensor:
    steps = in_steps(x, scale, axis, block_size)
    dtype = level_type or integer_type(zero)
    if dtype.is_floating_point:
        largest = torch.finfo(dtype).max
        return through(
            steps.clamp(-largest, largest), cast(steps.detach(), to=dtype, saturate=saturate).to(steps.dtype)
        )
    return quantised(steps, zero, dtype, True, axis, block_size)


@operator("DynamicQuantizeLinear", since=11, several=True, straight_through=True)
def dynamic_quantize_linear(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return dynamic_levels(x)


@operator("Round", since=11, straight_through=True)
def round_half_to_even(x: torch.Tensor) -> torch.Tensor:
    """Networks trained to be quantised write their quantisation as Div, Round, Clip, Mul."""
    return round_through(x)
