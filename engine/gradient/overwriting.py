"""Relu and Relu6 that write into the memory of their input, and of the gradient that arrives, where nobody else reads
it: most of their time goes into memory that has to be found, emptied and given back.
"""

from __future__ import annotations

import math
from typing import Any

import torch


def clipped(x: torch.Tensor, high: float, own_gradient: bool) -> torch.Tensor:
    """Values between 0 and `high` (inf: none such), in x's place.

    `own_gradient`: the gradient that arrives is a tensor of its own, which may be overwritten too.
    """
    y: torch.Tensor = _Clipped.apply(x, high, own_gradient)
    return y


class _Clipped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, high: float, own_gradient: bool) -> torch.Tensor:
        ctx.mark_dirty(x)
        y = x.relu_() if high == math.inf else x.clamp_(0, high)
        ctx.save_for_backward(y)
        ctx.high, ctx.own_gradient = high, own_gradient
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (y,), arriving = ctx.saved_tensors, gradients[0]
        if torch.is_grad_enabled():  # someone wants the gradient's gradient
            return arriving * ((y > 0) & (y < ctx.high)), None, None
        gone = arriving if ctx.own_gradient and arriving.stride() == y.stride() else torch.empty_like(y)
        if ctx.high == math.inf:
            torch.ops.aten.threshold_backward.grad_input(arriving, y, 0, grad_input=gone)
        else:
            torch.ops.aten.hardtanh_backward.grad_input(arriving, y, 0, ctx.high, grad_input=gone)
        return gone, None, None
