"""Gram matrices as a function that torch can differentiate, as often as asked."""

from __future__ import annotations

from typing import Any

import torch

from . import compute


class Gram(torch.autograd.Function):
    """x [N, C, L], divisor -> X Xᵀ / divisor, [N, C, C]."""

    @staticmethod
    def forward(x: torch.Tensor, divisor: float) -> torch.Tensor:
        return compute(x, divisor)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[torch.Tensor, float], output: torch.Tensor) -> None:
        x, ctx.divisor = inputs
        ctx.save_for_backward(x)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        """(G + Gᵀ) X / divisor: one product where the rule for X Xᵀ takes two. torch differentiates it again."""
        (x,) = ctx.saved_tensors
        return torch.bmm(gradient + gradient.mT, x).div(ctx.divisor), None
