"""Activations: the layer `activation`, and those that are layers of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..layer_writer import LayerWriter
from ..wire_schema import enum_name

Activation = Callable[[LayerWriter, Any], None]


def activation(layer: LayerWriter) -> None:
    """The function whose parameters the layer holds."""
    kind = next((field.name for field, _ in layer.param.ListFields()), "")
    if kind not in _ACTIVATIONS:
        raise layer.error(f"expected one of {', '.join(_ACTIVATIONS)}, found {kind or 'no function known'}")
    _ACTIVATIONS[kind](layer, getattr(layer.param, kind))


def _plain(op: str) -> Activation:
    return lambda layer, param: _emit(layer, op)


def _emit(layer: LayerWriter, op: str, **attributes: Any) -> None:
    layer.emit(op, layer.inputs, **attributes)


def _linear(layer: LayerWriter, param: Any) -> None:
    """alpha x + beta."""
    scaled = layer.add("scaled", "Mul", [*layer.inputs, layer.constant("alpha", param.alpha)])
    layer.emit("Add", [scaled, layer.constant("beta", param.beta)])


def _thresholded(layer: LayerWriter, param: Any) -> None:
    """x from alpha on, else 0."""
    border, zero = layer.constant("border", param.alpha), layer.constant("zero", 0)
    layer.emit("Where", [layer.add("kept", "GreaterOrEqual", [*layer.inputs, border]), layer.inputs[0], zero])


def _prelu(layer: LayerWriter, param: Any) -> None:
    """x > 0, else alpha x, a number a channel or one for all."""
    layer.emit("PRelu", [*layer.inputs, layer.constant("alpha", layer.per_channel("alpha", param.alpha))])


def _scaled_tanh(layer: LayerWriter, param: Any) -> None:
    """alpha tanh(beta x)."""
    scaled = layer.add("scaled", "Mul", [*layer.inputs, layer.constant("beta", param.beta)])
    inner = layer.add("inner", "Tanh", [scaled])
    layer.emit("Mul", [inner, layer.constant("alpha", param.alpha)])


def _parametric_softplus(layer: LayerWriter, param: Any) -> None:
    """alpha log(1 + exp(beta x)), numbers a channel or one for all."""
    alpha, beta = (layer.constant(role, layer.per_channel(role, getattr(param, role))) for role in ("alpha", "beta"))
    inner = layer.add("inner", "Softplus", [layer.add("scaled", "Mul", [*layer.inputs, beta])])
    layer.emit("Mul", [inner, alpha])


_ACTIVATIONS: dict[str, Activation] = {
    "linear": _linear,
    "ReLU": _plain("Relu"),
    "leakyReLU": lambda layer, param: _emit(layer, "LeakyRelu", alpha=param.alpha),
    "thresholdedReLU": _thresholded,
    "PReLU": _prelu,
    "tanh": _plain("Tanh"),
    "scaledTanh": _scaled_tanh,
    "sigmoid": _plain("Sigmoid"),
    "sigmoidHard": lambda layer, param: _emit(layer, "HardSigmoid", alpha=param.alpha, beta=param.beta),
    "ELU": lambda layer, param: _emit(layer, "Elu", alpha=param.alpha),
    "softsign": _plain("Softsign"),
    "softplus": _plain("Softplus"),
    "parametricSoftplus": _parametric_softplus,
}


def clip(layer: LayerWriter) -> None:
    """x between two numbers."""
    limits = [layer.constant(role, getattr(layer.param, role)) for role in ("minVal", "maxVal")]
    layer.emit("Clip", [*layer.inputs, *limits])


def clamped_relu(layer: LayerWriter) -> None:
    """x, or alpha x below 0, and at most beta."""
    leaky = layer.add("leaky", "LeakyRelu", layer.inputs, alpha=layer.param.alpha)
    layer.emit("Min", [leaky, layer.constant("beta", layer.param.beta)])


def gelu(layer: LayerWriter) -> None:
    """x times how likely a normal number is below x (Hendrycks & Gimpel 2016), or one of two approximations."""
    x, mode = layer.inputs[0], enum_name("GeluMode", layer.param.mode)
    if mode == "SIGMOID_APPROXIMATION":
        gate = layer.add("gate", "Sigmoid", [layer.add("scaled", "Mul", [x, layer.constant("factor", 1.702)])])
        layer.emit("Mul", [x, gate])
        return
    inner = _tanh_of(layer, x) if mode == "TANH_APPROXIMATION" else _erf_of(layer, x)
    gate = layer.add("gate", "Add", [inner, layer.constant("one", 1)])
    layer.emit("Mul", [layer.add("half", "Mul", [x, layer.constant("a_half", 0.5)]), gate])


def _erf_of(layer: LayerWriter, x: str) -> str:
    return layer.add("erf", "Erf", [layer.add("scaled", "Mul", [x, layer.constant("factor", np.sqrt(0.5))])])


def _tanh_of(layer: LayerWriter, x: str) -> str:
    cube = layer.add("cube", "Mul", [layer.add("square", "Mul", [x, x]), x])
    bent = layer.add("bent", "Add", [x, layer.add("small", "Mul", [cube, layer.constant("bend", 0.044715)])])
    return layer.add("tanh", "Tanh", [layer.add("scaled", "Mul", [bent, layer.constant("factor", np.sqrt(2 / np.pi))])])


LAYERS = {"activation": activation, "clip": clip, "clampedReLU": clamped_relu, "gelu": gelu}
