"""Activation functions."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from . import operator


@operator("Relu")
def relu(x: torch.Tensor) -> torch.Tensor:
    return F.relu(x)


@operator("Softmax", since=13)
def softmax(x: torch.Tensor, *, axis: int = -1) -> torch.Tensor:
    return x.softmax(axis)


@operator("Softmax")
def softmax_flattened(x: torch.Tensor, *, axis: int = 1) -> torch.Tensor:
    """Before opset 13 everything from `axis` on is one dimension."""
    return x.flatten(axis).softmax(-1).reshape(x.shape) if axis % x.dim() else x.flatten().softmax(0).reshape(x.shape)


@operator("Clip", since=11)
def clip(x: torch.Tensor, low: torch.Tensor | None = None, high: torch.Tensor | None = None) -> torch.Tensor:
    return x if low is None and high is None else torch.clamp(x, low, high)


@operator("Clip")
def clip_by_attributes(
    x: torch.Tensor, *, min: float = -3.4028234663852886e38, max: float = 3.4028234663852886e38
) -> torch.Tensor:
    return torch.clamp(x, min, max)
