"""Operators that pick values by index and order them."""

from __future__ import annotations

import torch

from . import operator


@operator("Gather")
def gather(x: torch.Tensor, indices: torch.Tensor, *, axis: int = 0) -> torch.Tensor:
    if not indices.dim():
        return x.select(axis, int(indices))
    return x[(slice(None),) * (axis % x.dim()) + (indices.to(x.device),)]


def counted_from_start(indices: torch.Tensor, like: torch.Tensor, size: int) -> torch.Tensor:
    """int64 indices on the device of `like`, the negative ones counted from the end."""
    indices = indices.to(like.device, torch.int64)
    return torch.where(indices < 0, indices + size, indices)


@operator("GatherElements")
def gather_elements(x: torch.Tensor, indices: torch.Tensor, *, axis: int = 0) -> torch.Tensor:
    return x.gather(axis, counted_from_start(indices, x, x.shape[axis]))


@operator("GatherND")
def gather_nd(x: torch.Tensor, indices: torch.Tensor, *, batch_dims: int = 0) -> torch.Tensor:
    """`indices` [batch …, more …, depth]: each row picks from the axes after the batch's."""
    indices, rank = indices.to(x.device), indices.dim() - 1
    batch = [
        torch.arange(size, device=x.device).reshape([-1 if axis == number else 1 for axis in range(rank)])
        for number, size in enumerate(x.shape[:batch_dims])
    ]
    return x[(*batch, *indices.unbind(-1))]


@operator("NonZero")
def nonzero(x: torch.Tensor) -> torch.Tensor:
    return x.reshape(-1).nonzero().T if not x.dim() else x.nonzero().T


@operator("Compress")
def compress(x: torch.Tensor, condition: torch.Tensor, *, axis: int | None = None) -> torch.Tensor:
    x, axis = (x.reshape(-1), 0) if axis is None else (x, axis)
    return x.index_select(axis, condition.to(x.device).nonzero().squeeze(1))


@operator("OneHot")
def one_hot(
    indices: torch.Tensor,
    depth: torch.Tensor,
    values: torch.Tensor,  # [off, on]
    *,
    axis: int = -1,
) -> torch.Tensor:
    """An index outside [-depth, depth) is off everywhere."""
    count, rank = int(depth), indices.dim() + 1
    classes = torch.arange(count, device=values.device)
    classes = classes.reshape([-1 if place == axis % rank else 1 for place in range(rank)])
    off, on = values
    return torch.where(counted_from_start(indices, values, count).unsqueeze(axis) == classes, on, off)


@operator("Unique", several=True)
def unique(x: torch.Tensor, *, axis: int | None = None, sorted: int = 1) -> tuple[torch.Tensor, ...]:
    """Values, where each stands first, which of them each entry is, how often it occurs."""
    x, axis = (x.reshape(-1), 0) if axis is None else (x, axis)
    _, inverse, counts = torch.unique(x.detach(), return_inverse=True, return_counts=True, dim=axis)
    places = torch.arange(len(inverse), device=x.device)
    first = torch.full_like(counts, len(inverse)).scatter_reduce(0, inverse, places, "amin")
    if not sorted:
        order = first.argsort()
        first, counts, inverse = first[order], counts[order], order.argsort()[inverse]
    return x.index_select(axis, first), first, inverse, counts


@operator("TopK", since=10, several=True)
def top_k(
    x: torch.Tensor, k: torch.Tensor, *, axis: int = -1, largest: int = 1, sorted: int = 1
) -> tuple[torch.Tensor, ...]:
    """Of equal values the first ones, as ONNX has it; torch's own topk does not say which."""
    values, indices = x.sort(dim=axis, descending=bool(largest), stable=True)
    return values.narrow(axis, 0, int(k)), indices.narrow(axis, 0, int(k))


@operator("TopK", several=True)
def top_k_by_attribute(x: torch.Tensor, *, k: int, axis: int = -1) -> tuple[torch.Tensor, ...]:
    return top_k(x, torch.tensor(k), axis=axis)


@operator("ReverseSequence")
def reverse_sequence(
    x: torch.Tensor, lengths: torch.Tensor, *, batch_axis: int = 1, time_axis: int = 0
) -> torch.Tensor:
    """The first `lengths[b]` steps of sequence b turned around, the others kept."""
    steps = torch.arange(x.shape[time_axis], device=x.device)
    ends = lengths.to(x.device).unsqueeze(1)
    order = torch.where(steps < ends, ends - 1 - steps, steps)  # [batch, time]
    sequences = torch.arange(len(order), device=x.device).unsqueeze(1)
    turned = x.movedim((batch_axis, time_axis), (0, 1))[sequences, order]
    return turned.movedim((0, 1), (batch_axis, time_axis))
