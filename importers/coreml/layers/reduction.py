"""Layers that leave one number of many."""

from __future__ import annotations

from collections.abc import Callable

from onnx import TensorProto

from ..layer_writer import LayerWriter
from ..wire_schema import enum_name

_EPSILON = 1e-6
_OPERATORS = {
    "SUM": "ReduceSum",
    "AVG": "ReduceMean",
    "PROD": "ReduceProd",
    "LOGSUM": "ReduceSum",
    "SUMSQUARE": "ReduceSumSquare",
    "L1": "ReduceL1",
    "L2": "ReduceL2",
    "MAX": "ReduceMax",
    "MIN": "ReduceMin",
}
_AXES = {"CHW": (-3, -2, -1), "HW": (-2, -1), "C": (-3,), "H": (-2,), "W": (-1,)}


def reduce(layer: LayerWriter) -> None:
    """Over channels, rows, columns or several of them, which stay as axes of size one."""
    param, mode = layer.param, enum_name("ReduceOperation", layer.param.mode)
    axes = [layer.axis(axis) for axis in _AXES[enum_name("ReduceAxis", param.axis)]]
    if mode == "ARGMAX":
        if len(axes) != 1:
            raise layer.error("expected one axis for ARGMAX")
        _place(layer, "ArgMax", axes[0], keep=True)
        return
    value = layer.inputs[0]
    if mode == "LOGSUM":
        kept = layer.add("kept_from_0", "Add", [value, layer.constant("epsilon", param.epsilon or _EPSILON)])
        value = layer.add("logarithms", "Log", [kept])
    _reduce(layer, _OPERATORS[mode], value, axes, keep=True)


def _reduce(layer: LayerWriter, op: str, value: str, axes: list[int], *, keep: bool) -> None:
    """Of opset 17's operators only ReduceSum takes its axes as an input."""
    if op == "ReduceSum":
        layer.emit(op, [value, layer.ints("axes", axes)], keepdims=int(keep))
    else:
        layer.emit(op, [value], axes=axes, keepdims=int(keep))


def _reduced(op: str) -> Callable[[LayerWriter], None]:
    """Over any axes; one number stays an axis of one."""

    def write(layer: LayerWriter) -> None:
        param, rank = layer.param, len(layer.shape())
        axes = list(range(rank)) if param.reduceAll else sorted({layer.axis(axis) for axis in param.axes})
        if not axes:
            raise layer.error("expected axes to reduce over, found none")
        if param.keepDims or len(axes) < rank:
            _reduce(layer, op, layer.inputs[0], axes, keep=param.keepDims)
            return
        _reduce_to_one(layer, op, axes)

    return write


def _reduce_to_one(layer: LayerWriter, op: str, axes: list[int]) -> None:
    more = [layer.ints("axes", axes)] if op == "ReduceSum" else []
    attributes = {} if more else {"axes": axes}
    number = layer.add("number", op, [layer.inputs[0], *more], keepdims=0, **attributes)
    layer.emit("Unsqueeze", [number, layer.ints("one_axis", [0])])


def _place(layer: LayerWriter, op: str, axis: int, *, keep: bool) -> None:
    """Places are numbers like all others."""
    found = layer.add("place", op, layer.inputs, axis=axis, keepdims=int(keep))
    layer.emit("Cast", [found], to=TensorProto.FLOAT)


def _extreme(op: str) -> Callable[[LayerWriter], None]:
    def write(layer: LayerWriter) -> None:
        keep = not layer.param.removeDim or len(layer.shape()) == 1
        _place(layer, op, layer.axis(layer.param.axis), keep=keep)

    return write


def top_k(layer: LayerWriter) -> None:
    """The largest or smallest numbers of an axis, the first first, and their places."""
    param = layer.param
    if len(layer.inputs) != 1:
        raise layer.error("a count that is another layer's is not supported")
    axis = layer.axis(param.axis)
    (size,) = layer.sizes([layer.shape()[axis]])
    if not 1 <= param.K <= size or len(layer.outputs) != 2:
        raise layer.error(f"expected two outputs and 1 to {size} numbers, found {len(layer.outputs)} and {param.K}")
    places = layer.graph.temporary(f"{layer.name}/places")
    inputs = [layer.inputs[0], layer.ints("count", [param.K])]
    layer.graph.node(
        "TopK", inputs, [layer.outputs[0], places], name=layer.name, axis=axis, largest=int(not param.useBottomK)
    )
    layer.graph.node("Cast", [places], layer.outputs[1], name=f"{layer.name}/places_as_float", to=TensorProto.FLOAT)


_NAMES = ("L1", "L2", "Max", "Min", "Sum", "Prod", "Mean", "LogSum", "SumSquare", "LogSumExp")

LAYERS = {
    "reduce": reduce,
    **{f"reduce{name}": _reduced(f"Reduce{name}") for name in _NAMES},
    "argMax": _extreme("ArgMax"),
    "argMin": _extreme("ArgMin"),
    "topK": top_k,
}
