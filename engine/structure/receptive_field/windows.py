"""Rules of the operators that slide over space: convolutions, pooling, unpooling, resizing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Protocol

import numpy as np

from ..graph import Graph, Node
from .field import Field, Shape, joined
from .reach import Reach, Unknown

Taps = Callable[[np.ndarray, bool], tuple[np.ndarray, "np.ndarray | None"]]


class Context(Protocol):
    """What a rule may ask for."""

    graph: Graph

    def field(self, tensor: str) -> Field | None: ...
    def shape(self, tensor: str) -> Shape: ...
    def constant(self, tensor: str) -> np.ndarray: ...


def slide(field: Field, axis: int, count: int, taps: Taps, rate: Fraction) -> Field:
    """`field` with new indices along one axis, each looking at several old ones."""
    field = field.fused(axis)
    digit, size = field.digit(axis), field.shape[axis]
    if all(reach.is_constant(digit) for reach in field.reaches):
        return _blank_where_outside(field, axis, digit, size, *taps(np.arange(count), True))
    return field.mapped(lambda reach: reach.resampled(digit, count, taps, rate), axis, count)


def _blank_where_outside(
    field: Field, axis: int, digit: int, size: int, indices: np.ndarray, used: np.ndarray | None
) -> Field:
    """Along this axis everything looks at the same pixels, but a window that lies all in the padding at none."""
    inside = (indices >= 0) & (indices < size)
    some = np.any(inside if used is None else inside & used, axis=1)
    if some.all():
        return field.mapped(lambda reach: reach, axis, len(some))
    return field.mapped(lambda reach: reach.only_where(digit, some), axis, len(some))


def window_taps(kernel: int, stride: int, dilation: int, before: int) -> Taps:
    """Output k looks at the inputs stride * k - before + dilation * t, t = 0 … kernel - 1."""
    offsets = np.arange(kernel) * dilation - before

    def taps(k: np.ndarray, finite: bool) -> tuple[np.ndarray, None]:
        return k[:, None] * stride + offsets, None

    return taps


def transposed_taps(kernel: int, stride: int, dilation: int, before: int) -> Taps:
    """Output k looks at every input i with k = stride * i - before + dilation * t for some t = 0 … kernel - 1."""
    offsets = before - np.arange(kernel) * dilation

    def taps(k: np.ndarray, finite: bool) -> tuple[np.ndarray, np.ndarray]:
        places = k[:, None] + offsets
        return places // stride, places % stride == 0

    return taps


def paddings(
    node: Node, sizes: Shape, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> Shape:
    """Padding before the first element of each spatial axis."""
    mode = node.attribute("auto_pad", "NOTSET")
    if mode == "VALID":
        return (0,) * len(sizes)
    if mode == "NOTSET":
        return tuple(node.attribute("pads", (0,) * 2 * len(sizes)))[: len(sizes)]
    totals = [
        max((-(-size // stride) - 1) * stride + (width - 1) * dilation + 1 - size, 0)
        for size, width, stride, dilation in zip(sizes, kernel, strides, dilations, strict=True)
    ]
    return tuple(total // 2 if mode == "SAME_UPPER" else total - total // 2 for total in totals)


def convolve(context: Context, node: Node, weight: int = 1) -> Field:
    """Conv and its relatives: `weight` is the position of the weights [M, C/group, k…]."""
    return _convolved(context, node, weight, node.inputs[1:])


def _convolved(context: Context, node: Node, weight: int, parameters: Sequence[str]) -> Field:
    field = _data(context, node)
    kernel = context.shape(node.inputs[weight])
    result = _slide_all(context, node, _grouped(field, node, kernel[0]), kernel[2:])
    return _with_whole(result, [context.field(name) for name in parameters if name])


def _data(context: Context, node: Node) -> Field:
    field = context.field(node.inputs[0])
    if field is None:
        raise Unknown("the image enters through the weights")
    return field


def _with_whole(result: Field, extra: Sequence[Field | None]) -> Field:
    """Weights or bias that depend on the image themselves: every output looks at everything they look at."""
    for field in extra:
        if field is not None:
            everything = field.united(range(len(field.axes))).reshaped((1,) * len(result.axes))
            result = joined([result, everything], result.shape)
    return result


def _grouped(field: Field, node: Node, outputs: int) -> Field:
    """The channel axis after a convolution of `group` groups: each output channel sees the channels of its group."""
    return channel_groups(field, int(node.attribute("group", 1)), outputs)


def channel_groups(field: Field, groups: int, outputs: int) -> Field:
    """Union of the channels of each group, repeated for the group's `outputs / groups` new channels."""
    if groups == 1:
        united = field.united((1,))
        return Field(((united.axes[0]), (outputs,), *united.axes[2:]), united.reaches)
    width = field.shape[1] // groups
    repeat = outputs // groups
    members = np.arange(width)

    def taps(k: np.ndarray, finite: bool) -> tuple[np.ndarray, None]:
        return (k // repeat * width)[:, None] + members, None

    return slide(field, 1, outputs, taps, Fraction(0))


def _slide_all(context: Context, node: Node, field: Field, kernel: Sequence[int]) -> Field:
    """A window over every spatial axis (those after the second)."""
    rank = len(kernel)
    strides = node.attribute("strides", (1,) * rank)
    dilations = node.attribute("dilations", (1,) * rank)
    before = paddings(node, field.shape[2:], kernel, strides, dilations)
    sizes = context.shape(node.outputs[0])[2:]
    for axis in range(rank):
        taps = window_taps(kernel[axis], strides[axis], dilations[axis], before[axis])
        field = slide(field, axis + 2, sizes[axis], taps, Fraction(strides[axis]))
    return field


def pool(context: Context, node: Node) -> Field:
    """MaxPool, AveragePool, LpPool: whether rounded up or down, the windows start at the same places."""
    return _slide_all(context, node, _data(context, node), node.attribute("kernel_shape"))


def global_pool(context: Context, node: Node) -> Field:
    """All spatial axes at once."""
    field = _data(context, node)
    return field.united(range(2, len(field.axes)))


def convolve_transposed(context: Context, node: Node) -> Field:
    """ConvTranspose: outputs between the inputs differ in what they see, so the result is periodic."""
    field = _data(context, node)
    weight = context.shape(node.inputs[1])
    groups = int(node.attribute("group", 1))
    kernel, sizes = weight[2:], context.shape(node.outputs[0])[2:]
    before = _transposed_paddings(node, field.shape[2:], sizes, kernel)
    strides, dilations = node.attribute("strides", (1,) * len(kernel)), node.attribute("dilations", (1,) * len(kernel))
    result = channel_groups(field, groups, weight[1] * groups)
    for axis, size in enumerate(sizes):
        taps = transposed_taps(kernel[axis], strides[axis], dilations[axis], before[axis])
        result = slide(result, axis + 2, size, taps, Fraction(1, strides[axis]))
    return _with_whole(result, [context.field(name) for name in node.inputs[1:] if name])


def _transposed_paddings(node: Node, inputs: Shape, outputs: Shape, kernel: Shape) -> Shape:
    rank = len(kernel)
    mode = node.attribute("auto_pad", "NOTSET")
    if mode == "VALID":
        return (0,) * rank
    if mode == "NOTSET" and "output_shape" not in node.attributes:
        return tuple(node.attribute("pads", (0,) * 2 * rank))[:rank]
    strides, dilations = node.attribute("strides", (1,) * rank), node.attribute("dilations", (1,) * rank)
    extra = node.attribute("output_padding", (0,) * rank)
    totals = [
        max(strides[a] * (inputs[a] - 1) + extra[a] + (kernel[a] - 1) * dilations[a] + 1 - outputs[a], 0)
        for a in range(rank)
    ]
    return tuple(total // 2 if mode != "SAME_LOWER" else total - total // 2 for total in totals)


def unpool(context: Context, node: Node) -> Field:
    """MaxUnpool: a value lands where its index says, and that is anywhere in the pooling's window."""
    source = context.graph.producers.get(node.inputs[1])
    if source is None or source.op != "MaxPool" or source.attribute("storage_order"):
        raise Unknown("indices that come from no pooling")
    sizes = context.shape(node.outputs[0])[2:]
    if context.shape(source.inputs[0])[2:] != sizes:
        raise Unknown("indices into an image of another size")
    present = [field for name in node.inputs[:2] if (field := context.field(name)) is not None]
    field = joined(present, context.shape(node.inputs[0]))
    kernel, strides, dilations = _window(source)
    before = paddings(source, sizes, kernel, strides, dilations)
    for axis, size in enumerate(sizes):
        taps = transposed_taps(kernel[axis], strides[axis], dilations[axis], before[axis])
        field = slide(field, axis + 2, size, taps, Fraction(1, strides[axis]))
    return field


def _window(node: Node) -> tuple[Shape, Shape, Shape]:
    """Kernel, strides and dilations of a pooling."""
    kernel = tuple(node.attribute("kernel_shape"))
    ones = (1,) * len(kernel)
    return kernel, tuple(node.attribute("strides", ones)), tuple(node.attribute("dilations", ones))


def local_response(context: Context, node: Node) -> Field:
    """LRN: a window over neighbouring channels."""
    field = _data(context, node)
    size = int(node.attribute("size"))
    return slide(field, 1, field.shape[1], window_taps(size, 1, 1, (size - 1) // 2), Fraction(1))


def shifted(reach: Reach, digit: int, before: int, count: int) -> Reach:
    """Index k looks at k - before."""
    return reach.resampled(digit, count, window_taps(1, 1, 1, before), Fraction(1))


def quantised_convolve(context: Context, node: Node) -> Field:
    """QLinearConv: the weights stand fourth."""
    return convolve(context, node, 3)


def fused_convolve(context: Context, node: Node) -> Field:
    """FusedConv: a convolution to which a fourth input is added."""
    residual = context.field(node.inputs[3]) if len(node.inputs) > 3 and node.inputs[3] else None
    result = _convolved(context, node, 1, node.inputs[1:3])
    return result if residual is None else joined([result, residual], result.shape)
