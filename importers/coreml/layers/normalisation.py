"""Layers that normalise, with learned or with measured statistics."""

from __future__ import annotations

import numpy as np

from ..layer_writer import LayerWriter

_EPSILON = 1e-5  # protobuf does not tell 0 from nothing, so 0 stands for these
_EPSILON_OF_NORMS = 1e-6


def batchnorm(layer: LayerWriter) -> None:
    """By stored statistics, or by those of each channel of each image."""
    param, shape = layer.param, layer.shape()
    if len(shape) < 3:
        raise layer.error(f"expected an input of 3 axes or more, found {len(shape)}")
    epsilon, channels = param.epsilon or _EPSILON, (layer.channels,)
    if param.computeMeanVar:
        if not param.instanceNormalization:
            raise layer.error("statistics of a whole batch of images are not supported")
        layer.images()
        learned = [_or_ones(layer, role, channels) for role in ("gamma", "beta")]
        layer.emit("InstanceNormalization", [layer.inputs[0], *learned], epsilon=epsilon)
        return
    roles = ("gamma", "beta", "mean", "variance")
    gamma, beta, mean, variance = (layer.weights(role, getattr(param, role), channels) for role in roles)
    if len(shape) == 4:
        stored = [layer.constant(role, value) for role, value in zip(roles, (gamma, beta, mean, variance), strict=True)]
        layer.emit("BatchNormalization", [layer.inputs[0], *stored], epsilon=epsilon)
        return
    factor = gamma / np.sqrt(variance + epsilon)
    product = layer.add("product", "Mul", [layer.inputs[0], layer.constant("factor", factor.reshape(-1, 1, 1))])
    layer.emit("Add", [product, layer.constant("shift", (beta - mean * factor).reshape(-1, 1, 1))])


def _or_ones(layer: LayerWriter, role: str, shape: tuple[int, ...]) -> str:
    """A learned factor or shift, which may be missing."""
    if layer.param.HasField(role):
        return layer.stored(role, getattr(layer.param, role), shape)
    return layer.constant(role, np.full(shape, float(role == "gamma")))


def mvn(layer: LayerWriter) -> None:
    """Less the mean, and divided by the standard deviation, of each channel or of all of an image."""
    param, rank = layer.param, len(layer.shape())
    axes = list(range(rank - 3 if param.acrossChannels else rank - 2, rank))
    mean = layer.add("mean", "ReduceMean", layer.inputs, axes=axes)
    if not param.normalizeVariance:
        layer.emit("Sub", [layer.inputs[0], mean])
        return
    centred = layer.add("centred", "Sub", [layer.inputs[0], mean])
    squares = layer.add("squares", "Mul", [centred, centred])
    variance = layer.add("variance", "ReduceMean", [squares], axes=axes)
    layer.emit("Div", [centred, _root(layer, variance, param.epsilon or _EPSILON_OF_NORMS)])


def _root(layer: LayerWriter, value: str, epsilon: float) -> str:
    return layer.add("root", "Sqrt", [layer.add("kept_from_0", "Add", [value, layer.constant("epsilon", epsilon)])])


def l2_normalize(layer: LayerWriter) -> None:
    """Divided by the length of all channels, rows and columns."""
    rank = len(layer.shape())
    squares = layer.add("squares", "Mul", [layer.inputs[0]] * 2)
    total = layer.add("total", "ReduceSum", [squares, layer.ints("axes", range(max(rank - 3, 0), rank))])
    layer.emit("Div", [layer.inputs[0], _root(layer, total, layer.param.epsilon or _EPSILON_OF_NORMS)])


def lrn(layer: LayerWriter) -> None:
    """Local response normalisation across channels (Krizhevsky et al. 2012); alpha is divided by the size."""
    param = layer.param
    layer.images()
    if param.localSize % 2 == 0:
        raise layer.error(f"expected an odd localSize, found {param.localSize}")
    layer.emit("LRN", layer.inputs, size=param.localSize, alpha=param.alpha, beta=param.beta, bias=param.k or 1.0)


def softmax(layer: LayerWriter) -> None:
    """Over the channels."""
    layer.emit("Softmax", layer.inputs, axis=layer.channel_axis)


def softmax_nd(layer: LayerWriter) -> None:
    """Over any axis."""
    layer.emit("Softmax", layer.inputs, axis=layer.axis(layer.param.axis))


def layer_normalization(layer: LayerWriter) -> None:
    """Over the last axes (Ba et al. 2016)."""
    param, shape = layer.param, layer.shape()
    normal = list(param.normalizedShape)
    if not normal or layer.sizes(shape[-len(normal) :]) != tuple(normal):
        raise layer.error(f"expected the last sizes of {list(shape)}, found {normal}")
    gamma, beta = (layer.stored(role, getattr(param, role), normal) for role in ("gamma", "beta"))
    layer.emit("LayerNormalization", [layer.inputs[0], gamma, beta], axis=-len(normal), epsilon=param.eps)


LAYERS = {
    "batchnorm": batchnorm,
    "mvn": mvn,
    "l2normalize": l2_normalize,
    "lrn": lrn,
    "softmax": softmax,
    "softmaxND": softmax_nd,
    "layerNormalization": layer_normalization,
}
