"""Operators that make tensors out of nothing but sizes."""

from __future__ import annotations

import math

import torch

from . import operator


@operator("Constant")
def constant(*, value: torch.Tensor) -> torch.Tensor:
    """Numbers, dense or sparse (the pre-pass writes every kind as `value`)."""
    return value


@operator("ConstantOfShape")
def constant_of_shape(
    shape: torch.Tensor, *, value: torch.Tensor | None = None, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """`dtype` is no attribute: the type of the zeros where there is no `value`."""
    return torch.zeros(shape.tolist(), dtype=dtype) if value is None else value.reshape(()).expand(shape.tolist())


@operator("EyeLike")
def eye_like(x: torch.Tensor, *, dtype: torch.dtype | None = None, k: int = 0) -> torch.Tensor:
    rows, columns = (torch.arange(size, device=x.device) for size in x.shape)
    return (columns - rows.unsqueeze(1) == k).to(dtype or x.dtype)


@operator("Range")
def arange(
    start: torch.Tensor, limit: torch.Tensor, delta: torch.Tensor, *, stash_type: torch.dtype | None = None
) -> torch.Tensor:
    """`stash_type` says how precisely at least to compute; torch's float64 scalars always suffice."""
    first, last, step = start.item(), limit.item(), delta.item()
    count = max(0, math.ceil((last - first) / step))
    if start.is_floating_point():
        return start + delta * torch.arange(count, dtype=start.dtype, device=start.device)
    return torch.arange(first, first + count * step, step, dtype=start.dtype, device=start.device)
