"""How a change travels through what keeps places apart, and through sums over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from operator import mul
from typing import Any

import torch
from torch import fx

from ..gradient.kinds import kind
from .steps import Axes, Compute, Reading
from .travel import Tensors, Travel, as_it_is, in_place
from .windows import Window


def elementwise(node: fx.Node, tensors: Tensors) -> Travel | None:
    """Its other arguments must be the same at every place."""
    sources = tensors.changing(node)
    axes, value = tensors.axes[sources[0]], tensors.value(sources[0])
    sizes = {(tensors.axes[source], tensors.size(source), tensors.value(source).dim()) for source in sources}
    others = (tensors.clean[other] for other in node.all_input_nodes if other not in sources)
    if len(sizes) > 1 or not all(_same_everywhere(other, axes, value.dim()) for other in others):
        return None
    return in_place(node, tensors)


def unchanged(node: fx.Node, like: Sequence[fx.Node], tensors: Tensors) -> Travel:
    """What is read beside maps that change: windows of it, where theirs are."""
    axes = tensors.axes[like[0]]

    def compute(window: Window, read: Window) -> Compute:
        reading = Reading.of(node, axes, window, window, 0.0)
        return lambda values, run: reading.unchanged(run)

    return Travel(node, (), axes, tensors.united(tuple(like)), as_it_is, compute)


def of_channels(node: fx.Node, tensors: Tensors) -> Travel | None:
    """What looks along axis 1, with constants that have no other."""
    others = node.all_input_nodes[1:]
    constant = all(other not in tensors.reaches and tensors.clean[other].dim() == 1 for other in others)
    return _apart(node, tensors, [1]) if constant else None


def along_axis(node: fx.Node, tensors: Tensors) -> Travel | None:
    """What looks along the axis of that name; its other arguments are constants."""
    return _apart(node, tensors, [_axis(node, -1)])


def concatenation(node: fx.Node, tensors: Tensors) -> Travel | None:
    sources = tensors.changing(node)
    if len(sources) < len(node.all_input_nodes) or len({tensors.axes[source] for source in sources}) > 1:
        return None  # a constant has no windows
    return _apart(node, tensors, [_axis(node, 1)])


def softmax(node: fx.Node, tensors: Tensors) -> Travel | None:
    """Before opset 13 it looked at all axes from `axis` on: only what gives the same along one axis passes."""
    (source,) = tensors.changing(node)
    axis = _axis(node, -1)
    function = {"Softmax": torch.softmax, "LogSoftmax": torch.log_softmax}[kind(node)]
    alone = function(tensors.value(source), axis)
    return _apart(node, tensors, [axis]) if torch.allclose(alone, tensors.value(node), 1e-5, 1e-7) else None


def from_axis(node: fx.Node, tensors: Tensors) -> Travel | None:
    """What looks at all axes from `axis` on; its scale and bias count from there, too."""
    (source,) = tensors.changing(node)
    rank = tensors.value(source).dim()
    return _apart(node, tensors, list(range(_axis(node, -1) % rank, rank)))


def product(node: fx.Node, tensors: Tensors) -> Travel | None:
    """Of the last axis with a constant matrix."""
    matrix = tensors.constants.value(node.args[1])
    if matrix is None or matrix.dim() != 2 or tensors.changing(node) != (node.args[0],):
        return None
    (source,) = tensors.changing(node)
    macs = tensors.value(source).numel() * matrix.shape[1]
    apart = tensors.value(source).dim() - 1 not in tensors.axes[source]
    return in_place(node, tensors, macs=macs) if apart else None


def reduction(node: fx.Node, tensors: Tensors) -> Travel | None:
    """Over channels each place is for itself; sums over all places change by what a window changes."""
    (source,) = tensors.changing(node)
    rank = tensors.value(source).dim()
    held: Any = node.args[1] if len(node.args) > 1 else node.kwargs.get("axes")
    named = tensors.clean[held].tolist() if isinstance(held, fx.Node) else held
    axes = [axis % rank for axis in named or ()]
    if set(axes) == set(tensors.axes[source]) and kind(node) in ("ReduceMean", "ReduceSum"):
        return _summed(node, source, tensors, kind(node) == "ReduceMean")
    return _apart(node, tensors, axes) if axes and node.kwargs.get("keepdims", 1) else None


def global_mean(node: fx.Node, tensors: Tensors) -> Travel | None:
    (source,) = tensors.changing(node)
    return _summed(node, source, tensors, True) if tensors.axes[source] == (2, 3) else None


def pick(node: fx.Node, tensors: Tensors) -> Travel | None:
    """Values by index along an axis."""
    indices = tensors.clean[node.all_input_nodes[1]]
    apart = isinstance(indices, torch.Tensor) and indices.dim() == 1
    return _apart(node, tensors, [_axis(node, 0)]) if apart else None


def transposition(node: fx.Node, tensors: Tensors) -> Travel | None:
    (source,) = tensors.changing(node)
    rank = tensors.value(source).dim()
    perm: Any = node.kwargs.get("perm")
    order = list(perm or reversed(range(rank)))
    rows, columns = (order.index(axis) for axis in tensors.axes[source])
    return in_place(node, tensors, (rows, columns)) if order[0] == 0 and rows < columns else None


def reshape(node: fx.Node, tensors: Tensors) -> Travel | None:
    """Where rows and columns stay axes of their own."""
    (source,) = tensors.changing(node)
    before, behind = tensors.value(source).shape, tensors.value(node).shape
    rows, columns = (_same_axis(before, behind, axis) for axis in tensors.axes[source])
    if rows is None or columns is None or behind[0] != 1:
        return None
    axes, others = (rows, columns), [size for axis, size in enumerate(behind) if axis not in (0, rows, columns)]
    at_the_end = axes == (len(behind) - 2, len(behind) - 1) and tensors.axes[source] == (
        len(before) - 2,
        len(before) - 1,
    )

    def compute(window: Window, read: Window) -> Compute:
        sizes = [size.size for size in window]
        if at_the_end:  # the channels of a place lie together, and stay so
            return lambda values, run: _places_first(values[0]).reshape(-1, *sizes, *others).movedim((1, 2), axes)
        shape = [dict(zip(axes, sizes, strict=True)).get(axis, size) for axis, size in enumerate(behind)]
        return lambda values, run: values[0].reshape(-1, *shape[1:])

    return Travel(node, (source,), axes, tensors.reaches[source], as_it_is, compute)


def _places_first(x: torch.Tensor) -> torch.Tensor:
    return x.movedim((-2, -1), (1, 2))


def _same_axis(before: Sequence[int], behind: Sequence[int], axis: int) -> int | None:
    """The axis of the other shape that counts the same places."""
    step = list(accumulate(before, mul))[axis]
    found = (other for other, product in enumerate(accumulate(behind, mul)) if product == step)
    return next((other for other in found if other and behind[other] == before[axis]), None)


def _summed(node: fx.Node, source: fx.Node, tensors: Tensors, mean: bool) -> Travel:
    """A sum over all places, from the one without the change and the window's change."""
    axes = tensors.axes[source]
    share = 1 / (tensors.size(source)[0] * tensors.size(source)[1]) if mean else 1.0

    def compute(window: Window, read: Window) -> Compute:
        reading = Reading.of(source, axes, window, read, 0.0)

        def update(values: Any, run: Any) -> torch.Tensor:
            change = (values[0] - reading.unchanged(run)).sum(axes) * share
            clean: torch.Tensor = run.clean[node]
            return clean + change.reshape(-1, *clean.shape[1:])

        return update

    return Travel(node, (source,), axes, None, as_it_is, compute)


def _axis(node: fx.Node, otherwise: int) -> int:
    axis: Any = node.kwargs.get("axis", otherwise)
    return int(axis)


def _apart(node: fx.Node, tensors: Tensors, axes: Sequence[int]) -> Travel | None:
    """A function that looks along these axes only, where they are neither images nor places."""
    sources = tensors.changing(node)
    rank = tensors.value(sources[0]).dim()
    places = tensors.axes[sources[0]]
    return in_place(node, tensors) if all(axis % rank not in (0, *places) for axis in axes) else None


def _same_everywhere(value: Any, axes: Axes, rank: int) -> bool:
    """Whether what meets a map of so many axes is the same at every place of it, and for every image."""
    if not isinstance(value, torch.Tensor):
        return True
    places = [axis - rank + value.dim() for axis in (0, *axes)]
    return value.dim() <= rank and all(place < 0 or value.shape[place] == 1 for place in places)
