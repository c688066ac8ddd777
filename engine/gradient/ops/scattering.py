"""Operators that place values by index.

Where an index comes twice and nothing reduces, the last value wins, and only it has a gradient; torch leaves both open.
"""

from __future__ import annotations

import math

import torch

from . import operator
from .indexing import counted_from_start

_REDUCTIONS = {"mul": "prod", "max": "amax", "min": "amin"}


@operator("Scatter")
@operator("ScatterElements")
def scatter_elements(
    x: torch.Tensor, indices: torch.Tensor, updates: torch.Tensor, *, axis: int = 0, reduction: str = "none"
) -> torch.Tensor:
    axis = axis % x.dim()
    flat = torch.zeros((), dtype=torch.int64, device=x.device)
    for number, size in enumerate(x.shape):
        line = torch.arange(indices.shape[number], device=x.device)
        line = line.reshape([-1 if place == number else 1 for place in range(x.dim())])
        flat = flat * size + (counted_from_start(indices, x, size) if number == axis else line)
    return _place(x.reshape(-1, 1), flat.reshape(-1), updates.reshape(-1, 1), reduction).reshape(x.shape)


@operator("ScatterND")
def scatter_nd(
    x: torch.Tensor, indices: torch.Tensor, updates: torch.Tensor, *, reduction: str = "none"
) -> torch.Tensor:
    """`indices` [more …, depth]: each row says which slice of `x` takes the update."""
    depth = indices.shape[-1]
    flat = torch.zeros(indices.shape[:-1], dtype=torch.int64, device=x.device)
    for size, places in zip(x.shape[:depth], indices.unbind(-1), strict=True):
        flat = flat * size + counted_from_start(places, x, size)
    rows, width = math.prod(x.shape[:depth]), math.prod(x.shape[depth:])
    updates = updates.reshape(-1, width) if width else updates.reshape(flat.numel(), 0)
    return _place(x.reshape(rows, width), flat.reshape(-1), updates, reduction).reshape(x.shape)


def _place(
    x: torch.Tensor,  # [rows, width]
    places: torch.Tensor,  # [updates], each a row
    updates: torch.Tensor,  # [updates, width]
    reduction: str,
) -> torch.Tensor:
    if reduction == "none":
        return _overwritten(x, places, updates)
    if reduction == "add":
        return x.index_add(0, places, updates)
    return x.scatter_reduce(0, places.unsqueeze(1).expand_as(updates), updates, _REDUCTIONS[reduction])


def _overwritten(x: torch.Tensor, places: torch.Tensor, updates: torch.Tensor) -> torch.Tensor:
    """Of several updates of one row the last one holds; torch does not say which."""
    reached = torch.zeros(len(x), dtype=torch.bool, device=x.device).index_fill(0, places, True)
    if len(places) == int(reached.sum()):  # each is reached once
        return x.scatter(0, places.unsqueeze(1).expand_as(updates), updates)
    order = torch.arange(len(places), device=places.device)
    last = order.new_zeros(len(x)).scatter_reduce(0, places, order, "amax", include_self=False)
    taken = updates.gather(0, last.unsqueeze(1).expand_as(x))
    return torch.where(reached.unsqueeze(1), taken, x)
