"""Sums, products and functions of single numbers."""

from __future__ import annotations

import math
from collections.abc import Callable

from ..layer_writer import LayerWriter

# Operators by number; one with "r" in front takes its operands the other way round.
_BINARY = dict(enumerate(("Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "rSub", "rDiv", "rPow")))
# "": of more than one node, see `unary`.
_UNARY = (
    *("Abs", "Neg", "Floor", "Ceil", "", "Sqrt", "", "Exp", "Log", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan"),
    *("Reciprocal", "Tanh", "", "Round", "", "Sign", "", "Sinh", "Asinh", "Cosh", "Acosh", "Atanh"),
)


def binary(layer: LayerWriter) -> None:
    """Two blobs, or one and a number."""
    op = layer.choice(0, _BINARY, "operation")
    number = layer.number(2)
    operands = [layer.inputs[0], layer.constant("number", number)] if layer.whole(1) else _aligned(layer)
    if op.startswith("r"):
        operands.reverse()
    layer.emit(op.removeprefix("r"), operands)


def _aligned(layer: LayerWriter) -> list[str]:
    """Both inputs with as many axes: the axes of the smaller one are the other's outermost.

    A list may also go along the innermost axis, where its length is not that of the outermost.
    """
    shapes = [layer.blob_shape(0), layer.blob_shape(1)]
    ranks = [len(shape) for shape in shapes]
    tensors = list(layer.inputs[:2])
    if ranks[0] == ranks[1]:
        return tensors
    small = ranks.index(min(ranks))
    missing = max(ranks) - min(ranks)
    inner = ranks[small] == 1 and shapes[small][0] != shapes[1 - small][0]
    first = 1 if inner else ranks[small] + 1
    axes = layer.ints("axes", list(range(first, first + missing)))
    tensors[small] = layer.add("wider", "Unsqueeze", [tensors[small], axes])
    return tensors


def unary(layer: LayerWriter) -> None:
    """A function of each number."""
    op, x = layer.whole(0), layer.inputs[0]
    if op == 4:
        layer.emit("Mul", [x, x])
    elif op == 6:
        layer.emit("Reciprocal", [layer.add("root", "Sqrt", [x])])
    elif op == 17:
        layer.emit("Mul", [layer.add("log", "Log", [x]), layer.constant("log_of_10", 1 / math.log(10))])
    elif op == 19:
        size = layer.add("floor", "Floor", [layer.add("size", "Abs", [x])])
        layer.emit("Mul", [layer.add("sign", "Sign", [x]), size])
    else:
        layer.emit(layer.choice(0, {number: op for number, op in enumerate(_UNARY) if op}, "operation"), [x])


def eltwise(layer: LayerWriter) -> None:
    """Product, sum (each times a factor, maybe) or largest of blobs of one shape."""
    op = layer.choice(0, {0: "Mul", 1: "Add", 2: "Max"}, "operation")
    factors = layer.numbers(1) if op == "Add" else []
    tensors = layer.inputs
    if factors and len(factors) != len(tensors):
        raise layer.error(f"expected {len(tensors)} factors, found {len(factors)}")
    if any(factor != 1 for factor in factors):
        tensors = [
            layer.add(f"times{place}", "Mul", [tensor, layer.constant(f"factor{place}", factor)])
            for place, (tensor, factor) in enumerate(zip(tensors, factors, strict=True))
        ]
    for place, tensor in enumerate(tensors[1:-1]):
        tensors = [layer.add(f"partial{place}", op, [tensors[0], tensor]), *tensors[1:]]
    layer.emit(op, [tensors[0], tensors[-1]])


def per_channel(layer: LayerWriter, count: int, role: str) -> str:
    """The next numbers of the file, one for each place along the outermost axis, or one for all."""
    axes = len(layer.blob_shape()) - 1
    return layer.constant(role, layer.raw(count).reshape(count, *[1] * axes))


def scale(layer: LayerWriter) -> None:
    """Each channel times a number, which another layer may give, plus one."""
    count = layer.whole(0)
    if count == -233:
        missing = len(layer.blob_shape(0)) - len(layer.blob_shape(1))
        factor = layer.inputs[1]
        if missing:
            rank = len(layer.blob_shape(1))
            factor = layer.add(
                "wider", "Unsqueeze", [factor, layer.ints("axes", list(range(rank + 1, rank + 1 + missing)))]
            )
        layer.emit("Mul", [layer.inputs[0], factor])
        return
    factor = per_channel(layer, count, "scale")
    if layer.whole(1):
        scaled = layer.first("Mul", [layer.inputs[0], factor], then="shifted")
        layer.emit("Add", [scaled, per_channel(layer, count, "bias")])
    else:
        layer.emit("Mul", [layer.inputs[0], factor])


def bias(layer: LayerWriter) -> None:
    """Each channel plus a number; where there are no channels NCNN takes the first number for all."""
    if len(layer.blob_shape()) < 3:
        raise layer.error("expected an input of three dimensions")
    layer.emit("Add", [layer.inputs[0], per_channel(layer, layer.whole(0), "bias")])


def _linear(layer: LayerWriter) -> str:
    """shift + x * scale."""
    tensor, factor, shift = layer.inputs[0], layer.number(1, 1.0), layer.number(2)
    if factor != 1:
        tensor = layer.add("scaled", "Mul", [tensor, layer.constant("scale", factor)])
    if shift:
        tensor = layer.add("shifted", "Add", [tensor, layer.constant("shift", shift)])
    return tensor


def power(layer: LayerWriter) -> None:
    """(shift + x * scale) ^ power."""
    layer.emit("Pow", [_linear(layer), layer.constant("power", layer.number(0, 1.0))])


def exponential(layer: LayerWriter) -> None:
    """base ^ (shift + x * scale); a base of -1 is e."""
    base = layer.number(0, -1.0)
    if base == -1:
        layer.emit("Exp", [_linear(layer)])
    else:
        layer.emit("Pow", [layer.constant("base", base), _linear(layer)])


def logarithm(layer: LayerWriter) -> None:
    """Logarithm of shift + x * scale to a base; -1 is e."""
    base = layer.number(0, -1.0)
    if base == -1:
        layer.emit("Log", [_linear(layer)])
        return
    if base <= 0 or base == 1:
        raise layer.error(f"expected a base above 0 other than 1, or -1, found {base:g}")
    natural = layer.add("natural", "Log", [_linear(layer)])
    layer.emit("Mul", [natural, layer.constant("factor", 1 / math.log(base))])


LAYERS: dict[str, Callable[[LayerWriter], None]] = {
    "Bias": bias,
    "BinaryOp": binary,
    "Eltwise": eltwise,
    "Exp": exponential,
    "Log": logarithm,
    "Power": power,
    "Scale": scale,
    "UnaryOp": unary,
}
