"""Operators that only move values: shapes, axes, joining and cutting."""

from __future__ import annotations

import torch

from . import operator


@operator("Identity")
def identity(x: torch.Tensor) -> torch.Tensor:
    return x


@operator("Flatten")
def flatten(x: torch.Tensor, *, axis: int = 1) -> torch.Tensor:
    axis = axis % (x.dim() + 1) if axis < 0 else axis
    return x.reshape(x.shape[:axis].numel(), -1)
