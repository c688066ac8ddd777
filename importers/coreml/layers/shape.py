"""Layers that arrange numbers anew without changing them, and stored tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ...graph_builder import Dim
from ..layer_writer import LayerWriter
from ..wire_schema import enum_name

_LARGEST = 1 << 26  # numbers of a tensor that is made larger
_LARGEST_FILL = 1 << 22  # numbers that a file may have filled in without holding them


def reshape(layer: LayerWriter) -> None:
    """[C, H, W] to another such shape, by channels first or last."""
    target = list(layer.param.targetShape)
    if len(target) == 4 and target[0] == 1:
        target = target[1:]
    if len(target) != 3:
        raise layer.error(f"expected a shape [C, H, W], found {target}")
    layer.images()
    if enum_name("ReshapeOrder", layer.param.mode) == "CHANNEL_FIRST":
        layer.reshape(layer.inputs[0], [0, *target])
        return
    channels, height, width = target
    last = layer.add("channels_last", "Transpose", layer.inputs, perm=[0, 2, 3, 1])
    layer.emit("Transpose", [layer.reshaped("reshaped", last, [0, height, width, channels])], perm=[0, 3, 1, 2])


def flatten(layer: LayerWriter) -> None:
    """[…, C, H, W] to […, C H W, 1, 1], by channels first or last."""
    shape = layer.shape()
    if len(shape) < 3:
        raise layer.error(f"expected an input of 3 axes or more, found {len(shape)}")
    before = len(shape) - 3
    value = layer.inputs[0]
    if enum_name("FlattenOrder", layer.param.mode) == "CHANNEL_LAST":
        value = layer.add("channels_last", "Transpose", [value], perm=[*range(before), before + 1, before + 2, before])
    layer.flat = before == 1
    if layer.flat:
        layer.emit("Flatten", [value], axis=1)
    else:
        kept = [0] * before
        layer.emit("Reshape", [value, layer.ints("shape", [*kept, math.prod(layer.sizes(shape[before:])), 1, 1])])


def permute(layer: LayerWriter) -> None:
    """The axes sequence, C, H, W in another order; the sequence has to stay where it is."""
    order = list(layer.param.axis) or [0, 1, 2, 3]
    layer.images()
    if sorted(order) != [0, 1, 2, 3] or order[0]:
        raise layer.error(f"expected an order of axes that starts with 0 (sequences are not supported), found {order}")
    layer.emit("Transpose", layer.inputs, perm=order)


def transpose(layer: LayerWriter) -> None:
    """All axes in another order."""
    order, rank = [int(axis) for axis in layer.param.axes], len(layer.shape())
    if sorted(order) != list(range(rank)):
        raise layer.error(f"expected an order of {rank} axes, found {order}")
    layer.emit("Transpose", layer.inputs, perm=order)


def reorganize_data(layer: LayerWriter) -> None:
    """Between rows and columns, and channels: blocks of pixels, or pixels of blocks."""
    mode, size = enum_name("ReorganizationType", layer.param.mode), layer.param.blockSize
    _, channels, height, width = layer.images()
    if size < 1:
        raise layer.error(f"expected a blockSize above 0, found {size}")
    if mode == "SPACE_TO_DEPTH":
        if any(side % size for side in layer.sizes([height, width])):
            raise layer.error(f"{height}x{width} does not divide into blocks of {size}")
        layer.emit("SpaceToDepth", layer.inputs, blocksize=size)
        return
    if layer.sizes([channels])[0] % size**2:
        raise layer.error(f"{channels} channels do not divide into blocks of {size}x{size}")
    layer.emit("DepthToSpace", layer.inputs, blocksize=size, mode="CRD" if mode == "PIXEL_SHUFFLE" else "DCR")


def reshape_static(layer: LayerWriter) -> None:
    """To a shape; 0 copies a size, -1 is worked out."""
    target = list(layer.param.targetShape)
    if any(size < -1 for size in target) or target.count(-1) > 1 or len(target) < target.count(0):
        raise layer.error(f"expected sizes, of which one may be -1, found {target}")
    layer.reshape(layer.inputs[0], target)


def reshape_like(layer: LayerWriter) -> None:
    """To the shape of the second input."""
    layer.reshape(layer.inputs[0], layer.sizes(layer.shape(1)))


def squeeze(layer: LayerWriter) -> None:
    """Without these axes of size one; a single axis stays."""
    shape = layer.shape()
    given = layer.param.axes
    axes = (
        [at for at, size in enumerate(shape) if size == 1]
        if layer.param.squeezeAll
        else [layer.axis(axis) for axis in given]
    )
    if any(shape[axis] != 1 for axis in axes) or len(set(axes)) != len(axes):
        raise layer.error(f"expected axes of size 1, found {list(given)} of {list(shape)}")
    if len(axes) == len(shape):
        axes = axes[1:]
    _or_same(layer, "Squeeze", axes)


def expand_dims(layer: LayerWriter) -> None:
    """With further axes of size one."""
    axes = list(layer.param.axes)
    _or_same(layer, "Unsqueeze", [layer.axis(axis, extra=len(axes)) for axis in axes])


def _or_same(layer: LayerWriter, op: str, axes: Sequence[int]) -> None:
    if axes:
        layer.emit(op, [layer.inputs[0], layer.ints("axes", axes)])
    else:
        layer.emit("Identity", layer.inputs)


def flatten_to_2d(layer: LayerWriter) -> None:
    """All axes before one, and all from it on, as one each."""
    rank = len(layer.shape())
    axis = layer.param.axis
    if not -rank <= axis <= rank:
        raise layer.error(f"axis {axis} is outside its input of {rank} dimensions")
    layer.emit("Flatten", layer.inputs[:1], axis=axis % rank if axis < 0 else axis)


def load_constant(layer: LayerWriter) -> None:
    """Stored numbers; those of the first versions are [C, H, W]."""
    shape = [int(size) for size in layer.param.shape]
    if not layer.exact:
        shape = [1, *shape]
    layer.emit("Identity", [layer.stored("data", layer.param.data, shape)])


def fill_static(layer: LayerWriter) -> None:
    """One number throughout."""
    shape = [int(size) for size in layer.param.targetShape]
    if math.prod(shape) > _LARGEST_FILL:
        raise layer.error(f"expected at most {_LARGEST_FILL} numbers, found {shape}")
    layer.emit("Identity", [layer.constant("data", np.full(shape, layer.param.value, np.float32))])


def broadcast_to_static(layer: LayerWriter) -> None:
    """Repeated along axes of size one, to a shape."""
    _expand(layer, [int(size) for size in layer.param.targetShape])


def broadcast_to_like(layer: LayerWriter) -> None:
    """As `broadcast_to_static`, to the shape of the second input."""
    _expand(layer, layer.sizes(layer.shape(1)))


def _expand(layer: LayerWriter, target: Sequence[int]) -> None:
    _check_growth(layer, target)
    layer.emit("Expand", [layer.inputs[0], layer.ints("shape", target)])


def tile(layer: LayerWriter) -> None:
    """Repeated along each axis, from the last on."""
    if len(layer.inputs) != 1:
        raise layer.error("counts that are another layer's are not supported")
    shape, reps = layer.shape(), [int(count) for count in layer.param.reps]
    if not 1 <= len(reps) <= len(shape) or min(reps) < 1:
        raise layer.error(f"expected 1 to {len(shape)} counts above 0, found {reps}")
    reps = [1] * (len(shape) - len(reps)) + reps
    _check_growth(layer, [size * count for size, count in zip(layer.sizes(shape), reps, strict=True)])
    layer.emit("Tile", [*layer.inputs, layer.ints("reps", reps)])


def _check_growth(layer: LayerWriter, target: Sequence[int]) -> None:
    if math.prod(target) > _LARGEST:
        raise layer.error(f"expected a result of at most {_LARGEST} numbers, found {list(target)}")


def stack(layer: LayerWriter) -> None:
    """Inputs of one shape, one after another along a new axis."""
    axis = layer.ints("new_axis", [layer.axis(layer.param.axis, extra=1)])
    parts = [layer.add(f"part{at}", "Unsqueeze", [each, axis]) for at, each in enumerate(layer.inputs)]
    layer.emit("Concat", parts, axis=layer.axis(layer.param.axis, extra=1))


def concat(layer: LayerWriter) -> None:
    """One after another, along the channels."""
    if layer.param.sequenceConcat:
        raise layer.error("sequences are not supported")
    layer.emit("Concat", layer.inputs, axis=layer.channel_axis)


def concat_nd(layer: LayerWriter) -> None:
    """One after another along an axis, or in turn."""
    axis = layer.axis(layer.param.axis)
    if not layer.param.interleave:
        layer.emit("Concat", layer.inputs, axis=axis)
        return
    shape: list[Dim] = list(layer.shape())
    behind = layer.ints("behind", [axis + 1])
    parts = [layer.add(f"part{at}", "Unsqueeze", [each, behind]) for at, each in enumerate(layer.inputs)]
    together = layer.add("together", "Concat", parts, axis=axis + 1)
    shape[axis] = layer.sizes([shape[axis]])[0] * len(layer.inputs)
    layer.emit("Reshape", [together, layer.ints("shape", layer.sizes(shape))])


LAYERS = {
    "reshape": reshape,
    "flatten": flatten,
    "permute": permute,
    "transpose": transpose,
    "reorganizeData": reorganize_data,
    "reshapeStatic": reshape_static,
    "rankPreservingReshape": reshape_static,
    "reshapeLike": reshape_like,
    "squeeze": squeeze,
    "expandDims": expand_dims,
    "flattenTo2D": flatten_to_2d,
    "loadConstant": load_constant,
    "loadConstantND": load_constant,
    "fillStatic": fill_static,
    "broadcastToStatic": broadcast_to_static,
    "broadcastToLike": broadcast_to_like,
    "tile": tile,
    "stack": stack,
    "concat": concat,
    "concatND": concat_nd,
}
