"""Gradients of unpool through torch."""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd.function import once_differentiable

from ..arrays import empty
from . import run, take
from .window import Geometry

EXACT = 1 << 24  # float32 has every whole number below


class Unpool(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        y: torch.Tensor,
        switches: torch.Tensor,
        geometry: Geometry,
        shape: tuple[int, ...],
        overwrite: bool,
        relu: bool,
    ) -> torch.Tensor:
        out = run(y, switches, geometry, empty(shape, y), overwrite, relu)
        ctx.save_for_backward(switches, *([out] if relu else []))
        ctx.geometry, ctx.overwrite = geometry, overwrite
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        switches, *rectified = ctx.saved_tensors
        for out in rectified:
            grad = grad * (out > 0)
        values = take(grad, switches, ctx.geometry)
        if ctx.overwrite and ctx.geometry.window.overlaps(ctx.geometry.windows):
            values = values * _stayed(switches, ctx.geometry, grad)
        return values, None, None, None, None, None


def _stayed(switches: torch.Tensor, geometry: Geometry, grad: torch.Tensor) -> torch.Tensor:
    """Which windows' values no later window replaced: those that find their own number at their place."""
    count = switches.numel() // max(1, geometry.planes)
    numbers = torch.arange(count, device=grad.device).expand(geometry.planes, count).reshape(switches.shape)
    stayed = torch.ones_like(numbers, dtype=torch.bool)
    for digit in (numbers % EXACT, numbers // EXACT) if count > EXACT else (numbers,):
        own = digit.float()
        left = run(own, switches, geometry, empty(grad.shape, own), True, False)
        stayed &= take(left, switches, geometry) == own
    return stayed
