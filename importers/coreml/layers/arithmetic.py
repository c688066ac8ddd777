"""Layers that combine tensors number by number. There is only one type of numbers: true is 1, false 0."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from onnx import TensorProto

from ..layer_writer import LayerWriter

LayerFunction = Callable[[LayerWriter], None]


def _folded(op: str) -> LayerFunction:
    """Two inputs or more; one, with the layer's own number."""

    def write(layer: LayerWriter) -> None:
        terms = list(layer.inputs)
        if len(terms) == 1 and hasattr(layer.param, "alpha"):
            terms.append(layer.constant("alpha", layer.param.alpha))
        if len(terms) == 1:
            layer.emit("Identity", terms)
            return
        value = terms[0]
        for step, term in enumerate(terms[1:-1]):
            value = layer.add(f"part{step}", op, [value, term])
        layer.emit(op, [value, terms[-1]])

    return write


def average(layer: LayerWriter) -> None:
    """Of all inputs."""
    layer.emit("Mean", layer.inputs)


def floor_div(layer: LayerWriter) -> None:
    """The largest whole number not above the quotient."""
    layer.emit("Floor", [layer.add("quotient", "Div", layer.inputs)])


def mod(layer: LayerWriter) -> None:
    """What is left of a division, with the sign of the divisor, as Python's."""
    first, second = layer.inputs
    whole = layer.add("whole", "Floor", [layer.add("quotient", "Div", [first, second])])
    layer.emit("Sub", [first, layer.add("taken", "Mul", [whole, second])])


def _compared(op: str, *, negated: bool = False) -> LayerFunction:
    """Two inputs, or one and the layer's own number."""

    def write(layer: LayerWriter) -> None:
        others = layer.inputs[1:] or [layer.constant("alpha", layer.param.alpha)]
        found = layer.add("is", op, [layer.inputs[0], *others])
        if negated:
            found = layer.add("is_not", "Not", [found])
        layer.emit("Cast", [found], to=TensorProto.FLOAT)

    return write


def _logical(op: str) -> LayerFunction:
    def write(layer: LayerWriter) -> None:
        found = layer.add("is", op, [truth(layer, index) for index in range(len(layer.inputs))])
        layer.emit("Cast", [found], to=TensorProto.FLOAT)

    return write


def truth(layer: LayerWriter, index: int) -> str:
    """An input as true and false."""
    return layer.add(f"truth{index}", "Cast", [layer.inputs[index]], to=TensorProto.BOOL)


def where(layer: LayerWriter) -> None:
    """The second input where the first is true, else the third."""
    layer.emit("Where", [truth(layer, 0), *layer.inputs[1:]])


def dot(layer: LayerWriter) -> None:
    """The products of two vectors of channels, summed; of vectors of length one for the cosine."""
    axes = [layer.channel_axis]
    terms: Sequence[str] = layer.inputs
    if layer.param.cosineSimilarity:
        lengths = [layer.add(f"length{at}", "ReduceL2", [each], axes=axes) for at, each in enumerate(layer.inputs)]
        terms = [
            layer.add(f"normal{at}", "Div", [each, length])
            for at, (each, length) in enumerate(zip(layer.inputs, lengths, strict=True))
        ]
    products = layer.add("products", "Mul", terms)
    layer.emit("ReduceSum", [products, layer.ints("axes", axes)])


def scale(layer: LayerWriter) -> None:
    """Times stored numbers, plus others where there are such."""
    param = layer.param
    factor = _spread(layer, "scale", param.scale, param.shapeScale)
    if not param.hasBias:
        layer.emit("Mul", [*layer.inputs, factor])
        return
    product = layer.add("product", "Mul", [*layer.inputs, factor])
    layer.emit("Add", [product, _spread(layer, "bias", param.bias, param.shapeBias)])


def bias(layer: LayerWriter) -> None:
    """Plus stored numbers."""
    layer.emit("Add", [*layer.inputs, _spread(layer, "bias", layer.param.bias, layer.param.shape)])


def _spread(layer: LayerWriter, role: str, message: Any, shape: Sequence[int]) -> str:
    """[1], [C], [1, H, W] or [C, H, W], so that it broadcasts."""
    found = layer.weights(role, message, list(shape))
    return layer.constant(role, found.reshape(-1, 1, 1) if len(shape) == 1 and found.size > 1 else found)


LAYERS = {
    "add": _folded("Add"),
    "multiply": _folded("Mul"),
    "average": average,
    "max": _folded("Max"),
    "min": _folded("Min"),
    "addBroadcastable": _folded("Add"),
    "subtractBroadcastable": _folded("Sub"),
    "multiplyBroadcastable": _folded("Mul"),
    "divideBroadcastable": _folded("Div"),
    "powBroadcastable": _folded("Pow"),
    "maxBroadcastable": _folded("Max"),
    "minBroadcastable": _folded("Min"),
    "floorDivBroadcastable": floor_div,
    "modBroadcastable": mod,
    "equal": _compared("Equal"),
    "notEqual": _compared("Equal", negated=True),
    "lessThan": _compared("Less"),
    "lessEqual": _compared("LessOrEqual"),
    "greaterThan": _compared("Greater"),
    "greaterEqual": _compared("GreaterOrEqual"),
    "logicalAnd": _logical("And"),
    "logicalOr": _logical("Or"),
    "logicalXor": _logical("Xor"),
    "logicalNot": _logical("Not"),
    "whereBroadcastable": where,
    "dot": dot,
    "scale": scale,
    "bias": bias,
}
