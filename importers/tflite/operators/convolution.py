"""Convolutions. Their weights lie [outputs, height, width, inputs] in the file."""

from __future__ import annotations

from ...same_padding import same_padding
from ..operator_writer import OperatorWriter
from ..windows import dilations, padding, strides, window

_OUTPUTS_FIRST = (0, 3, 1, 2)


def convolution(op: OperatorWriter) -> None:
    """Two-dimensional; grouped where the weights have fewer inputs than the image has channels."""
    image, (count, height, width, inputs) = _image(op), _weights(op, 1)
    groups = image[3] // inputs if inputs else 0
    if not groups or image[3] % inputs or count % groups:
        raise op.error(f"{image[3]} channels and {count} outputs do not divide into groups of {inputs} inputs")
    _convolve(op, _OUTPUTS_FIRST, groups, (height, width))


def depthwise(op: OperatorWriter) -> None:
    """Each channel on its own; the weights are [1, height, width, channels * multiplier]."""
    image, (one, height, width, count) = _image(op), _weights(op, 1)
    if one != 1 or count % image[3]:
        raise op.error(f"its weights for {count} outputs do not divide among {image[3]} channels")
    _convolve(op, (3, 0, 1, 2), image[3], (height, width))


def _convolve(op: OperatorWriter, perm: tuple[int, ...], groups: int, kernel: tuple[int, int]) -> None:
    op.emit(
        "Conv",
        [op.first(0), op.weight(1, perm), *op.bias(2)],
        first=True,
        dilations=list(dilations(op)),
        group=groups,
        **window(op, op.shape()[1:3], kernel, dilations(op)),
    )


def transposed(op: OperatorWriter) -> None:
    """The first input says how large the result is; the convolution that it turns round has the padding."""
    (count, height, width, inputs), size, image = _weights(op, 1), op.ints(0), _image(op, 2)
    if image[3] != inputs or len(size) != 4 or size[3] != count:
        raise op.error(f"weights {op.shape(1)} do not lead from {list(image)} to {size}")
    before, after, more = [], [], []
    for side, result, kernel, stride in zip(image[1:3], size[1:3], (height, width), strides(op), strict=True):
        full = (side - 1) * stride + kernel
        start = max(full - result, 0) // 2 if padding(op) == "SAME" else 0
        end = full - start - result
        if -end >= stride:
            raise op.error(f"its result of {result} pixels is more than {side} windows of {kernel} reach")
        before.append(start)
        after.append(max(end, 0))
        more.append(max(-end, 0))
    op.emit(
        "ConvTranspose",
        [op.first(2), op.weight(1, (3, 0, 1, 2)), *op.bias(3)],
        first=True,
        kernel_shape=[height, width],
        strides=list(strides(op)),
        pads=[*before, *after],
        output_padding=more,
    )


def three_dimensional(op: OperatorWriter) -> None:
    """Of [N, D, H, W, C]; the weights are [depth, height, width, inputs, outputs]."""
    image, weights = op.shape(), op.shape(1)
    if len(image) != 5 or len(weights) != 5 or image[4] != weights[3]:
        raise op.error(f"weights {list(weights)} do not fit the volume {list(image)}")
    steps, apart = ([int(op.option(f"{what}_{side}")) for side in "dhw"] for what in ("stride", "dilation"))
    if min(*steps, *apart, *weights) < 1:
        raise op.error(f"strides {steps}, dilations {apart} and weights {list(weights)}, expected positive numbers")
    reaches = [(size - 1) * wide + 1 for size, wide in zip(weights, apart, strict=False)]
    along = list(zip(image[1:4], steps, reaches, strict=True))
    pads = [same_padding(*sides) if padding(op) == "SAME" else (0, 0) for sides in along]
    if padding(op) == "VALID" and any(reach > side for side, _, reach in along):
        raise op.error(f"its window reaches over {reaches} of {list(image[1:4])}")
    op.emit(
        "Conv",
        [op.first(0), op.weight(1, (4, 3, 0, 1, 2)), *op.bias(2)],
        first=True,
        kernel_shape=list(weights[:3]),
        strides=steps,
        dilations=apart,
        pads=[before for before, _ in pads] + [after for _, after in pads],
    )


def _image(op: OperatorWriter, index: int = 0) -> tuple[int, int, int, int]:
    shape = op.shape(index)
    if len(shape) != 4:
        raise op.error(f"expected an image [N, H, W, C], found the shape {list(shape)}")
    return shape[0], shape[1], shape[2], shape[3]


def _weights(op: OperatorWriter, index: int) -> tuple[int, int, int, int]:
    shape = op.shape(index)
    if len(shape) != 4:
        raise op.error(f"expected weights of four axes, found the shape {list(shape)}")
    return shape[0], shape[1], shape[2], shape[3]


OPERATORS = {
    "CONV_2D": convolution,
    "CONV_3D": three_dimensional,
    "DEPTHWISE_CONV_2D": depthwise,
    "TRANSPOSE_CONV": transposed,
}
