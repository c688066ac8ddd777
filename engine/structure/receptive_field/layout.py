"""Rules of the operators that move elements without mixing them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from ..graph import Node
from .field import Field, concatenated, joined
from .reach import Reach, Unknown
from .windows import Context, Taps, shifted, slide


def _data(context: Context, node: Node) -> Field:
    field = context.field(node.inputs[0])
    if field is None or any(context.field(name) is not None for name in node.inputs[1:] if name):
        raise Unknown("a shape or index that depends on the image")
    return field


def reshape(context: Context, node: Node) -> Field:
    """Reshape, Flatten, Squeeze, Unsqueeze: the same elements in the same order."""
    field = _data(context, node)
    shape = context.shape(node.outputs[0])
    return field if shape == field.shape else field.reshaped(shape)


def transpose(context: Context, node: Node) -> Field:
    """The axes in another order."""
    field = _data(context, node)
    rank = len(field.axes)
    return field.transposed(node.attribute("perm", tuple(reversed(range(rank)))))


def expand(context: Context, node: Node) -> Field:
    """Broadcast to the output's shape."""
    return _data(context, node).broadcast(context.shape(node.outputs[0]))


def tile(context: Context, node: Node) -> Field:
    """The tensor repeated along its axes."""
    field = _data(context, node)
    for axis, size in enumerate(context.shape(node.outputs[0])):
        if field.shape[axis] != size:
            field = picked(field, axis, np.arange(size) % field.shape[axis])
    return field


def picked(field: Field, axis: int, indices: np.ndarray) -> Field:
    """A list of indices of one axis."""
    field = field.fused(axis)
    digit = field.digit(axis)
    return field.mapped(lambda r: r if r.is_constant(digit) else r.listed(digit, indices), axis, len(indices))


def strided(field: Field, axis: int, start: int, step: int, count: int) -> Field:
    """The indices start, start + step … of one axis."""

    def taps(k: np.ndarray, finite: bool) -> tuple[np.ndarray, None]:
        return (start + step * k)[:, None], None

    return slide(field, axis, count, taps, Fraction(step))


def slice_(context: Context, node: Node) -> Field:
    """Slice of any opset, with constant starts and steps."""
    field = _data(context, node)
    rank = len(field.axes)
    starts = _integers(context, node, 1, "starts")
    if starts is None:
        raise Unknown("slice without starts")
    axes = _integers(context, node, 3, "axes") or list(range(len(starts)))
    steps = _integers(context, node, 4, "steps") or [1] * len(starts)
    sizes = context.shape(node.outputs[0])
    for start, axis, step in zip(starts, axes, steps, strict=True):
        size = field.shape[axis % rank]
        first = start + size if start < 0 else start
        first = min(max(first, 0), size if step > 0 else size - 1)
        if first or step != 1:
            field = strided(field, axis % rank, first, step, sizes[axis % rank])
        else:
            field = _first(field, axis % rank, sizes[axis % rank])
    return field


def _first(field: Field, axis: int, count: int) -> Field:
    return field if field.shape[axis] == count else strided(field, axis, 0, 1, count)


def _integers(context: Context, node: Node, position: int, attribute: str) -> list[int] | None:
    """A list of integers that is an attribute in old opsets and an input in new ones."""
    if attribute in node.attributes:
        return [int(value) for value in np.atleast_1d(node.attribute(attribute))]
    if position < len(node.inputs) and node.inputs[position]:
        return [int(value) for value in np.atleast_1d(context.constant(node.inputs[position]))]
    return None


def split(context: Context, node: Node) -> list[Field]:
    """Consecutive pieces of one axis."""
    field = _data(context, node)
    axis = int(node.attribute("axis", 0)) % len(field.axes)
    pieces, start = [], 0
    for output in node.outputs:
        size = context.shape(output)[axis]
        pieces.append(strided(field, axis, start, 1, size))
        start += size
    return pieces


def gather(context: Context, node: Node) -> Field:
    """Gather with constant indices; with indices that depend on the image, anything along the axis can be taken."""
    field = context.field(node.inputs[0])
    if field is None or context.field(node.inputs[1]) is not None:
        raise Unknown("indices that depend on the image")
    axis = int(node.attribute("axis", 0)) % len(field.axes)
    indices = context.constant(node.inputs[1])
    size = field.shape[axis]
    flat = indices.reshape(-1).astype(np.int64)
    taken = picked(field, axis, np.where(flat < 0, flat + size, flat))
    shape = context.shape(node.outputs[0])
    return taken if taken.shape == shape else taken.reshaped(shape)


def concat(context: Context, node: Node) -> Field:
    """Tensors one behind the other; each keeps its own field."""
    names = node.inputs
    rank = len(context.shape(node.outputs[0]))
    axis = int(node.attribute("axis", 1)) % rank
    sizes = [context.shape(name)[axis] for name in names]
    return concatenated([context.field(name) for name in names], sizes, axis)


def quantised_concat(context: Context, node: Node) -> Field:
    """QLinearConcat: every third input from the third on is a tensor, the others are its quantisation."""
    names = node.inputs[2::3]
    axis = int(node.attribute("axis", 1)) % len(context.shape(node.outputs[0]))
    return concatenated([context.field(n) for n in names], [context.shape(n)[axis] for n in names], axis)


def pad(context: Context, node: Node) -> Field:
    """Pad: constants look at nothing, mirrored elements at what they mirror."""
    field = _data(context, node)
    rank = len(field.axes)
    pads = _integers(context, node, 1, "pads")
    if pads is None:
        raise Unknown("pads are not known")
    axes = _integers(context, node, 3, "axes") or list(range(rank))
    mode = str(node.attribute("mode", "constant"))
    sizes = context.shape(node.outputs[0])
    for place, axis in enumerate(axes):
        before, after = pads[place], pads[place + len(axes)]
        if before or after:
            field = _padded(field, axis % rank, before, sizes[axis % rank], mode)
    return field


def _padded(field: Field, axis: int, before: int, count: int, mode: str) -> Field:
    size = field.shape[axis]
    field = field.fused(axis)
    digit = field.digit(axis)
    if mode == "constant":
        if all(reach.is_constant(digit) for reach in field.reaches):
            # Nothing tells the padding from the rest but its index: write all of them down.
            field = field.mapped(lambda reach: _finite(reach, digit, size))
        return field.mapped(lambda reach: shifted(reach, digit, before, count), axis, count)
    taps = _mirror_taps(size, before, mode)
    return slide(field, axis, count, taps, Fraction(1))


def _finite(reach: Reach, digit: int, size: int) -> Reach:
    low, high = reach.at(digit, np.arange(size))
    steps = (*reach.steps[:digit], None, *reach.steps[digit + 1 :])
    return Reach(low, high, steps, reach.whole, reach.extent)


def _mirror_taps(size: int, before: int, mode: str) -> Taps:
    def taps(k: np.ndarray, finite: bool) -> tuple[np.ndarray, None]:
        places = k - before
        if finite and mode == "edge":
            places = np.clip(places, 0, size - 1)
        elif finite and mode == "wrap":
            places = places % size
        elif finite:
            places = np.abs((places + size - 1) % max(2 * size - 2, 1) - (size - 1))
        return places[:, None], None

    return taps


def depth_to_space(context: Context, node: Node) -> Field:
    """Blocks of channels become blocks of pixels."""
    field = _data(context, node)
    batch, channels, height, width = field.shape
    block = int(node.attribute("blocksize"))
    rest = channels // block**2
    if node.attribute("mode", "DCR") == "DCR":
        order, shape = (0, 3, 4, 1, 5, 2), (batch, block, block, rest, height, width)
    else:
        order, shape = (0, 1, 4, 2, 5, 3), (batch, rest, block, block, height, width)
    return field.reshaped(shape).transposed(order).reshaped((batch, rest, height * block, width * block))


def space_to_depth(context: Context, node: Node) -> Field:
    """Blocks of pixels become blocks of channels."""
    field = _data(context, node)
    batch, channels, height, width = field.shape
    block = int(node.attribute("blocksize"))
    split_shape = (batch, channels, height // block, block, width // block, block)
    moved = field.reshaped(split_shape).transposed((0, 3, 5, 1, 2, 4))
    return moved.reshaped((batch, channels * block**2, height // block, width // block))


def elementwise(context: Context, node: Node) -> Field:
    """Each output element looks at the elements in its place, of every input."""
    fields = [field for name in node.inputs if name and (field := context.field(name)) is not None]
    if len(fields) == 1 and fields[0].shape == context.shape(node.outputs[0]):
        return fields[0]
    return joined(fields, context.shape(node.outputs[0]))


def dynamic_quantise(context: Context, node: Node) -> list[Field | None]:
    """DynamicQuantizeLinear: the range it measures over the whole tensor only sets the rounding: not counted."""
    return [_data(context, node), *(None for name in node.outputs[1:] if name)]
