"""Activations: layers of their own, and what convolutions have fused into them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..layer_writer import LayerWriter

_LOWEST, _HIGHEST = float(np.finfo(np.float32).min), float(np.finfo(np.float32).max)


def activated(layer: LayerWriter, op: str, inputs: list[str], **attributes: Any) -> None:
    """The layer's main node, and behind it the activation that its parameters 9 and 10 name."""
    kind = layer.whole(9)
    if not kind:
        layer.emit(op, inputs, **attributes)
        return
    activate(layer, layer.first(op, inputs, then="activation", **attributes))


def activate(layer: LayerWriter, tensor: str) -> None:
    """Make the top of a tensor by the activation that the layer's parameters 9 and 10 name, 0 for none."""
    function, count = layer.choice(9, _FUSED, "activation")
    given = layer.numbers(10)
    if len(given) < count:
        raise layer.error(f"expected {count} parameters of its activation, found {len(given)}")
    function(layer, tensor, *given[:count])


def _identity(layer: LayerWriter, x: str) -> None:
    layer.emit("Identity", [x])


def _relu(layer: LayerWriter, x: str, slope: float = 0.0) -> None:
    if slope:
        layer.emit("LeakyRelu", [x], alpha=slope)
    else:
        layer.emit("Relu", [x])


def _clip(layer: LayerWriter, x: str, low: float, high: float) -> None:
    layer.emit("Clip", [x, layer.constant("min", low), layer.constant("max", high)])


def _sigmoid(layer: LayerWriter, x: str) -> None:
    layer.emit("Sigmoid", [x])


def _mish(layer: LayerWriter, x: str) -> None:
    layer.emit("Mul", [x, layer.add("tanh", "Tanh", [layer.add("softplus", "Softplus", [x])])])


def _hard_swish(layer: LayerWriter, x: str, alpha: float, beta: float) -> None:
    if math.isclose(alpha, 1 / 6, rel_tol=1e-6) and beta == 0.5:
        layer.emit("HardSwish", [x])
    else:
        layer.emit("Mul", [x, layer.add("gate", "HardSigmoid", [x], alpha=alpha, beta=beta)])


_FUSED: dict[int, tuple[Callable[..., None], int]] = {  # number -> (function, parameters)
    0: (_identity, 0),
    1: (_relu, 0),
    2: (_relu, 1),
    3: (_clip, 2),
    4: (_sigmoid, 0),
    5: (_mish, 0),
    6: (_hard_swish, 2),
}


def prelu(layer: LayerWriter) -> None:
    """A slope for all, or one a channel: the outermost axis."""
    count = layer.whole(0)
    slope = layer.raw(count)
    shape = (1,) if count == 1 else (count, *[1] * (len(layer.blob_shape()) - 1))
    layer.emit("PRelu", [layer.inputs[0], layer.constant("slope", slope.reshape(shape))])


def gelu(layer: LayerWriter) -> None:
    """x times the normal distribution's share below x, or the usual approximation of it by tanh."""
    x = layer.inputs[0]
    if layer.whole(0):
        cube = layer.add("cube", "Mul", [layer.add("square", "Mul", [x, x]), x])
        small = layer.add("small", "Mul", [cube, layer.constant("cubic", 0.044715)])
        inner = layer.add("inner", "Mul", [layer.add("sum", "Add", [x, small]), layer.constant("root", 0.79788452)])
        share = layer.add("share", "Tanh", [inner])
    else:
        share = layer.add("share", "Erf", [layer.add("scaled", "Mul", [x, layer.constant("root", math.sqrt(0.5))])])
    half = layer.add("half", "Mul", [x, layer.constant("one_half", 0.5)])
    layer.emit("Mul", [half, layer.add("above", "Add", [share, layer.constant("one", 1)])])


def glu(layer: LayerWriter) -> None:
    """The first half along an axis times the sigmoid of the second."""
    axis = layer.blob_axis(layer.whole(0))
    side = layer.sizes(layer.blob_shape()[axis - 1 : axis])[0]
    halves = [layer.graph.temporary(f"{layer.name}/{half}") for half in ("value", "gate")]
    parts = layer.ints("halves", [side // 2, side - side // 2])
    layer.graph.node("Split", [layer.inputs[0], parts], halves, name=f"{layer.name}/split", axis=axis)
    layer.emit("Mul", [halves[0], layer.add("sigmoid", "Sigmoid", [halves[1]])])


def softmax(layer: LayerWriter) -> None:
    """Along one axis; files from before NCNN counted axes aright are refused as NCNN itself does."""
    axis = layer.whole(0)
    if axis and not layer.whole(1):
        raise layer.error("the file is of an NCNN whose Softmax got its axis wrong; make it again, as NCNN asks, too")
    layer.emit("Softmax", layer.inputs, axis=layer.blob_axis(axis))


def swish(layer: LayerWriter) -> None:
    """x times its sigmoid."""
    layer.emit("Mul", [layer.inputs[0], layer.add("gate", "Sigmoid", layer.inputs)])


def threshold(layer: LayerWriter) -> None:
    """1 above it, 0 elsewhere."""
    above = layer.add("above", "Greater", [layer.inputs[0], layer.constant("threshold", layer.number(0))])
    layer.emit("Cast", [above], to=1)


def bnll(layer: LayerWriter) -> None:
    """log(1 + exp(x))."""
    layer.emit("Softplus", layer.inputs)


def dropout(layer: LayerWriter) -> None:
    """What old files have left of it: a factor, mostly 1."""
    scale = layer.number(0, 1.0)
    if scale == 1:
        layer.alias(layer.inputs[0])
    else:
        layer.emit("Mul", [layer.inputs[0], layer.constant("scale", scale)])


LAYERS: dict[str, Callable[[LayerWriter], object]] = {
    "AbsVal": lambda layer: layer.emit("Abs", layer.inputs),
    "BNLL": bnll,
    "CELU": lambda layer: layer.emit("Celu", layer.inputs, alpha=layer.number(0, 1.0)),
    "Clip": lambda layer: _clip(layer, layer.inputs[0], layer.number(0, _LOWEST), layer.number(1, _HIGHEST)),
    "Dropout": dropout,
    "ELU": lambda layer: layer.emit("Elu", layer.inputs, alpha=layer.number(0, 0.1)),
    "Erf": lambda layer: layer.emit("Erf", layer.inputs),
    "GELU": gelu,
    "GLU": glu,
    "HardSigmoid": lambda layer: layer.emit(
        "HardSigmoid", layer.inputs, alpha=layer.number(0, 0.2), beta=layer.number(1, 0.5)
    ),
    "HardSwish": lambda layer: _hard_swish(layer, layer.inputs[0], layer.number(0, 0.2), layer.number(1, 0.5)),
    "Mish": lambda layer: _mish(layer, layer.inputs[0]),
    "PReLU": prelu,
    "ReLU": lambda layer: _relu(layer, layer.inputs[0], layer.number(0)),
    "SELU": lambda layer: layer.emit(
        "Selu", layer.inputs, alpha=layer.number(0, 1.67326324), gamma=layer.number(1, 1.050700987)
    ),
    "Shrink": lambda layer: layer.emit("Shrink", layer.inputs, bias=layer.number(0), lambd=layer.number(1, 0.5)),
    "Sigmoid": lambda layer: _sigmoid(layer, layer.inputs[0]),
    "Softmax": softmax,
    "Softplus": lambda layer: layer.emit("Softplus", layer.inputs),
    "Swish": swish,
    "TanH": lambda layer: layer.emit("Tanh", layer.inputs),
    "Threshold": threshold,
}
