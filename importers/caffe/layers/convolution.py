"""Layers with a weight matrix: convolutions, inner product, embedding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..layer_writer import LayerWriter


def convolution(layer: LayerWriter) -> None:
    """Convolution over any number of spatial axes, grouped and dilated."""
    group = layer.param("convolution_param").group
    channels = _channels(layer)
    _convolve(layer, "Conv", channels, group)


def depthwise(layer: LayerWriter) -> None:
    """Convolution of each channel on its own: forks give it a layer type instead of `group`."""
    channels = _channels(layer)
    _convolve(layer, "Conv", channels, channels)


def deconvolution(layer: LayerWriter) -> None:
    """Transposed convolution; its weights are [channels in, channels out / group, h, w] in both formats."""
    group = layer.param("convolution_param").group
    _convolve(layer, "ConvTranspose", _channels(layer), group)


def _channels(layer: LayerWriter) -> int:
    param = layer.param("convolution_param")
    if layer.axis(param.axis) != 1:
        raise layer.error(f"channels are expected on axis 1, found axis {param.axis}")
    return layer.sizes(layer.shape()[1:2])[0]


def _convolve(layer: LayerWriter, op: str, channels: int, group: int) -> None:
    param = layer.param("convolution_param")
    axes = len(layer.shape()) - 2
    kernel = spatial(layer, param, "kernel", axes, None)
    count = param.num_output
    if not count or not group or channels % group or count % group:
        raise layer.error(f"{channels} input and {count} output channels do not divide into {group} groups")
    outer, inner = (count, channels // group) if op == "Conv" else (channels, count // group)
    shapes = {"weight": (outer, inner, *kernel)}
    if param.bias_term:
        shapes["bias"] = (count,)
    weights = layer.weights(shapes, {"weight": param.weight_filler, "bias": param.bias_filler})
    pads = spatial(layer, param, "pad", axes, 0)
    for index in range(len(layer.inputs)):  # several bottoms share the weights, each has its top
        layer.emit(
            op,
            [layer.inputs[index], *weights.values()],
            output=index,
            kernel_shape=kernel,
            strides=spatial(layer, param, "stride", axes, 1),
            pads=[*pads, *pads],
            dilations=spatial(layer, param, "dilation", axes, 1),
            group=group,
        )


def spatial(layer: LayerWriter, param: Any, what: str, axes: int, default: int | None) -> list[int]:
    """Kernel, stride, pad or dilation a spatial axis: from WHAT_h and WHAT_w, a list or one number for all.

    Asks which fields are there, not whether they are zero: forks write explicit zeros and ones.
    """
    fields = param.DESCRIPTOR.fields_by_name
    if f"{what}_h" in fields and (param.HasField(f"{what}_h") or param.HasField(f"{what}_w")):
        if axes != 2:
            raise layer.error(f"{what}_h and {what}_w are for images, found an input of {axes} spatial dimensions")
        fallback = default or 0
        return [getattr(param, f"{what}_{side}") if param.HasField(f"{what}_{side}") else fallback for side in "hw"]
    values = _listed(param, "kernel_size" if what == "kernel" else what)
    if not values and default is None:
        raise layer.error("kernel_size is missing")
    if len(values) not in (0, 1, axes):
        raise layer.error(f"{what} is given {len(values)} times for an input of {axes} spatial dimensions")
    return (values or [default or 0]) * (axes if len(values) < 2 else 1)


def _listed(param: Any, name: str) -> list[int]:
    value = getattr(param, name)
    if isinstance(value, int):
        return [value] if param.HasField(name) else []
    return list(value)


def inner_product(layer: LayerWriter) -> None:
    """Fully connected: everything from `axis` on, flattened in C, H, W order, times a matrix."""
    param = layer.param("inner_product_param")
    shape = layer.shape()
    axis = layer.axis(param.axis)
    width = 1
    for dim in layer.sizes(shape[axis:]):
        width *= dim
    matrix = (width, param.num_output) if param.transpose else (param.num_output, width)
    shapes: dict[str, Sequence[int]] = {"weight": matrix}
    if param.bias_term:
        shapes["bias"] = (param.num_output,)
    weights = layer.weights(shapes, {"weight": param.weight_filler, "bias": param.bias_filler})
    if axis == 1:
        flat = layer.inputs[0] if len(shape) == 2 else layer.add("flat", "Flatten", layer.inputs, axis=1)
        layer.emit("Gemm", [flat, *weights.values()], transB=int(not param.transpose))
        return
    _matrix_product(layer, axis, width, weights, param.transpose)


def _matrix_product(layer: LayerWriter, axis: int, width: int, weights: dict[str, str], transposed: bool) -> None:
    flat = layer.inputs[0]
    if len(layer.shape()) > axis + 1:
        flat = layer.add("flat", "Reshape", [flat, layer.ints("flat_shape", [0] * axis + [width])])
    matrix = weights["weight"]
    if not transposed:
        matrix = layer.add("transposed", "Transpose", [matrix], perm=[1, 0])
    if "bias" not in weights:
        layer.emit("MatMul", [flat, matrix])
        return
    product = layer.add("product", "MatMul", [flat, matrix])
    layer.emit("Add", [product, weights["bias"]])


def embed(layer: LayerWriter) -> None:
    """A row of the weights for each index."""
    param = layer.param("embed_param")
    shapes: dict[str, Sequence[int]] = {"weight": (param.input_dim, param.num_output)}
    if param.bias_term:
        shapes["bias"] = (param.num_output,)
    weights = layer.weights(shapes)
    index = layer.add("index", "Cast", layer.inputs, to=7)
    if "bias" in weights:
        rows = layer.add("rows", "Gather", [weights["weight"], index], axis=0)
        layer.emit("Add", [rows, weights["bias"]])
    else:
        layer.emit("Gather", [weights["weight"], index], axis=0)


LAYERS = {
    "Convolution": convolution,
    "ConvolutionDepthwise": depthwise,
    "DepthwiseConvolution": depthwise,
    "Deconvolution": deconvolution,
    "InnerProduct": inner_product,
    "Embed": embed,
}
