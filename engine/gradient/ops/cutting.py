"""Operators that join, cut and widen."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from . import operator


@operator("Concat")
def concat(*parts: torch.Tensor, axis: int = 1) -> torch.Tensor:
    return torch.cat(parts, axis)


# -- Split ---


@operator("Split", since=13, several=True)
def split(
    x: torch.Tensor,
    sizes: torch.Tensor | None = None,
    *,
    axis: int = 0,
    num_outputs: int | None = None,
    n_outputs: int,
) -> tuple[torch.Tensor, ...]:
    """Equal parts unless `sizes` says otherwise; the last one is smaller where they do not come out even."""
    return _split(x, None if sizes is None else sizes.tolist(), axis, num_outputs or n_outputs)


@operator("Split", several=True)
def split_by_attribute(
    x: torch.Tensor,
    sizes: torch.Tensor | None = None,
    *,
    axis: int = 0,
    split: Sequence[int] | None = None,
    n_outputs: int,
) -> tuple[torch.Tensor, ...]:
    return _split(x, split if sizes is None else sizes.tolist(), axis, n_outputs)


def _split(x: torch.Tensor, sizes: Sequence[int] | None, axis: int, count: int) -> tuple[torch.Tensor, ...]:
    if sizes is None:
        total, part = x.shape[axis], -(-x.shape[axis] // count)
        sizes = [max(0, min(part, total - start)) for start in range(0, part * count, part)] if part else [0] * count
    return x.split(list(sizes), axis)


# -- Slice ---


@operator("Slice", since=10)
def slice_by_inputs(
    x: torch.Tensor,
    starts: torch.Tensor,
    ends: torch.Tensor,
    axes: torch.Tensor | None = None,
    steps: torch.Tensor | None = None,
) -> torch.Tensor:
    begin, end = starts.tolist(), ends.tolist()
    return _slice(
        x,
        range(len(begin)) if axes is None else axes.tolist(),
        [slice(*cut) for cut in zip(begin, end, [1] * len(begin) if steps is None else steps.tolist(), strict=True)],
    )


@operator("Slice")
def slice_by_attributes(
    x: torch.Tensor, *, starts: Sequence[int], ends: Sequence[int], axes: Sequence[int] | None = None
) -> torch.Tensor:
    cuts = [slice(begin, end) for begin, end in zip(starts, ends, strict=True)]
    return _slice(x, range(len(cuts)) if axes is None else axes, cuts)


def _slice(x: torch.Tensor, axes: Sequence[int], cuts: Sequence[slice]) -> torch.Tensor:
    """ONNX counts as Python does; torch cannot step backwards, so there the slice is taken forwards and turned."""
    taken, turned = [slice(None)] * x.dim(), []
    for axis, cut in zip(axes, cuts, strict=True):
        chosen = range(*cut.indices(x.shape[axis]))
        if chosen.step < 0:
            chosen = chosen[::-1]
            turned.append(axis)
        taken[axis] = slice(chosen.start, max(chosen.start, chosen.stop), chosen.step)
    x = x[tuple(taken)]
    return x.flip(turned) if turned else x


# -- Pad ---


@operator("Pad", since=11)
def pad(
    x: torch.Tensor,
    pads: torch.Tensor,
    constant_value: torch.Tensor | None = None,
    axes: torch.Tensor | None = None,
    *,
    mode: str = "constant",
) -> torch.Tensor:
    """No gradient reaches `constant_value`."""
    value = 0 if constant_value is None or not constant_value.numel() else constant_value.item()
    return _pad(x, pads.tolist(), range(x.dim()) if axes is None else axes.tolist(), mode, value)


@operator("Pad", since=2)
def pad_by_attributes(
    x: torch.Tensor, *, pads: Sequence[int], mode: str = "constant", value: float = 0.0
) -> torch.Tensor:
    return _pad(x, pads, range(x.dim()), mode, value)


def _pad(
    x: torch.Tensor,
    pads: Sequence[int],  # [begin …, end …] of `axes`
    axes: Sequence[int],
    mode: str,
    value: float,
) -> torch.Tensor:
    sides = [(0, 0)] * x.dim()
    for axis, begin, end in zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True):
        sides[axis] = (begin, end)
    if mode == "constant":
        return F.pad(x, [side for pair in reversed(sides) for side in pair], value=value)
    for axis, (begin, end) in enumerate(sides):
        if begin or end:
            x = x.index_select(axis, _sources(x.shape[axis], begin, end, mode).to(x.device))
    return x


def _sources(size: int, begin: int, end: int, mode: str) -> torch.Tensor:
    """Where each value of a widened (or, where negative, cut) axis comes from."""
    if mode == "reflect":  # what is cut off is no part of what is mirrored
        first, size = max(0, -begin), size + min(0, begin) + min(0, end)
        period = max(1, 2 * (size - 1))
        places = torch.arange(-max(0, begin), size + max(0, end)) % period
        return first + torch.minimum(places, period - places)
    places = torch.arange(-begin, size + end)
    return places % size if mode == "wrap" else places.clamp(0, size - 1)


@operator("CenterCropPad")
def center_crop_pad(x: torch.Tensor, shape: torch.Tensor, *, axes: Sequence[int] | None = None) -> torch.Tensor:
    """The middle of each axis, or zeros on both its sides; what is odd is cut or added at the end."""
    sides = [(0, 0)] * x.dim()
    for axis, wanted in zip(range(x.dim()) if axes is None else axes, shape.tolist(), strict=True):
        spare = wanted - x.shape[axis]
        begin = spare // 2 if spare > 0 else -(-spare // 2)
        sides[axis] = (begin, spare - begin)
    return F.pad(x, [side for pair in reversed(sides) for side in pair])


@operator("Trilu")
def trilu(x: torch.Tensor, k: torch.Tensor | None = None, *, upper: int = 1) -> torch.Tensor:
    diagonal = 0 if k is None else int(k)
    return x.triu(diagonal) if upper else x.tril(diagonal)
