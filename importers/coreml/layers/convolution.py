"""Convolutions of images and of volumes, forwards and backwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..layer_writer import LayerWriter
from ..windows import borders, in_order, listed, pads, spans, volume, volume_pads


def convolution(layer: LayerWriter) -> None:
    """Of images, grouped and dilated; or its transpose."""
    shape = layer.images()
    kernel, stride = listed(layer, "kernelSize", 3), listed(layer, "stride", 1)
    if layer.param.isDeconvolution:
        _transposed(layer, kernel, stride)
        return
    dilation = listed(layer, "dilationFactor", 1)
    padding = pads(layer, stride, spans(kernel, dilation), layer.sizes(shape[2:]))
    _convolve(layer, "Conv", kernel, stride, padding, dilation)


def _convolve(
    layer: LayerWriter,
    op: str,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    beyond: Sequence[int] = (),  # places that a transposed convolution makes beyond its last window
) -> None:
    group = layer.param.nGroups or 1
    attributes: dict[str, Any] = {"output_padding": list(beyond)} if any(beyond) else {}
    layer.emit(
        op,
        [layer.inputs[0], *_weights(layer, op, kernel, group)],
        kernel_shape=list(kernel),
        strides=list(stride),
        pads=list(padding),
        dilations=list(dilation),
        group=group,
        **attributes,
    )


def _weights(layer: LayerWriter, op: str, kernel: Sequence[int], group: int) -> list[str]:
    """The kernels, stored or another layer's, and the biases."""
    param = layer.param
    channels, count = layer.channels, param.outputChannels
    if not count or channels % group or count % group:
        raise layer.error(f"{channels} input and {count} output channels do not divide into {group} groups")
    outer, inner = (count, channels // group) if op == "Conv" else (channels, count // group)
    if len(layer.inputs) > 1:
        found = layer.inputs[1:2]
    else:
        values = layer.weights("weights", param.weights, (outer, inner, *kernel), outputs=int(op != "Conv"))
        found = [layer.constant("weights", values)]
    return [*found, layer.stored("bias", param.bias, (count,))] if param.hasBias else found


def _transposed(layer: LayerWriter, kernel: Sequence[int], stride: Sequence[int]) -> None:
    """What the windows overhang is cut off: by amounts, or down to a size, the odd place behind."""
    sizes = layer.sizes(layer.shape()[2:])
    full = [(size - 1) * step + side for size, step, side in zip(sizes, stride, kernel, strict=True)]
    if layer.param.outputShape:
        wanted = listed(layer, "outputShape", 1)
    elif layer.param.HasField("same"):
        wanted = [size * step for size, step in zip(sizes, stride, strict=True)]
    else:
        _convolve(layer, "ConvTranspose", kernel, stride, borders(layer, layer.param.valid.paddingAmounts), [1, 1])
        return
    over = [have - want for have, want in zip(full, wanted, strict=True)]
    pairs = [(max(excess, 0) // 2, max(excess, 0) - max(excess, 0) // 2) for excess in over]
    beyond = [max(-excess, 0) for excess in over]
    if any(more >= step for more, step in zip(beyond, stride, strict=True)):
        raise layer.error(f"its windows make {full} rows and columns at most, {list(wanted)} are wanted")
    _convolve(layer, "ConvTranspose", kernel, stride, in_order(layer, pairs), [1, 1], beyond)


def convolution_3d(layer: LayerWriter) -> None:
    """Of volumes."""
    shape = layer.ranked(5, "[N, C, D, H, W]")
    if layer.param.isDeconvolution:
        raise layer.error("transposed convolutions of volumes are not supported")
    kernel, stride, dilation = (volume(layer, what) for what in ("kernel", "stride", "dilation"))
    padding = volume_pads(layer, stride, spans(kernel, dilation), layer.sizes(shape[2:]))
    group = layer.param.nGroups or 1
    count, channels = layer.param.outputChannels, layer.sizes(shape[1:2])[0]
    if count < 1 or group < 1 or channels % group or count % group:
        raise layer.error(f"{channels} input and {count} output channels do not divide into {group} groups")
    inputs = [layer.inputs[0], layer.stored("weights", layer.param.weights, (count, channels // group, *kernel))]
    if layer.param.hasBias:
        inputs.append(layer.stored("bias", layer.param.bias, (count,)))
    layer.emit("Conv", inputs, kernel_shape=kernel, strides=stride, pads=padding, dilations=dilation, group=group)


LAYERS = {"convolution": convolution, "convolution3d": convolution_3d}
