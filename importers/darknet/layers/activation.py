"""Activations, which most layers end in, and the layers that do no more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...errors import nearest_names
from ..layer_writer import LayerWriter

Activation = Callable[[LayerWriter, str], str]  # writes the nodes that make the layer's output of this tensor


def end_in(layer: LayerWriter, role: str, op: str, inputs: Sequence[str], default: str, **attributes: Any) -> str:
    """A node, and the layer's activation behind it; the node is the layer's last where that is linear."""
    name = layer.section.text("activation", default)
    if name == "linear":
        return layer.emit(op, inputs, **attributes)
    return activate(layer, layer.add(role, op, inputs, **attributes), name)


def activate(layer: LayerWriter, value: str, name: str) -> str:
    """The layer's output: this tensor, activated. Raises InputError for an activation that is not known."""
    if name == "linear":
        return value
    if name not in ACTIVATIONS:
        known = nearest_names(name, [*ACTIVATIONS, "linear"])
        raise layer.error(f"activation {name!r} is not one that onnxray can translate; {known}")
    return ACTIVATIONS[name](layer, value)


def _one_node(op: str, **attributes: Any) -> Activation:
    return lambda layer, value: layer.emit(op, [value], **attributes)


def _clipped(low: float, high: float) -> Activation:
    return lambda layer, value: layer.emit("Clip", [value, layer.constant("low", low), layer.constant("high", high)])


def _swish(layer: LayerWriter, value: str) -> str:
    return layer.emit("Mul", [value, layer.add("gate", "Sigmoid", [value])])


def _mish(layer: LayerWriter, value: str) -> str:
    """x * tanh(log(1 + exp(x))) (Misra 2019)."""
    return layer.emit("Mul", [value, layer.add("gate", "Tanh", [layer.add("softplus", "Softplus", [value])])])


def _hard_mish(layer: LayerWriter, value: str) -> str:
    """x for x > 0, x * x / 2 + x down to -2, then 0: that is x * clip(x / 2 + 1, 0, 1)."""
    half = layer.add("half", "Mul", [value, layer.constant("factor", 0.5)])
    raised = layer.add("raised", "Add", [half, layer.constant("one", 1)])
    gate = layer.add("gate", "Clip", [raised, layer.constant("low", 0), layer.constant("high", 1)])
    return layer.emit("Mul", [value, gate])


def _loggy(layer: LayerWriter, value: str) -> str:
    """2 / (1 + exp(-x)) - 1."""
    doubled = layer.add("doubled", "Mul", [layer.add("logistic", "Sigmoid", [value]), layer.constant("two", 2)])
    return layer.emit("Sub", [doubled, layer.constant("one", 1)])


def _ramp(layer: LayerWriter, value: str) -> str:
    """max(x, 0) + x / 10."""
    tenth = layer.add("tenth", "Mul", [value, layer.constant("factor", 0.1)])
    return layer.emit("Add", [layer.add("positive", "Relu", [value]), tenth])


def _gelu(layer: LayerWriter, value: str) -> str:
    """0.5 * x * (1 + tanh(0.797885 * x + 0.035677 * x ^ 3)), with Darknet's figures."""
    cubic = layer.add("cube", "Pow", [value, layer.constant("three", 3)])
    cubic = layer.add("cubic", "Mul", [cubic, layer.constant("cubic_factor", 0.035677)])
    plain = layer.add("plain", "Mul", [value, layer.constant("plain_factor", 0.797885)])
    tanh = layer.add("tanh", "Tanh", [layer.add("sum", "Add", [plain, cubic])])
    gate = layer.add("gate", "Add", [tanh, layer.constant("one", 1)])
    return layer.emit("Mul", [layer.add("half", "Mul", [value, layer.constant("half_factor", 0.5)]), gate])


ACTIVATIONS: dict[str, Activation] = {
    "elu": _one_node("Elu"),
    "gelu": _gelu,
    "hard_mish": _hard_mish,
    "hardtan": _clipped(-1, 1),
    "leaky": _one_node("LeakyRelu", alpha=0.1),
    "loggy": _loggy,
    "logistic": _one_node("Sigmoid"),
    "mish": _mish,
    "ramp": _ramp,
    "relie": _one_node("LeakyRelu", alpha=0.01),
    "relu": _one_node("Relu"),
    "relu6": _clipped(0, 6),
    "revleaky": _one_node("LeakyRelu", alpha=0.1),
    "selu": _one_node("Selu", alpha=1.6732, gamma=1.0507),
    "swish": _swish,
    "tanh": _one_node("Tanh"),
}


def activation(layer: LayerWriter) -> str:
    """Nothing but an activation."""
    return activate(layer, layer.input, layer.section.text("activation", "linear"))


def same(layer: LayerWriter) -> str:
    """Nothing at test time."""
    return layer.input


LAYERS = {"activation": activation, "cost": same, "dropout": same}
