"""Activations: layers of their own, and those that other layers end in.

An activation is written by a function of (the layer that has it, the tensor, its options); its last node is `emit`ted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ..layer_writer import Activation, LayerWriter
from ..network import Layer
from ..upgrade import Config


def _single(op: str, **attributes: Any) -> Activation:
    """An activation that is one operator of ONNX."""

    def write(layer: LayerWriter, x: str, config: Config) -> None:
        layer.emit(op, [x], **attributes)

    return write


def relu(layer: LayerWriter, x: str, config: Config) -> None:
    """max_value at most; x from `threshold` up; below it negative_slope * (x - threshold)."""
    slope = config.get("negative_slope") or 0.0
    threshold = config.get("threshold") or 0.0
    highest = config.get("max_value")
    if threshold:
        _relu_above(layer, x, slope, threshold, highest)
    elif slope and highest is None:
        layer.emit("LeakyRelu", [x], alpha=slope)
    elif slope:
        layer.emit("Min", [layer.add("leaky", "LeakyRelu", [x], alpha=slope), layer.constant("max_value", highest)])
    elif highest is None:
        layer.emit("Relu", [x])
    else:
        layer.emit("Clip", [x, layer.constant("min", 0), layer.constant("max", highest)])


def _relu_above(layer: LayerWriter, x: str, slope: float, threshold: float, highest: float | None) -> None:
    edge = layer.constant("threshold", threshold)
    above = layer.add("above", "Greater", [x, edge])
    below = layer.add("apart", "Sub", [x, edge])
    lower = layer.add("below", "Mul", [below, layer.constant("negative_slope", slope)])
    if highest is None:
        layer.emit("Where", [above, x, lower])
        return
    upper = layer.add("upper", "Clip", [x, layer.constant("min", 0), layer.constant("max", highest)])
    layer.emit("Where", [above, upper, lower])


def leaky_relu(layer: LayerWriter, x: str, config: Config) -> None:
    """x, below 0 a share of it: 0.3 by default as a layer, 0.2 as an activation."""
    given = config.get("negative_slope", config.get("alpha"))
    layer.emit("LeakyRelu", [x], alpha=float(given if given is not None else config.get("otherwise", 0.3)))


def elu(layer: LayerWriter, x: str, config: Config) -> None:
    """x for x > 0, else alpha * (exp(x) - 1)."""
    alpha = config.get("alpha")
    layer.emit("Elu", [x], alpha=1.0 if alpha is None else float(alpha))


def softmax(layer: LayerWriter, x: str, config: Config) -> None:
    """Over one axis of Keras, the last by default."""
    layer.emit("Softmax", [x], axis=_axis(layer, x, config))


def log_softmax(layer: LayerWriter, x: str, config: Config) -> None:
    """The logarithm of `softmax`."""
    layer.emit("LogSoftmax", [x], axis=_axis(layer, x, config))


def _axis(layer: LayerWriter, x: str, config: Config) -> int:
    axis = config.get("axis", -1)
    axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    if not isinstance(axis, int):
        raise layer.error(f"expected one axis, found {axis}")
    return layer.axis(axis, len(layer.graph.shape(x)))


def hard_sigmoid(layer: LayerWriter, x: str, config: Config) -> None:
    """max(0, min(1, slope * x + 1/2)): the slope is 0.2 before Keras 3, 1/6 since."""
    layer.emit("HardSigmoid", [x], alpha=1 / 6 if layer.scope.version >= 3 else 0.2, beta=0.5)


def silu(layer: LayerWriter, x: str, config: Config) -> None:
    """x * sigmoid(x)."""
    layer.emit("Mul", [x, layer.add("gate", "Sigmoid", [x])])


def relu6(layer: LayerWriter, x: str, config: Config) -> None:
    """x clipped to 0..6."""
    relu(layer, x, {"max_value": 6.0})


def gelu(layer: LayerWriter, x: str, config: Config) -> None:
    """x * Phi(x), Phi the normal distribution (Hendrycks & Gimpel 2016)."""
    inner = layer.add("scaled", "Mul", [x, layer.constant("sqrt_half", math.sqrt(0.5))])
    erf = layer.add("erf", "Erf", [inner])
    share = layer.add("share", "Add", [erf, layer.constant("one", 1)])
    layer.emit("Mul", [layer.add("half_x", "Mul", [x, layer.constant("half", 0.5)]), share])


def mish(layer: LayerWriter, x: str, config: Config) -> None:
    """x * tanh(softplus(x))."""
    layer.emit("Mul", [x, layer.add("tanh", "Tanh", [layer.add("softplus", "Softplus", [x])])])


def log_sigmoid(layer: LayerWriter, x: str, config: Config) -> None:
    """-softplus(-x)."""
    layer.emit("Neg", [layer.add("softplus", "Softplus", [layer.add("minus", "Neg", [x])])])


def tanh_shrink(layer: LayerWriter, x: str, config: Config) -> None:
    """x - tanh(x)."""
    layer.emit("Sub", [x, layer.add("tanh", "Tanh", [x])])


def squareplus(layer: LayerWriter, x: str, config: Config) -> None:
    """(x + sqrt(x^2 + 4)) / 2."""
    square = layer.add("square", "Mul", [x, x])
    root = layer.add("root", "Sqrt", [layer.add("raised", "Add", [square, layer.constant("four", 4)])])
    layer.emit("Mul", [layer.add("sum", "Add", [x, root]), layer.constant("half", 0.5)])


def sparse_plus(layer: LayerWriter, x: str, config: Config) -> None:
    """0 up to -1, (x + 1)^2 / 4 up to 1, then x: with t = max(x + 1, 0) up to 2, t^2 / 4 + max(x - 1, 0)."""
    one = layer.constant("one", 1)
    raised = layer.add("raised", "Add", [x, one])
    bent = layer.add("bent", "Clip", [raised, layer.constant("zero", 0), layer.constant("two", 2)])
    square = layer.add("square", "Mul", [bent, bent])
    quarter = layer.add("quarter", "Mul", [square, layer.constant("share", 0.25)])
    layer.emit("Add", [quarter, layer.add("rest", "Relu", [layer.add("above", "Sub", [x, one])])])


def threshold(layer: LayerWriter, x: str, config: Config) -> None:
    """x above theta, else 0 (ThresholdedReLU of Keras 2)."""
    theta = config.get("theta")
    layer.emit("ThresholdedRelu", [x], alpha=1.0 if theta is None else float(theta))


def linear(layer: LayerWriter, x: str, config: Config) -> None:
    """x itself."""
    layer.emit("Identity", [x])


def glu(layer: LayerWriter, x: str, config: Config) -> None:
    """The first half of the last axis, gated by the second."""
    axis = _axis(layer, x, {})
    size = layer.sizes(layer.graph.shape(x)[axis : axis + 1])[0]
    name = f"{layer.name}/halves"
    halves = [layer.graph.temporary(f"{name}_{index}") for index in range(2)]
    layer.graph.node("Split", [x, layer.ints("sizes", [size // 2] * 2)], halves, name=name, axis=axis)
    layer.emit("Mul", [halves[0], layer.add("gate", "Sigmoid", [halves[1]])])


ACTIVATIONS: dict[str, Activation] = {
    "celu": _single("Celu", alpha=1.0),
    "elu": elu,
    "exponential": _single("Exp"),
    "gelu": gelu,
    "glu": glu,
    "hard_shrink": _single("Shrink", lambd=0.5, bias=0.0),
    "hard_sigmoid": hard_sigmoid,
    "hard_silu": _single("HardSwish"),
    "hard_swish": _single("HardSwish"),
    "hard_tanh": lambda layer, x, config: _clip(layer, x, -1, 1),
    "leaky_relu": lambda layer, x, config: leaky_relu(layer, x, {"otherwise": 0.2, **config}),
    "linear": linear,
    "log_sigmoid": log_sigmoid,
    "log_softmax": log_softmax,
    "mish": mish,
    "relu": relu,
    "relu6": relu6,
    "selu": _single("Selu"),
    "sigmoid": _single("Sigmoid"),
    "silu": silu,
    "soft_shrink": _single("Shrink", lambd=0.5, bias=0.5),
    "softmax": softmax,
    "softmax_v2": softmax,
    "softplus": _single("Softplus"),
    "softsign": _single("Softsign"),
    "sparse_plus": sparse_plus,
    "sparse_sigmoid": _single("HardSigmoid", alpha=0.5, beta=0.5),
    "squareplus": squareplus,
    "swish": silu,
    "tanh": _single("Tanh"),
    "tanh_shrink": tanh_shrink,
}
_AS_LAYERS: dict[str, Activation] = {
    "ELU": elu,
    "LeakyReLU": leaky_relu,
    "ReLU": relu,
    "Softmax": softmax,
    "ThresholdedReLU": threshold,
}


def _clip(layer: LayerWriter, x: str, lowest: float, highest: float) -> None:
    layer.emit("Clip", [x, layer.constant("min", lowest), layer.constant("max", highest)])


def described(value: Any) -> tuple[str, Config]:
    """(name, options) of what a configuration calls an activation: a word, a marked function, or a layer."""
    if value is None:
        return "linear", {}
    if not isinstance(value, Mapping):
        return str(value), {}
    if value.get("class_name") == "function":
        own = value.get("module") == "builtins" or ">" in str(value.get("registered_name") or "")
        return f"{'own function ' * own}{value.get('config')}", {}
    return str(value.get("class_name")), dict(value.get("config") or {})


def activation_function(value: Any) -> Activation | None:
    """What writes it; None where it is not known."""
    name, _ = described(value)
    return ACTIVATIONS.get(name) or _AS_LAYERS.get(name)


def unknown_activations(layer: Layer) -> Iterator[str]:
    """Names of a layer's activations that are not known."""
    for key in ("activation", "recurrent_activation"):
        if activation_function(layer.config.get(key)) is None:
            yield described(layer.config[key])[0]


def end_in_activation(layer: LayerWriter) -> None:
    """Let the layer's next node be followed by the layer's activation."""
    name, config = described(layer.option("activation"))
    function = activation_function(layer.option("activation"))
    if function is not None and name != "linear":
        layer.then(function, config)


def activation(layer: LayerWriter) -> None:
    """The layer `Activation`."""
    name, config = described(layer.option("activation"))
    function = activation_function(layer.option("activation"))
    if function is None:
        raise layer.error(f"the activation {name} is not known")
    function(layer, layer.either(), config)


def _layer_of(function: Activation) -> Callable[[LayerWriter], None]:
    return lambda layer: function(layer, layer.either(), layer.layer.config)


def _softmax_layer(layer: LayerWriter) -> None:
    if layer.mask() is not None:  # [N, steps], whatever axes its input has
        raise layer.error("reads the mask of its input, which is not supported")
    softmax(layer, layer.either(), layer.layer.config)


def prelu(layer: LayerWriter) -> None:
    """max(x, 0) + alpha * min(x, 0), alpha of the input's shape or shared along axes (He et al. 2015)."""
    x, rank = layer.either(), len(layer.shape())
    alpha = layer.array("alpha")
    suffix = "first" if layer.first else "last"

    def made() -> np.ndarray:
        value = alpha.reshape((1,) * (rank - alpha.ndim) + alpha.shape)
        return value.transpose(0, rank - 1, *range(1, rank - 1)) if layer.first and rank > 2 else value

    layer.emit("PRelu", [x, layer.weight(f"alpha_{suffix}", made)])


LAYERS = {
    "Activation": activation,
    "PReLU": prelu,
    **{name: _layer_of(function) for name, function in _AS_LAYERS.items()},
    "Softmax": _softmax_layer,
}
