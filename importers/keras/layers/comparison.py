"""Operations that give true and false, and what is made of these."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from onnx import TensorProto

from ..layer_writer import LayerWriter, TensorName
from .operation import argument, operand


def _compared(op: str, *, opposite: bool = False) -> Callable[[LayerWriter], None]:
    def write(layer: LayerWriter) -> None:
        names = [operand(layer, f"operand_{index}", argument(layer, index, f"x{index + 1}")) for index in range(2)]
        tensors = layer.aligned(names)
        if opposite:
            layer.emit("Not", [layer.add("opposite", op, tensors)])
        else:
            layer.emit(op, tensors)

    return write


def _logical(op: str) -> Callable[[LayerWriter], None]:
    def write(layer: LayerWriter) -> None:
        layer.first = False
        layer.emit(op, [layer.boolean(argument(layer, index, f"x{index + 1}")) for index in range(2)])

    return write


def logical_not(layer: LayerWriter) -> None:
    """True where x is false."""
    layer.first = False
    layer.emit("Not", [layer.boolean(layer.inputs[0])])


def _over_axes(op: str, layer: LayerWriter) -> None:
    """Whether any or all along some axes are true."""
    rank, given = len(layer.shape()), argument(layer, 1, "axis", default=None)
    axes = [given] if isinstance(given, int) else list(range(rank) if given is None else given)
    layer.first = False
    numbers = layer.add("numbers", "Cast", [layer.boolean(layer.inputs[0])], to=TensorProto.INT32)
    keepdims = int(bool(argument(layer, 2, "keepdims", default=False)))
    layer.emit("Cast", [layer.add("found", op, [numbers], axes=axes, keepdims=keepdims)], to=TensorProto.BOOL)


def where(layer: LayerWriter) -> None:
    """One tensor or number where a condition is true, another elsewhere."""
    condition, *values = (argument(layer, index, name) for index, name in enumerate(("condition", "x1", "x2")))
    names = [operand(layer, f"operand_{index}", value) for index, value in enumerate(values)]
    layer.first = False
    layer.emit("Where", [layer.boolean(condition), *(layer.tensors.last(name) for name in names)])


def _filled(value: float, layer: LayerWriter) -> None:
    """A tensor of one number in the shape of another."""
    for name in ("dtype", "sparse"):
        argument(layer, 1, name, default=None)
    shape = layer.add("shape", "Shape", [layer.source()])
    layer.emit("Expand", [layer.constant("value", value), shape])


def converted(layer: LayerWriter) -> None:
    """To true and false, or to numbers; whole ones are those of floats without their fraction."""
    dtype = str(argument(layer, 1, "dtype", default=None) or "float32")
    argument(layer, 2, "sparse", default=None)
    given = argument(layer, 0, "x")
    if layer.type == "ops.ConvertToTensor":
        layer.passes(given if isinstance(given, TensorName) else operand(layer, "operand", given))
        return
    name = operand(layer, "operand", given)
    if dtype == "bool":
        layer.first = False
        layer.emit("Cast", [layer.tensors.last(name)], to=TensorProto.BOOL)
    elif "int" in dtype:
        (x,) = layer.aligned([name])
        layer.emit("Cast", [layer.add("whole", "Cast", [x], to=TensorProto.INT64)], to=TensorProto.FLOAT)
    else:
        layer.passes(name)


LAYERS = {
    "ops.All": partial(_over_axes, "ReduceMin"),
    "ops.Any": partial(_over_axes, "ReduceMax"),
    "ops.Cast": converted,
    "ops.ConvertToTensor": converted,
    "ops.Equal": _compared("Equal"),
    "ops.Greater": _compared("Greater"),
    "ops.GreaterEqual": _compared("GreaterOrEqual"),
    "ops.Less": _compared("Less"),
    "ops.LessEqual": _compared("LessOrEqual"),
    "ops.LogicalAnd": _logical("And"),
    "ops.LogicalNot": logical_not,
    "ops.LogicalOr": _logical("Or"),
    "ops.NotEqual": _compared("Equal", opposite=True),
    "ops.OnesLike": partial(_filled, 1.0),
    "ops.Where": where,
    "ops.ZerosLike": partial(_filled, 0.0),
}
