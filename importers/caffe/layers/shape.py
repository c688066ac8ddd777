"""Layers that move numbers without changing them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ...graph_builder import Dim
from ..layer_writer import BATCH, FixedBatchNeeded, LayerWriter


def concat(layer: LayerWriter) -> None:
    """Bottoms one after another along an axis."""
    param = layer.param("concat_param")
    axis = param.concat_dim if param.HasField("concat_dim") else param.axis
    layer.emit("Concat", layer.inputs, axis=layer.axis(axis))


def slice_(layer: LayerWriter) -> None:
    """One bottom cut along an axis, at given points or into equal parts."""
    param = layer.param("slice_param")
    axis = layer.axis(param.slice_dim if param.HasField("slice_dim") else param.axis)
    (size,) = layer.sizes(layer.shape()[axis : axis + 1])
    count = len(layer.outputs)
    points = [0, *param.slice_point, size] if param.slice_point else [size * k // count for k in range(count + 1)]
    parts = [end - start for start, end in pairwise(points)]
    if len(parts) != count or min(parts) < 1 or (not param.slice_point and size % count):
        raise layer.error(f"axis {axis} of size {size} cannot be cut into {count} tops at {list(param.slice_point)}")
    if count == 1:
        layer.emit("Identity", layer.inputs)
    else:
        layer.emit_all("Split", [*layer.inputs, layer.ints("parts", parts)], axis=axis)


def split(layer: LayerWriter) -> None:
    """The same blob under several names."""
    for top in range(len(layer.outputs)):
        layer.emit("Identity", layer.inputs, output=top)


def flatten(layer: LayerWriter) -> None:
    """Axes from `axis` to `end_axis` as one."""
    param = layer.param("flatten_param")
    start, end = layer.axis(param.axis), layer.axis(param.end_axis)
    shape = layer.shape()
    if start == 1 and end == len(shape) - 1:
        layer.emit("Flatten", layer.inputs, axis=1)
        return
    if start == 0:  # the flattened axes hold the batch: let ONNX work out their product
        target = [-1, *layer.sizes(shape[end + 1 :])]
    else:
        target = [0] * start + [math.prod(layer.sizes(shape[start : end + 1])), *layer.sizes(shape[end + 1 :])]
    layer.emit("Reshape", [*layer.inputs, layer.ints("shape", target)])


def reshape(layer: LayerWriter) -> None:
    """A new shape for the axes from `axis` on: 0 copies a size, -1 is worked out.

    A leading number that repeats the prototxt's batch size means "the batch", so that other batch sizes work.
    """
    param = layer.param("reshape_param")
    shape = layer.shape()
    start = layer.axis(param.axis, extra=1)
    end = len(shape) if param.num_axes == -1 else start + param.num_axes
    middle = [shape[start + i] if dim == 0 else dim for i, dim in enumerate(param.shape.dim)]
    target: list[Dim] = [*shape[:start], *middle, *shape[end:]]
    layer.emit("Reshape", [*layer.inputs, layer.ints("shape", _reshape_target(layer, shape, target))])


def _reshape_target(layer: LayerWriter, shape: tuple[Dim, ...], target: list[Dim]) -> list[int]:
    """ONNX's target: a dynamic first size, wherever it stays first, is copied."""
    if isinstance(shape[0], int):
        _check_elements(layer, shape, target)
        return list(layer.sizes(target))
    if target[0] == shape[0] or (shape[0] == BATCH and target[0] == layer.declared_batch):
        _check_elements(layer, shape[1:], target[1:])
        return [0, *layer.sizes(target[1:])]
    if target[0] == -1:
        return [-1, *layer.sizes(target[1:])]
    raise FixedBatchNeeded


def _check_elements(layer: LayerWriter, before: Sequence[Dim], after: Sequence[Dim]) -> None:
    """Raise InputError when the numbers of one shape cannot fill the other."""
    if not all(isinstance(dim, int) for dim in (*before, *after)):
        return
    have, want = (math.prod(dim for dim in dims if isinstance(dim, int) and dim != -1) for dims in (before, after))
    if (have % want if want else have) or (-1 not in after and have != want):
        raise layer.error(f"{list(before)} cannot take the shape {list(after)}")


def permute(layer: LayerWriter) -> None:
    """Axes in another order; those not named follow in theirs."""
    order = list(layer.param("permute_param").order)
    order += [axis for axis in range(len(layer.shape())) if axis not in order]
    layer.emit("Transpose", layer.inputs, perm=order)


def crop(layer: LayerWriter) -> None:
    """Axes from `axis` on cut to the size of the second bottom, starting at `offset`."""
    param = layer.param("crop_param")
    start = layer.axis(param.axis)
    have, want = layer.shape(0), layer.shape(1)
    count = len(have) - start
    offsets = list(param.offset) * (count if len(param.offset) == 1 else 1) or [0] * count
    if len(offsets) != count:
        raise layer.error(f"expected 1 or {count} offsets, found {len(offsets)}")
    axes = [axis for axis in range(start, len(have)) if have[axis] != want[axis] or offsets[axis - start]]
    if not axes:
        layer.emit("Identity", layer.inputs[:1])
        return
    starts = [offsets[axis - start] for axis in axes]
    ends = [begin + layer.sizes([want[axis]])[0] for begin, axis in zip(starts, axes, strict=True)]
    if any(end > layer.sizes([have[axis]])[0] for end, axis in zip(ends, axes, strict=True)):
        raise layer.error(f"cannot cut {list(want)} at offset {offsets} out of {list(have)}")
    cuts = (layer.ints("starts", starts), layer.ints("ends", ends), layer.ints("axes", axes))
    layer.emit("Slice", [layer.inputs[0], *cuts])


def tile(layer: LayerWriter) -> None:
    """The blob repeated along an axis."""
    param = layer.param("tile_param")
    repeats = [1] * len(layer.shape())
    repeats[layer.axis(param.axis)] = param.tiles
    layer.emit("Tile", [*layer.inputs, layer.ints("repeats", repeats)])


def shuffle_channel(layer: LayerWriter) -> None:
    """Channels of `group` groups dealt out in turn (ShuffleNet, Zhang et al. 2018)."""
    group = layer.param("shuffle_channel_param").group
    channels, *space = layer.sizes(layer.shape()[1:])
    if not group or channels % group:
        raise layer.error(f"{channels} channels do not divide into {group} groups")
    grouped = layer.ints("grouped_shape", [0, group, channels // group, *space])
    order = [0, 2, 1, *range(3, 3 + len(space))]
    swapped = layer.add("swapped", "Transpose", [layer.add("grouped", "Reshape", [*layer.inputs, grouped])], perm=order)
    layer.emit("Reshape", [swapped, layer.ints("shape", [0, channels, *space])])


def batch_reindex(layer: LayerWriter) -> None:
    """Images of the first bottom picked, in the order of the second's numbers."""
    rows = layer.add("rows", "Cast", layer.inputs[1:], to=7)
    if len(layer.shape(1)) != 1:
        rows = layer.add("flat", "Reshape", [rows, layer.ints("flat_shape", [-1])])
    layer.emit("Gather", [layer.inputs[0], rows], axis=0)


def parameter(layer: LayerWriter) -> None:
    """A learned blob that no input enters."""
    shape = tuple(layer.param("parameter_param").shape.dim)
    value = layer.weight_values({"value": shape})["value"]
    layer.emit("Identity", [layer.constant("value", np.asarray(value))])


LAYERS = {
    "Concat": concat,
    "Slice": slice_,
    "Split": split,
    "Flatten": flatten,
    "Reshape": reshape,
    "Permute": permute,
    "Crop": crop,
    "Tile": tile,
    "ShuffleChannel": shuffle_channel,
    "BatchReindex": batch_reindex,
    "Parameter": parameter,
}
