"""Convolutions, forwards and transposed, of any number of spatial axes. Weights are stored as in ONNX."""

from __future__ import annotations

from typing import Any

from ...graph_builder import Dim
from ...same_padding import same_padding
from ..operator_writer import OperatorWriter

FIRST = ("NCHW", "NCDHW", "AnyLayout", "NCL")  # data formats with channels before the image


def borders(op: OperatorWriter, sides: list[Dim], kernel: list[int], strides: list[int]) -> list[int] | None:
    """ONNX's pads of a window over these sides; None where "SAME" depends on sides that are open."""
    count = len(kernel)
    algorithm = op.choice("padding_algorithm", "EXPLICIT", "EXPLICIT", "SAME", "VALID")
    if algorithm == "VALID":
        return [0] * (2 * count)
    if algorithm == "EXPLICIT":
        return both_ends(op, op.ints("paddings", [0] * count), count)
    known = [1 if stride == 1 else side for side, stride in zip(sides, strides, strict=True)]
    is_open = not all(isinstance(side, int) for side in known)
    if is_open and all(stride <= reach for stride, reach in zip(strides, kernel, strict=True)):
        return None  # onnxruntime works out wrong ones where strides leave something out
    pairs = [same_padding(*each) for each in zip(op.sizes(known), strides, kernel, strict=True)]
    return [before for before, _ in pairs] + [behind for _, behind in pairs]


def both_ends(op: OperatorWriter, paddings: list[int], count: int) -> list[int]:
    """One number an axis, or two: before and behind it; as ONNX has them, all before first."""
    if len(paddings) == count:
        return paddings * 2
    if len(paddings) == 2 * count:
        return paddings[::2] + paddings[1::2]
    raise op.error(f"it has {len(paddings)} paddings for {count} axes")


def window(op: OperatorWriter, kernel: list[int]) -> dict[str, Any]:
    """ONNX's attributes of a convolution's window."""
    count = len(kernel)
    strides, dilations = op.ints("strides", [1] * count), op.ints("dilations", [1] * count)
    if len(strides) != count or len(dilations) != count or min(*strides, *dilations) < 1:
        raise op.error(f"its strides {strides} and dilations {dilations} do not fit {count} axes")
    if op.attribute("padding_algorithm", "EXPLICIT") == "SAME":
        dilations = [1] * count  # as PaddlePaddle does, whatever the file says
    pads = borders(op, list(op.shape("Input")[2:]), kernel, strides)
    padding: dict[str, Any] = {"auto_pad": "SAME_UPPER"} if pads is None else {"pads": pads}
    groups = op.attribute("groups", 1)
    return {"kernel_shape": kernel, "strides": strides, "dilations": dilations, "group": groups, **padding}


def convolution(op: OperatorWriter) -> None:
    """Input [N, C, …], Filter [O, C / groups, …]."""
    op.choice("data_format", "NCHW", *FIRST)
    if op.has("ResidualData") or op.attribute("fuse_activation", ""):
        raise op.error("it has other operators fused into it, which is not supported")
    kernel = op.sizes(op.shape("Filter")[2:], "Filter")
    bias = [op.tensor("Bias")] if op.has("Bias") else []
    op.emit("Conv", [op.tensor("Input"), op.tensor("Filter"), *bias], output="Output", **window(op, kernel))


def transposed(op: OperatorWriter) -> None:
    """Input [N, C, …], Filter [C, O / groups, …]; an output size between two multiples may be asked for."""
    op.choice("data_format", "NCHW", *FIRST)
    kernel = op.sizes(op.shape("Filter")[2:], "Filter")
    attributes = window(op, kernel)
    if "pads" not in attributes:
        raise op.error('its padding "SAME" needs the sides of its input, which the file leaves open')
    if op.has("OutputSizeTensor"):
        raise op.error("its output size is computed, which is not supported")
    attributes["output_padding"] = _output_padding(op, attributes)
    op.emit("ConvTranspose", [op.tensor("Input"), op.tensor("Filter")], output="Output", **attributes)


def _output_padding(op: OperatorWriter, window: dict[str, Any]) -> list[int]:
    count = len(window["kernel_shape"])
    sizes, padding = op.ints("output_size"), op.ints("output_padding") or [0] * count
    if not sizes:
        if len(padding) != count:
            raise op.error(f"it has {len(padding)} output paddings for {count} axes")
        return padding
    sides, pads = op.sizes(op.shape("Input")[2:], "Input"), window["pads"]
    least = [
        (side - 1) * stride + dilation * (reach - 1) + 1 - before - behind
        for side, stride, dilation, reach, before, behind in zip(
            sides, window["strides"], window["dilations"], window["kernel_shape"], pads[:count], pads[count:],
            strict=True,
        )
    ]  # fmt: skip
    return [size - smallest for size, smallest in zip(sizes, least, strict=True)]


OPERATORS = {
    "conv2d": convolution,
    "depthwise_conv2d": convolution,
    "conv3d": convolution,
    "conv2d_transpose": transposed,
    "depthwise_conv2d_transpose": transposed,
    "conv3d_transpose": transposed,
}
