"""Layers that change each number on its own."""

from __future__ import annotations

import math

import numpy as np

from ..layer_writer import LayerWriter


def relu(layer: LayerWriter) -> None:
    """max(x, 0), or leaky with negative_slope."""
    slope = layer.param("relu_param").negative_slope
    if slope:
        layer.emit("LeakyRelu", layer.inputs, alpha=slope)
    else:
        layer.emit("Relu", layer.inputs)


def prelu(layer: LayerWriter) -> None:
    """max(x, 0) + slope * min(x, 0), a slope a channel or one for all (He et al. 2015)."""
    param = layer.param("prelu_param")
    shape = layer.shape()
    count = 1 if param.channel_shared else layer.sizes(shape[1:2])[0]
    slope = layer.weight_values({"slope": (count,)}, {"slope": param.filler})["slope"]
    if len(shape) > 2:
        slope = slope.reshape(-1, *[1] * (len(shape) - 2))
    layer.emit("PRelu", [*layer.inputs, layer.constant("slope", slope)])


def elu(layer: LayerWriter) -> None:
    """x for x > 0, else alpha * (exp(x) - 1)."""
    layer.emit("Elu", layer.inputs, alpha=layer.param("elu_param").alpha)


def relu6(layer: LayerWriter) -> None:
    """x clipped to 0..6."""
    layer.emit("Clip", [*layer.inputs, layer.constant("min", 0), layer.constant("max", 6)])


def clip(layer: LayerWriter) -> None:
    """x clipped to min..max."""
    param = layer.param("clip_param")
    layer.emit("Clip", [*layer.inputs, layer.constant("min", param.min), layer.constant("max", param.max)])


def swish(layer: LayerWriter) -> None:
    """x * sigmoid(beta * x)."""
    beta = layer.param("swish_param").beta
    scaled = layer.inputs[0]
    if beta != 1:
        scaled = layer.add("scaled", "Mul", [scaled, layer.constant("beta", beta)])
    gate = layer.add("gate", "Sigmoid", [scaled])
    layer.emit("Mul", [layer.inputs[0], gate])


def sigmoid(layer: LayerWriter) -> None:
    """1 / (1 + exp(-x))."""
    layer.emit("Sigmoid", layer.inputs)


def tanh(layer: LayerWriter) -> None:
    """Hyperbolic tangent."""
    layer.emit("Tanh", layer.inputs)


def absolute(layer: LayerWriter) -> None:
    """|x|."""
    layer.emit("Abs", layer.inputs)


def bnll(layer: LayerWriter) -> None:
    """log(1 + exp(x)), the binomial normal log likelihood."""
    layer.emit("Softplus", layer.inputs)


def power(layer: LayerWriter) -> None:
    """(shift + scale * x) ^ power."""
    param = layer.param("power_param")
    _affine_then(layer, param.scale, param.shift, power=param.power)


def exponential(layer: LayerWriter) -> None:
    """base ^ (shift + scale * x); base -1 stands for e."""
    param = layer.param("exp_param")
    factor = 1.0 if param.base == -1 else math.log(param.base)
    _affine_then(layer, param.scale * factor, param.shift * factor, op="Exp")


def logarithm(layer: LayerWriter) -> None:
    """log of shift + scale * x to a base; base -1 stands for e."""
    param = layer.param("log_param")
    inner = _affine(layer, param.scale, param.shift)
    if param.base == -1:
        layer.emit("Log", [inner])
    else:
        natural = layer.add("natural", "Log", [inner])
        layer.emit("Mul", [natural, layer.constant("base", 1 / math.log(param.base))])


def threshold(layer: LayerWriter) -> None:
    """1 where x > threshold, else 0."""
    border = layer.constant("border", layer.param("threshold_param").threshold)
    above = layer.add("above", "Greater", [*layer.inputs, border])
    layer.emit("Cast", [above], to=1)


def dropout(layer: LayerWriter) -> None:
    """The identity at test time; in forks whose training does not rescale, multiplied by what training kept."""
    param = layer.param("dropout_param")
    if param.scale_train:
        layer.emit("Dropout", layer.inputs)
    else:
        layer.emit("Mul", [*layer.inputs, layer.constant("kept", 1 - param.dropout_ratio)])


def _affine_then(layer: LayerWriter, scale: float, shift: float, *, op: str = "", power: float = 1.0) -> None:
    """The affine step and what follows it; whichever of them is last carries the layer's name."""
    if op:
        layer.emit(op, [_affine(layer, scale, shift)])
    elif power != 1:
        layer.emit("Pow", [_affine(layer, scale, shift), layer.constant("power", power)])
    elif shift == 0:
        layer.emit("Mul", [*layer.inputs, layer.constant("scale", scale)])
    else:
        layer.emit("Add", [_affine(layer, scale, 0.0), layer.constant("shift", shift)])


def _affine(layer: LayerWriter, scale: float, shift: float) -> str:
    value = layer.inputs[0]
    if scale != 1:
        value = layer.add("scaled", "Mul", [value, layer.constant("scale", np.float32(scale))])
    if shift != 0:
        value = layer.add("shifted", "Add", [value, layer.constant("shift", np.float32(shift))])
    return value


LAYERS = {
    "ReLU": relu,
    "PReLU": prelu,
    "ELU": elu,
    "ReLU6": relu6,
    "Clip": clip,
    "Swish": swish,
    "Sigmoid": sigmoid,
    "TanH": tanh,
    "AbsVal": absolute,
    "BNLL": bnll,
    "Power": power,
    "Exp": exponential,
    "Log": logarithm,
    "Threshold": threshold,
    "Dropout": dropout,
}
