"""Convolutions. Their weights lie [height, width, inputs, outputs] in the file; so do those of three dimensions."""

from __future__ import annotations

from collections.abc import Sequence

from ...tflite.operator_writer import OperatorWriter
from ..windows import Image, same_pads, window


def convolution(op: OperatorWriter, edges: Sequence[int] = (), apart: Sequence[int] = ()) -> None:
    """Grouped where the weights have fewer inputs than the image has channels."""
    image, shape = Image(op), op.shape(1)
    *kernel, inputs, count = shape if len(shape) == len(op.shape()) else (0, 0)
    groups = image.channels // inputs if inputs else 0
    if not kernel or not groups or image.channels % inputs or count % groups:
        raise op.error(f"weights {list(shape)} do not fit an image of {image.channels} channels")
    weights = turned(op, 1, (len(shape) - 1, len(shape) - 2, *range(len(kernel))))
    image.emit("Conv", [image.tensor, weights], group=groups, **window(image, kernel, edges, apart))


def depthwise(op: OperatorWriter, edges: Sequence[int] = (), apart: Sequence[int] = ()) -> None:
    """Each channel on its own; the weights are [height, width, channels, multiplier]."""
    image, shape = Image(op), op.shape(1)
    if len(shape) != 4 or shape[2] != image.channels:
        raise op.error(f"weights {list(shape)} do not fit an image of {image.channels} channels")
    height, width, channels, multiplier = shape
    weights = turned(op, 1, (2, 3, 0, 1), (channels * multiplier, 1, height, width))
    image.emit("Conv", [image.tensor, weights], group=channels, **window(image, (height, width), edges, apart))


def transposed(op: OperatorWriter) -> None:
    """The first input says how large the result is; the convolution that it turns round has the padding."""
    image, shape, size = Image(op, 2), op.shape(1), op.ints(0)
    *kernel, count, inputs = shape if len(shape) == len(image.format) else (0, 0)
    channel = -1 if image.is_last else 1
    if not kernel or image.channels != inputs or len(size) != len(image.format) or size[channel] != count:
        raise op.error(f"weights {list(shape)} do not lead from {list(op.shape(2))} to {size}")
    results = size[1:-1] if image.is_last else size[2:]
    strides, dilations = image.per_side("strides"), image.per_side("dilations")
    reaches = [(side - 1) * step + 1 for side, step in zip(kernel, dilations, strict=True)]
    starts = _starts(op, results, strides, reaches)
    before, after, more = [], [], []
    for side, result, reach, stride, start in zip(image.sides, results, reaches, strides, starts, strict=True):
        end = (side - 1) * stride + reach - start - result
        if -end >= max(stride, 2):
            raise op.error(f"its result of {result} pixels is more than {side} windows of {reach} reach")
        before.append(start)
        after.append(max(end, 0))
        more.append(max(-end, 0))
    attributes = {"kernel_shape": kernel, "strides": strides, "dilations": dilations, "pads": [*before, *after]}
    weights = turned(op, 1, (len(shape) - 1, len(shape) - 2, *range(len(kernel))))
    image.emit("ConvTranspose", [image.tensor, weights], output_padding=more, **attributes)


def _starts(op: OperatorWriter, results: Sequence[int], strides: Sequence[int], reaches: Sequence[int]) -> list[int]:
    padding = op.option("padding")
    if padding not in ("SAME", "VALID"):
        raise op.error(f"its padding is {padding}, expected SAME or VALID")
    return same_pads(results, strides, reaches)[0] if padding == "SAME" else [0] * len(results)


def turned(op: OperatorWriter, index: int, perm: Sequence[int], shape: Sequence[int] | None = None) -> str:
    """Weights with their axes in this order, and in this shape then: stored so where they are constant."""
    value = op.value(index)
    if value is not None:
        return op.graph.constant(op.inputs[index], value.transpose(perm), shape)
    weights = op.add("weights", "Transpose", [op.last(index)], perm=list(perm))
    return weights if shape is None else op.add("kernels", "Reshape", [weights, op.int_list("kernel_shape", shape)])


def bias(op: OperatorWriter) -> None:
    """A number a channel."""
    rank, (count,) = len(op.shape()), op.shape(1)
    if rank > 2 and str(op.option("data_format")).startswith("NC"):
        across = op.add("across", "Reshape", [op.last(1), op.int_list("shape", [count, *[1] * (rank - 2)])])
        op.emit("Add", [op.last(0), across])
        return
    inputs, first = op.aligned(0, 1)
    op.emit("Add", inputs, first=first)


OPERATORS = {
    "Conv2D": convolution,
    "Conv3D": convolution,
    "DepthwiseConv2dNative": depthwise,
    "Conv2DBackpropInput": transposed,
    "Conv3DBackpropInputV2": transposed,
    "BiasAdd": bias,
    "BiasAddV1": bias,
}
