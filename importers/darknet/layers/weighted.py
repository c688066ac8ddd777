"""Layers with weights of their own, in the order that the file holds them."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ..layer_writer import LayerWriter
from .activation import end_in

EPSILON = 1e-5  # of Darknet's batch normalisation: (x - mean) / sqrt(variance + epsilon)
_STATISTICS = ("scale", "mean", "variance")


def convolutional(layer: LayerWriter) -> None:
    """Convolution: groups, strides, dilation; batch normalisation in place of a bias."""
    _convolve(layer, layer.map(layer.input), layer.positive("filters"), layer.positive("groups"))


def depthwise(layer: LayerWriter) -> None:
    """Convolution of each channel on its own: a layer type of forks, elsewhere it is said by `groups`."""
    value = layer.map(layer.input)
    channels = layer.shape(value)[0]
    _convolve(layer, value, channels, channels)


def _convolve(layer: LayerWriter, value: str, filters: int, groups: int) -> None:
    section, channels = layer.section, layer.shape(value)[0]
    if channels % groups or filters % groups:
        raise section.error(f"{channels} input and {filters} output channels do not divide into {groups} groups")
    side, stride = layer.positive("size"), layer.positive("stride")
    padding = side // 2 if section.integer("pad") else section.integer("padding")
    dilation = layer.positive("dilation") if side > 1 else 1
    if padding < 0:
        raise section.error(f"padding expects a number from 0 on, found {padding}")
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
        end_in(layer, "conv", "Conv", [*inputs, layer.constant("bias", arrays["bias"])], "logistic", **attributes)
        return
    product = layer.add("conv", "Conv", inputs, **attributes)
    _normalise(layer, product, arrays)


def _normalise(layer: LayerWriter, value: str, arrays: Mapping[str, np.ndarray], activation: str = "logistic") -> None:
    names = [layer.constant(role, arrays[role]) for role in ("scale", "bias", "mean", "variance")]
    end_in(layer, "norm", "BatchNormalization", [value, *names], activation, epsilon=EPSILON)


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
            raise layer.section.error(f"cannot share the weights of layer {source}: expected {list(shape)}")
    else:
        found = {role: layer.take(role, [shape[0]]) for role in roles[:-1]}
        found["weight"] = _turned(layer, shape)
    loaded[layer.section.index] = found
    return found


def _turned(layer: LayerWriter, shape: tuple[int, ...]) -> np.ndarray:
    if not layer.section.integer("flipped"):
        return layer.take("weight", shape)
    return layer.take("weight", [math.prod(shape[1:]), shape[0]]).T.reshape(shape)


def connected(layer: LayerWriter) -> None:
    """Fully connected: a row of everything, in C, H, W order, times a matrix; then as a convolution."""
    row = layer.row(layer.input)
    inputs, outputs = layer.graph.shape(row)[1], layer.positive("output")
    assert isinstance(inputs, int)
    bias = layer.take("bias", [outputs])
    is_turned = layer.network.weights.transposed
    matrix = layer.take("weight", [inputs, outputs] if is_turned else [outputs, inputs])
    weight = layer.constant("weight", matrix.T if is_turned else matrix)
    if not _is_normalised(layer):
        end_in(layer, "product", "Gemm", [row, weight, layer.constant("bias", bias)], "logistic", transB=1)
        return
    statistics = {role: layer.take(role, [outputs]) for role in _STATISTICS}
    _normalise(layer, layer.add("product", "Gemm", [row, weight], transB=1), {"bias": bias, **statistics})


def batchnorm(layer: LayerWriter) -> None:
    """Batch normalisation alone."""
    value = layer.map(layer.input)
    channels = layer.shape(value)[0]
    arrays = {role: layer.take(role, [channels]) for role in ("bias", *_STATISTICS)}
    _normalise(layer, value, arrays, "linear")


def local(layer: LayerWriter) -> None:
    """A convolution with other weights at every place.

    The patches are taken by a convolution with ones and zeros, and each place multiplies its own by its own matrix.
    """
    value, filters = layer.map(layer.input), layer.positive("filters")
    channels, height, width = layer.shape(value)
    side, stride = layer.positive("size"), layer.positive("stride")
    padding = side // 2 if layer.section.integer("pad") else 0
    rows, columns = ((length - (1 if padding else side)) // stride + 1 for length in (height, width))
    if min(rows, columns) < 1:
        raise layer.section.error(f"windows of {side} do not fit its input of {height}x{width}")
    patch, places = channels * side * side, rows * columns
    bias = layer.take("bias", [filters, rows, columns])
    weights = layer.take("weight", [places, filters, patch])
    selection = np.eye(patch, dtype=np.float32).reshape(patch, channels, side, side)
    taken = layer.add(
        "patches", "Conv", [value, layer.constant("selection", selection)],
        kernel_shape=[side, side], strides=[stride, stride], pads=[padding] * 4,
    )  # fmt: skip
    taken = layer.add("places", "Reshape", [taken, layer.ints("places_shape", [0, patch, places])])
    taken = layer.add("patch_rows", "Transpose", [taken], perm=[2, 0, 1])  # [places, N, patch]
    matrices = layer.constant("weight", weights.transpose(0, 2, 1))  # [places, patch, filters]
    product = layer.add("products", "MatMul", [taken, matrices])
    product = layer.add("filters", "Transpose", [product], perm=[1, 2, 0])
    product = layer.add("map", "Reshape", [product, layer.ints("map_shape", [0, filters, rows, columns])])
    end_in(layer, "sum", "Add", [product, layer.constant("bias", bias)], "logistic")


LAYERS = {
    "batchnorm": batchnorm,
    "connected": connected,
    "convolutional": convolutional,
    "depthwise_convolutional": depthwise,
    "local": local,
}
