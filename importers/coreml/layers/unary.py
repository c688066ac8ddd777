"""Functions of each number on its own."""

from __future__ import annotations

import math
from collections.abc import Callable

from ..layer_writer import LayerWriter
from ..wire_schema import enum_name

_EPSILON = 1e-6


def unary(layer: LayerWriter) -> None:
    """A function of scale * x + shift."""
    param = layer.param
    x = layer.inputs[0]
    if param.scale not in (0, 1):  # protobuf does not tell 0 from nothing
        x = layer.add("scaled", "Mul", [x, layer.constant("scale", param.scale)])
    if param.shift:
        x = layer.add("shifted", "Add", [x, layer.constant("shift", param.shift)])
    kind = enum_name("UnaryOperation", param.type)
    if kind in _OF_ONE:
        layer.emit(_OF_ONE[kind], [x])
    elif kind in _OF_ALPHA:
        layer.emit(_OF_ALPHA[kind], [x, layer.constant("alpha", param.alpha)])
    else:
        x = layer.add("kept_from_0", "Add", [x, layer.constant("epsilon", param.epsilon or _EPSILON)])
        layer.emit("Reciprocal", [layer.add("root", "Sqrt", [x]) if kind == "RSQRT" else x])


_OF_ONE = {"SQRT": "Sqrt", "EXP": "Exp", "LOG": "Log", "ABS": "Abs"}
_OF_ALPHA = {"POWER": "Pow", "THRESHOLD": "Max"}


def exp2(layer: LayerWriter) -> None:
    """2 to the power of x."""
    layer.emit("Exp", [layer.add("scaled", "Mul", [*layer.inputs, layer.constant("log_of_2", math.log(2))])])


def copy(layer: LayerWriter) -> None:
    """The same under another name."""
    layer.emit("Identity", layer.inputs)


def _same(op: str) -> Callable[[LayerWriter], None]:
    def write(layer: LayerWriter) -> None:
        layer.emit(op, layer.inputs)

    return write


_OPERATORS = "ceil floor sign round sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf"

LAYERS = {
    **{name: _same(name.capitalize()) for name in _OPERATORS.split()},
    "unary": unary,
    "exp2": exp2,
    "copy": copy,
}
