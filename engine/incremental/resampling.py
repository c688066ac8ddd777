"""How a change travels through what lays places out anew: Slice, Pad, Resize and their like.

Each output place is a place of the input, a mean of two neighbours, or a constant. Which, the operator itself tells: it
is run on tensors whose values are their own places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import fx

from .steps import Axes, Compute, as_rows, from_rows
from .travel import Tensors, Travel, in_place
from .windows import Reach, Span, Window

_FAR = 4096.0  # what is added to all places to see which outputs are constant
_CLOSE = 1e-9  # rounding of places, float64


def resampled(node: fx.Node, tensors: Tensors) -> Travel | None:
    if node.kwargs.get("antialias") or node.kwargs.get("mode") in ("cubic", "wrap"):
        return None
    if node.kwargs.get("coordinate_transformation_mode") == "tf_crop_and_resize":
        return None
    (source,) = tensors.changing(node)
    axes = tensors.axes[source]
    if tensors.value(node).dim() != tensors.value(source).dim():
        return None
    if _in_place(node, source, tensors):
        return in_place(node, tensors)
    rows, columns = (_origins(node, source, tensors, axis) for axis in axes)
    if rows is None or columns is None or not _keeps_channels(node, source, tensors):
        return None
    both, constant = (rows, columns), _constant(node, tensors, axes, rows, columns)

    def reads(window: Window) -> Window:
        above, across = (one.read(span) for one, span in zip(both, window, strict=True))
        return above, across

    def compute(window: Window, read: Window) -> Compute:
        down, over = (one.taps(*spans) for one, *spans in zip(both, window, read, strict=True))
        return lambda values, run: _laid_out(values[0], axes, down.part(run.numbers), over.part(run.numbers), constant)

    reach = (rows.reached(tensors.reaches[source][0]), columns.reached(tensors.reaches[source][1]))
    return Travel(node, (source,), axes, reach, reads, compute)


@dataclass(frozen=True)
class _Taps:
    """What is read along one axis, [positions, size] each."""

    before: np.ndarray  # the place before, counted in what is read; -1: a constant
    behind: np.ndarray
    share: np.ndarray  # of the place behind

    def part(self, numbers: slice) -> _Taps:
        return _Taps(self.before[numbers], self.behind[numbers], self.share[numbers])

    def matrix(self, read: int) -> np.ndarray:
        """[positions, size, read]: how much of each place."""
        found = np.zeros((*self.before.shape, read))
        for places, share in ((self.before, 1 - self.share), (self.behind, self.share)):
            at = np.maximum(places, 0)[..., None]
            np.put_along_axis(found, at, np.take_along_axis(found, at, 2) + share[..., None], 2)
        return found


def _laid_out(x: torch.Tensor, axes: Axes, down: _Taps, over: _Taps, constant: float) -> torch.Tensor:
    if down.share.any() or over.share.any():
        y = from_rows(_means(_means(as_rows(x, axes), 2, over), 1, down), x, axes)
    else:
        y = picked(x, axes, down.before, over.before)
    outside = (down.before < 0)[:, :, None] | (over.before < 0)[:, None, :]
    if outside.any():
        y = y.clone()
        y.movedim(axes, (1, 2))[torch.from_numpy(outside)] = constant
    return y


def _means(rows: torch.Tensor, axis: int, along: _Taps) -> torch.Tensor:
    """Matrix products: mostly with zeros, and yet faster than to gather both neighbours of every place."""
    x = rows.movedim(axis, 1)
    matrix = torch.from_numpy(along.matrix(x.shape[1])).to(x.dtype)
    return torch.bmm(matrix, x.flatten(2)).unflatten(2, x.shape[2:]).movedim(1, axis)


@dataclass(frozen=True)
class _Origins:
    """Along one axis, where each output place comes from; -1: it is a constant."""

    where: np.ndarray  # [outputs] float64; between two places it is a mean of both

    def reached(self, change: Reach) -> Reach:
        """The places that read any of the changed ones."""
        low, high = np.floor(self.where), np.ceil(self.where)
        reads = (high >= change.first[:, None]) & (low <= change.last[:, None]) & (self.where >= 0)
        first = reads.argmax(1)
        last = reads.shape[1] - 1 - reads[:, ::-1].argmax(1)
        return Reach(first, np.where(reads.any(1), last, first - 1))

    def read(self, outputs: Span) -> Span:
        where = self._of(outputs)
        known = where >= 0
        first = np.floor(np.where(known, where, np.inf).min(1, initial=np.inf))
        last = np.ceil(np.where(known, where, -np.inf).max(1, initial=-np.inf))
        first = np.where(np.isfinite(first), first, 0).astype(np.int64)
        last = np.where(np.isfinite(last), last, 0).astype(np.int64)
        return Span(first, int((last - first).max()) + 1)

    def taps(self, outputs: Span, read: Span) -> _Taps:
        where = self._of(outputs)
        before, behind = (
            np.where(where >= 0, towards(where) - read.at[:, None], -1).astype(np.int64)
            for towards in (np.floor, np.ceil)
        )
        return _Taps(before, behind, where - np.floor(where))

    def _of(self, outputs: Span) -> np.ndarray:
        return self.where[outputs.at[:, None] + np.arange(outputs.size)]


def picked(x: torch.Tensor, axes: Axes, rows: np.ndarray, columns: np.ndarray) -> torch.Tensor:
    """Of each position's window the places rows [positions, h] x columns [positions, w]; below 0: any."""
    if all(
        (places == places[:1, :1] + np.arange(places.shape[1])).all() and places[0, 0] >= 0
        for places in (rows, columns)
    ):
        return x.narrow(axes[0], rows[0, 0], rows.shape[1]).narrow(axes[1], columns[0, 0], columns.shape[1])
    found = as_rows(x, axes)
    count, height, width, channels = found.shape
    numbers = np.arange(count)[:, None, None]
    at = (numbers * height + np.maximum(rows, 0)[:, :, None]) * width + np.maximum(columns, 0)[:, None, :]
    # Copies a place's channels at once.
    found = found.reshape(-1, channels).index_select(0, torch.from_numpy(at.ravel()))
    return from_rows(found.reshape(*at.shape, channels), x, axes)


# -- asking the operator ---


def _asked(node: fx.Node, source: fx.Node, tensors: Tensors, axis: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The operator's output for an input whose values are its places along the axis, and which of it is no constant."""
    value = tensors.value(source)
    shape = [1] * value.dim()
    shape[axis] = -1
    places = torch.arange(value.shape[axis], dtype=torch.float64).reshape(shape).expand(value.shape)
    near, far = (_run(node, source, tensors, places + shift) for shift in (0.0, _FAR))
    return near, far - near > _FAR / 2


def _run(node: fx.Node, source: fx.Node, tensors: Tensors, value: torch.Tensor) -> torch.Tensor:
    def given(argument: fx.Node) -> Any:
        return value if argument is source else tensors.clean[argument]

    arguments: Any = fx.map_arg(node.args, given)
    found: torch.Tensor = node.target(*arguments, **node.kwargs)  # type: ignore[operator]
    return found


def _in_place(node: fx.Node, source: fx.Node, tensors: Tensors) -> bool:
    """Whether every place stays where it is: only channels are cut or added."""
    axes = tensors.axes[source]
    if tensors.size(source) != tensors.size(node, axes):
        return False
    for axis in axes:
        found, known = _asked(node, source, tensors, axis)
        shape = [1] * found.dim()
        shape[axis] = -1
        own = torch.arange(found.shape[axis], dtype=torch.float64).reshape(shape).expand(found.shape)
        if not torch.equal(found[known], own[known]) or not _alike_everywhere(known, axes):
            return False
    return True


def _alike_everywhere(known: torch.Tensor, axes: Axes) -> bool:
    """Whether what is constant is so at all places of a channel."""
    return bool((known.amin(axes) == known.amax(axes)).all())


def _origins(node: fx.Node, source: fx.Node, tensors: Tensors, axis: int) -> _Origins | None:
    """None where rows and columns do not keep apart."""
    found, known = _asked(node, source, tensors, axis)
    others = [other for other in range(found.dim()) if other != axis]
    highest = torch.where(known, found, -torch.inf).amax(others)
    lowest = torch.where(known, found, torch.inf).amin(others)
    if not known.any() or (highest - lowest > _CLOSE).any():
        return None
    where = highest.round(decimals=9)
    return _Origins(torch.where(where.isfinite(), where, -1.0).numpy())


def _keeps_channels(node: fx.Node, source: fx.Node, tensors: Tensors) -> bool:
    """Whether all but rows and columns stay as they are."""
    axes, value = tensors.axes[source], tensors.value(source)
    for axis in range(1, value.dim()):
        if axis not in axes:
            found = _origins(node, source, tensors, axis)
            if found is None or not np.array_equal(found.where, np.arange(value.shape[axis])):
                return False
    return True


def _constant(node: fx.Node, tensors: Tensors, axes: Axes, rows: _Origins, columns: _Origins) -> float:
    """What stands where no place of the input does."""
    outside = torch.from_numpy((rows.where < 0)[:, None] | (columns.where < 0)[None, :])
    return float(tensors.value(node).movedim(axes, (1, 2))[0][outside].flatten()[0]) if outside.any() else 0.0
