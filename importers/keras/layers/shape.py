"""Layers that move numbers without changing them, or scale them all alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from onnx import TensorProto

from ...channels_last import axis_first
from ...graph_builder import Dim
from ..layer_writer import OTHER_MASK, LayerWriter

_END = 2**63 - 1  # of an axis, however long


def flatten(layer: LayerWriter) -> None:
    """All axes but the batch as one, in Keras' order; for Dense layers alone in any, their rows follow it."""
    shape = layer.shape()
    if len(shape) == 2:
        layer.passes()
        return
    sides = shape[1:] if layer.channels_last else (*shape[2:], shape[1])
    many = [side for side in sides[:-1] if side != 1]
    if len(shape) < 2:
        raise layer.error("expected at least a batch and one axis")
    if layer.only_for_dense and all(isinstance(side, int) for side in sides) and many:
        x = layer.spatial()
        if layer.first or not layer.channels_last:
            flat = layer.emit("Flatten", [x], axis=1)
            layer.scope.flattened[flat] = layer.sizes(sides)
            return
    if not many:
        layer.emit("Flatten", [layer.either()], axis=1)
        return
    x = layer.source()
    if not layer.channels_last:
        x = layer.add("channels_last", "Transpose", [x], perm=[0, *range(2, len(shape)), 1])
    layer.emit("Flatten", [x], axis=1)


def reshape(layer: LayerWriter) -> None:
    """To other sizes, in Keras' order; the batch stays."""
    sizes = layer.option("target_shape", [])
    reshape_to(layer, [-1 if size is None else size for size in sizes])  # None: as TensorFlow.js writes it


def reshape_to(layer: LayerWriter, target: list[int]) -> None:
    """The layer's result: its input with these axes after the batch, at most one of them -1."""
    sides = layer.shape()[1:]
    known = [side for side in sides if isinstance(side, int)]
    if -1 in target and len(known) == len(sides):
        rest = math.prod(size for size in target if size != -1)
        target = [math.prod(known) // max(rest, 1) if size == -1 else size for size in target]
    if target.count(-1) > 1 or any(size < -1 or size == 0 for size in target):
        raise layer.error(f"expected sizes to reshape to, found {target}")
    vector = len(known) == len(sides) and sum(side != 1 for side in sides) <= 1  # then no order can be wrong
    if vector and len(target) > 1 and all(size == 1 for size in target[:-1]):
        x, layer.first = layer.either(), True
        target = [target[-1], *target[:-1]]
    elif vector:
        x, layer.first = layer.either(), False
    else:
        x = layer.source()
    layer.emit("Reshape", [x, layer.ints("shape", [0, *target])])


def permute(layer: LayerWriter) -> None:
    """Axes in another order, counted from 1 after the batch."""
    dims, rank = layer.option("dims", []), len(layer.shape())
    if sorted(dims) != list(range(1, rank)):
        raise layer.error(f"expected an order of the axes 1 to {rank - 1}, found {dims}")
    transpose_to(layer, [0, *dims])


def transpose_to(layer: LayerWriter, order: Sequence[int]) -> None:
    """The layer's result: its input with its axes in another order."""
    x = layer.either()
    perm = [axis_first(axis, len(order)) for axis in order] if layer.first else list(order)
    layer.first = False
    layer.emit("Transpose", [x], perm=perm)


def repeat_vector(layer: LayerWriter) -> None:
    """[N, F] -> [N, n, F]."""
    x = layer.source()
    wide = layer.add("widened", "Unsqueeze", [x, layer.ints("axes", [1])])
    layer.emit("Tile", [wide, layer.ints("repeats", [1, layer.option("n", 1), 1])])


def _pairs(layer: LayerWriter, name: str, axes: int) -> list[tuple[int, int]]:
    """(before, after) a side: from one number, one a side, a pair a side, or the four of Keras 1."""
    given = layer.option(name, 1)
    if isinstance(given, int):
        return [(given, given)] * axes
    given = list(given)
    if axes == 1 and len(given) == 2 and all(isinstance(entry, int) for entry in given):
        return [(given[0], given[1])]
    if axes == 2 and len(given) == 4 and all(isinstance(entry, int) for entry in given):
        return [(given[0], given[1]), (given[2], given[3])]
    pairs = [(entry, entry) if isinstance(entry, int) else tuple(entry) for entry in given]
    if len(pairs) != axes or any(len(pair) != 2 or min(pair) < 0 for pair in pairs):
        raise layer.error(f"{name} expects a pair for each of {axes} axes, found {given}")
    return [(int(before), int(after)) for before, after in pairs]


def _zero_padding(axes: int) -> Callable[[LayerWriter], None]:
    def write(layer: LayerWriter) -> None:
        pairs, x = _pairs(layer, "padding", axes), layer.spatial()
        before, after = ([pair[end] for pair in pairs] for end in (0, 1))
        layer.emit("Pad", [x, layer.ints("pads", [0, 0, *before, 0, 0, *after])])

    return write


def _cropping(axes: int) -> Callable[[LayerWriter], None]:
    def write(layer: LayerWriter) -> None:
        pairs, x = _pairs(layer, "cropping", axes), layer.spatial()
        for (before, after), side in zip(pairs, layer.graph.shape(x)[2:], strict=True):
            if isinstance(side, int) and before + after >= side:
                raise layer.error(f"crops {before} + {after} from a side of {side}")
        ends = [-after if after else _END for _, after in pairs]
        crop(layer, x, [before for before, _ in pairs], ends)

    return write


def crop(layer: LayerWriter, x: str, starts: Sequence[int], ends: Sequence[int]) -> None:
    """The layer's result: a part of each side of x [N, C, *sides]."""
    bounds = [layer.ints("starts", starts), layer.ints("ends", ends)]
    layer.emit("Slice", [x, *bounds, layer.ints("axes", range(2, 2 + len(starts)))])


def center_crop(layer: LayerWriter) -> None:
    """The middle part of an image, which must be as large at least."""
    x = layer.spatial()
    sides: tuple[Dim, ...] = layer.graph.shape(x)[2:]
    wanted = [layer.option("height"), layer.option("width")]
    starts = [(side - size) // 2 for side, size in zip(layer.sizes(sides), wanted, strict=True)]
    if min(starts) < 0 or any(size > side for side, size in zip(layer.sizes(sides), wanted, strict=True)):
        raise layer.error(f"an image of {list(sides)} would be enlarged to {wanted}, which is not supported")
    crop(layer, x, starts, [start + size for start, size in zip(starts, wanted, strict=True)])


def rescaling(layer: LayerWriter) -> None:
    """x * scale + offset."""
    x, rank = layer.either(), len(layer.shape())
    scale = layer.broadcast("scale", layer.option("scale", 1.0), rank)
    offset = layer.option("offset", 0.0)
    if not np.any(offset):
        layer.emit("Mul", [x, scale])
    else:
        layer.emit("Add", [layer.add("scaled", "Mul", [x, scale]), layer.broadcast("offset", offset, rank)])


def masking(layer: LayerWriter) -> None:
    """Steps of a sequence whose numbers all are `mask_value` become 0."""
    x = layer.source()
    same = layer.add("same", "Equal", [x, layer.constant("mask_value", layer.option("mask_value", 0.0))])
    other = layer.add("other", "Cast", [layer.add("not", "Not", [same])], to=TensorProto.FLOAT)
    any_other = layer.add("any", "ReduceMax", [other], axes=[-1], keepdims=1)
    result = layer.emit("Mul", [x, any_other])
    layer.scope.masks[result] = OTHER_MASK
    if len(layer.shape()) == 3:
        steps = layer.add("steps", "Squeeze", [any_other, layer.ints("last", [2])])
        layer.scope.masks[result] = layer.add("mask", "Cast", [steps], to=TensorProto.BOOL)


LAYERS = {
    "CenterCrop": center_crop,
    "Flatten": flatten,
    "Masking": masking,
    "Permute": permute,
    "RepeatVector": repeat_vector,
    "Rescaling": rescaling,
    "Reshape": reshape,
    **{f"Cropping{axes}D": _cropping(axes) for axes in (1, 2, 3)},
    **{f"ZeroPadding{axes}D": _zero_padding(axes) for axes in (1, 2, 3)},
}
