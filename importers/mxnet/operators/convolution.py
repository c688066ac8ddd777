"""Operators with a learned matrix or kernel."""

from __future__ import annotations

from typing import Any

from ..operator_writer import OperatorWriter


def convolution(writer: OperatorWriter) -> None:
    """Convolution over any number of spatial axes, grouped and dilated."""
    count, group, channels = _sizes(writer)
    axes = _axes(writer)
    kernel = writer.per_axis("kernel", axes, 1)
    inputs = [writer.input(), writer.weight(1, (count, channels // group, *kernel), "weight")]
    if not writer.attributes.flag("no_bias"):
        inputs.append(writer.weight(2, (count,), "bias"))
    pads = writer.per_axis("pad", axes, 0)
    writer.emit("Conv", inputs, pads=[*pads, *pads], group=group, **_window(writer, kernel))


def deconvolution(writer: OperatorWriter) -> None:
    """Transposed convolution; `adj` more at the end of each axis, or padding for a `target_shape`."""
    count, group, channels = _sizes(writer)
    axes = _axes(writer)
    kernel = writer.per_axis("kernel", axes, 1)
    inputs = [writer.input(), writer.weight(1, (channels, count // group, *kernel), "weight")]
    if not writer.attributes.flag("no_bias", True):
        inputs.append(writer.weight(2, (count,), "bias"))
    window = _window(writer, kernel)
    pads, more = writer.per_axis("pad", axes, 0), writer.per_axis("adj", axes, 0)
    target = writer.per_axis("target_shape", axes, 0)
    if any(target):
        pads, more = _padding_for(writer, target, window)
    ends = [max(pad - extra, 0) for pad, extra in zip(pads, more, strict=True)]
    over = [max(extra - pad, 0) for pad, extra in zip(pads, more, strict=True)]
    writer.emit("ConvTranspose", inputs, pads=[*pads, *ends], output_padding=over, group=group, **window)


def _padding_for(writer: OperatorWriter, target: list[int], window: dict[str, Any]) -> tuple[list[int], list[int]]:
    """(padding at the start, how much less of it at the end) that make an output of this size."""
    steps = zip(
        writer.sizes(writer.shape()[2:]), window["kernel_shape"], window["strides"], window["dilations"], strict=True
    )
    wholes = [stride * (side - 1) + (kernel - 1) * dilation + 1 for side, kernel, stride, dilation in steps]
    spare = [whole - wanted for whole, wanted in zip(wholes, target, strict=True)]
    if min(spare) < 0:
        raise writer.error(f"target_shape {target} is larger than the whole output, {wholes}")
    return [(more + 1) // 2 for more in spare], [more % 2 for more in spare]


def _axes(writer: OperatorWriter) -> int:
    writer.require_channels_first()
    axes = len(writer.attributes.wholes("kernel"))
    if axes != len(writer.shape()) - 2 or not axes:
        raise writer.error(f"its kernel has {axes} axes, its input {list(writer.shape())} expects another number")
    return axes


def _window(writer: OperatorWriter, kernel: list[int]) -> dict[str, Any]:
    strides, dilations = (writer.per_axis(name, len(kernel), 1) for name in ("stride", "dilate"))
    if min(*kernel, *strides, *dilations) < 1:
        raise writer.error("kernel, stride and dilate have to be at least 1")
    return {"kernel_shape": kernel, "strides": strides, "dilations": dilations}


def _sizes(writer: OperatorWriter) -> tuple[int, int, int]:
    """(filters, groups, channels of the input)."""
    count, group = writer.attributes.whole("num_filter"), writer.attributes.whole("num_group", 1)
    channels = writer.channels()
    if count < 1 or group < 1 or channels % group or count % group:
        raise writer.error(f"{channels} input and {count} output channels do not divide into {group} groups")
    return count, group, channels


def fully_connected(writer: OperatorWriter) -> None:
    """A matrix product of everything behind the batch, or of the last axis alone."""
    count = writer.attributes.whole("num_hidden")
    shape, flatten = writer.shape(), writer.attributes.flag("flatten", True)
    value = writer.input()
    if flatten and len(shape) != 2:
        value = writer.add("flat", "Flatten", [value], axis=1)
    [width] = writer.sizes(writer.graph.shape(value)[-1:])
    stored = writer.value(1)
    if stored is not None and stored.size != count * width:
        raise writer.error(
            f"its weight of shape {'x'.join(map(str, stored.shape))} does not fit the {width} numbers that it reads of "
            "an image: another --size, or another network's parameters?"
        )
    weight = writer.weight(1, (count, width), "weight")
    bias = [] if writer.attributes.flag("no_bias") else [writer.weight(2, (count,), "bias")]
    if len(writer.graph.shape(value)) == 2:
        writer.emit("Gemm", [value, weight, *bias], transB=1)
        return
    matrix = writer.add("transposed", "Transpose", [weight], perm=[1, 0])
    if bias:
        writer.emit("Add", [writer.add("product", "MatMul", [value, matrix]), *bias])
    else:
        writer.emit("MatMul", [value, matrix])


def embedding(writer: OperatorWriter) -> None:
    """A row of the weights for each index."""
    rows, width = writer.attributes.whole("input_dim"), writer.attributes.whole("output_dim")
    index = writer.add("index", "Cast", [writer.input()], to=7)
    bounds = [writer.constant(role, number, "int64") for role, number in (("first", 0), ("last", rows - 1))]
    index = writer.add("within", "Clip", [index, *bounds])  # as MXNet takes those outside
    writer.emit("Gather", [writer.weight(1, (rows, width), "weight"), index], axis=0)


OPERATORS = {
    "Convolution": convolution,
    "Convolution_v1": convolution,
    "Deconvolution": deconvolution,
    "FullyConnected": fully_connected,
    "Embedding": embedding,
}
