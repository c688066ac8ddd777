"""Layers with weights of their own, in the order that the file holds them."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ..layer_writer import LayerWriter
from .activation import end_in

EPSILON = 1e-5  # of Darknet's batch normalisation: (x - mean) / sqrt(variance + epsilon)
_LARGEST_SIDE = 32  # of a window with weights of its own: the graph has nodes for each of its places
_STATISTICS = ("scale", "mean", "variance")


def convolutional(layer: LayerWriter) -> str:
    """Convolution: groups, strides, dilation; batch normalisation in place of a bias."""
    return _convolve(layer, layer.map(layer.input), layer.positive("filters"), layer.positive("groups"))


def depthwise(layer: LayerWriter) -> str:
    """Convolution of each channel on its own: a layer type of forks, elsewhere it is said by `groups`."""
    value = layer.map(layer.input)
    channels = layer.extent(value)[0]
    return _convolve(layer, value, channels, channels)


def _convolve(layer: LayerWriter, value: str, filters: int, groups: int) -> str:
    section, channels = layer.section, layer.extent(value)[0]
    if channels % groups or filters % groups:
        raise layer.error(f"{channels} input and {filters} output channels do not divide into {groups} groups")
    side, stride = layer.positive("size"), layer.positive("stride")
    padding = side // 2 if section.integer("pad") else section.integer("padding")
    dilation = layer.positive("dilation") if side > 1 else 1
    if padding < 0:
        raise layer.error(f"padding expects a number from 0 on, found {padding}")
    arrays = _weights(layer, (filters, channels // groups, side, side))
    attributes = {
        "kernel_shape": [side, side],
        "strides": [layer.positive("stride_y", stride), layer.positive("stride_x", stride)],
        "pads": [padding * dilation] * 4,
        "dilations": [dilation, dilation],
        "group": groups,
    }
    inputs = [value, layer.constant("weight", arrays["weight"])]
    if not _is_normalised(layer):
        return end_in(
            layer, "conv", "Conv", [*inputs, layer.constant("bias", arrays["bias"])], "logistic", **attributes
        )
    product = layer.add("conv", "Conv", inputs, **attributes)
    return _normalise(layer, product, arrays)


def _normalise(layer: LayerWriter, value: str, arrays: Mapping[str, np.ndarray], activation: str = "logistic") -> str:
    names = [layer.constant(role, arrays[role]) for role in ("scale", "bias", "mean", "variance")]
    return end_in(layer, "norm", "BatchNormalization", [value, *names], activation, epsilon=EPSILON)


def _is_normalised(layer: LayerWriter) -> bool:
    return bool(layer.section.integer("batch_normalize") or layer.section.integer("cbn"))


def _weights(layer: LayerWriter, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Role -> array of a convolution: bias, statistics, weight [filters, channels / groups, side, side]; or those of
    the layer that it shares them with.
    """
    roles = ["bias", *(_STATISTICS if _is_normalised(layer) else ()), "weight"]
    loaded = layer.network.loaded
    if "share_index" in layer.section.options:
        (source,) = layer.sources("share_index")
        found = loaded.get(source, {})
        if list(found) != roles or found["weight"].shape != shape:
            raise layer.error(f"cannot share the weights of layer {source}: expected {list(shape)}")
    else:
        found = {role: layer.take(role, [shape[0]]) for role in roles[:-1]}
        found["weight"] = _turned(layer, shape)
    loaded[layer.section.index] = found
    return found


def _turned(layer: LayerWriter, shape: tuple[int, ...]) -> np.ndarray:
    if not layer.section.integer("flipped"):
        return layer.take("weight", shape)
    return layer.take("weight", [math.prod(shape[1:]), shape[0]]).T.reshape(shape)


def connected(layer: LayerWriter) -> str:
    """Fully connected: a row of everything, in C, H, W order, times a matrix; then as a convolution."""
    row = layer.row(layer.input)
    inputs, outputs = layer.graph.shape(row)[1], layer.positive("output")
    assert isinstance(inputs, int)
    bias = layer.take("bias", [outputs])
    is_turned = layer.network.weights.transposed
    matrix = layer.take("weight", [inputs, outputs] if is_turned else [outputs, inputs])
    weight = layer.constant("weight", matrix.T if is_turned else matrix)
    if not _is_normalised(layer):
        return end_in(layer, "product", "Gemm", [row, weight, layer.constant("bias", bias)], "logistic", transB=1)
    statistics = {role: layer.take(role, [outputs]) for role in _STATISTICS}
    return _normalise(layer, layer.add("product", "Gemm", [row, weight], transB=1), {"bias": bias, **statistics})


def batchnorm(layer: LayerWriter) -> str:
    """Batch normalisation alone."""
    value = layer.map(layer.input)
    channels = layer.extent(value)[0]
    arrays = {role: layer.take(role, [channels]) for role in ("bias", *_STATISTICS)}
    return _normalise(layer, value, arrays, "linear")


def local(layer: LayerWriter) -> str:
    """A convolution with other weights at every place: each multiplies its patch by a matrix of its own."""
    value, filters = layer.map(layer.input), layer.positive("filters")
    channels, height, width = layer.extent(value)
    side, stride, pad = layer.positive("size"), layer.positive("stride"), layer.section.integer("pad")
    rows, columns = ((length + 2 * pad - side) // stride + 1 for length in (height, width))
    # What Darknet takes for the number of places; where it is another than that of the windows it computes nonsense.
    expected = [(length - (1 if pad else side)) // stride + 1 for length in (height, width)]
    if pad < 0 or side > _LARGEST_SIDE or min(rows, columns) < 1 or [rows, columns] != expected:
        raise layer.error(f"windows of {side} with pad {pad} do not fit its input of {height}x{width}")
    patch, places = channels * side * side, rows * columns
    bias = layer.take("bias", [filters, rows, columns])
    weights = layer.take("weight", [places, filters, patch])
    patches = _patches(
        layer, layer.add("padded", "Pad", [value, layer.ints("pads", [0, 0, pad, pad] * 2)]), side, stride
    )
    patches = layer.add("patches", "Reshape", [patches, layer.ints("patches_shape", [0, patch, places])])
    patches = layer.add("places", "Transpose", [patches], perm=[2, 0, 1])
    matrices = layer.constant("weight", weights.transpose(0, 2, 1))
    products = layer.add("products", "MatMul", [patches, matrices])  # [places, N, filters]
    products = layer.add("filters", "Transpose", [products], perm=[1, 2, 0])
    products = layer.add("map", "Reshape", [products, layer.ints("map_shape", [0, filters, rows, columns])])
    return end_in(layer, "sum", "Add", [products, layer.constant("bias", bias)], "logistic")


def _patches(layer: LayerWriter, value: str, side: int, stride: int) -> str:
    """[N, C, side * side, rows, columns]: for each place of a window what all windows have there."""
    _, height, width = layer.extent(value)
    ends = [height - side, width - side]
    parts = []
    for place in np.ndindex(side, side):
        bounds = [place, [first + end + 1 for first, end in zip(place, ends, strict=True)], [2, 3], [stride, stride]]
        names = [
            layer.ints(role, numbers) for role, numbers in zip(("starts", "ends", "axes", "steps"), bounds, strict=True)
        ]
        part = layer.add("part", "Slice", [value, *names])
        parts.append(layer.add("place", "Unsqueeze", [part, layer.ints("place_axis", [2])]))
    return layer.add("windows", "Concat", parts, axis=2)


LAYERS = {
    "batchnorm": batchnorm,
    "connected": connected,
    "convolutional": convolutional,
    "depthwise_convolutional": depthwise,
    "local": local,
}
