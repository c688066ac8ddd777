"""Operators that make fewer numbers of many."""

from __future__ import annotations

from collections.abc import Callable

from onnx import TensorProto

from ..operator_writer import OperatorWriter


def _axes(writer: OperatorWriter) -> list[int]:
    """The axes to reduce: those listed, all where none is, or all others with `exclude`."""
    rank = len(writer.shape())
    listed = sorted(set(writer.axes())) or [*range(rank)]
    if writer.attributes.flag("exclude"):
        listed = [axis for axis in range(rank) if axis not in listed]
    if not listed:
        raise writer.error("there is no axis left to reduce")
    return listed


def _reduction(op: str) -> Callable[[OperatorWriter], None]:
    def write(writer: OperatorWriter) -> None:
        axes, keep = _axes(writer), int(writer.attributes.flag("keepdims"))
        if op == "ReduceSum":
            writer.emit(op, [writer.input(), writer.ints("axes", axes)], keepdims=keep)
        else:
            writer.emit(op, [writer.input()], axes=axes, keepdims=keep)

    return write


def norm(writer: OperatorWriter) -> None:
    """The sum of sizes, or the root of the sum of squares."""
    order = writer.attributes.whole("ord", 2)
    if order not in (1, 2):
        raise writer.error(f"ord {order} is not supported; expected 1 or 2")
    _reduction(f"ReduceL{order}")(writer)


def _position(op: str) -> Callable[[OperatorWriter], None]:
    """Where the largest or smallest is, as a float."""

    def write(writer: OperatorWriter) -> None:
        if not writer.attributes.has("axis"):
            raise writer.error("an index over all numbers is not supported; expected an axis")
        axis = writer.axis(writer.attributes.whole("axis"))
        found = writer.add("index", op, [writer.input()], axis=axis, keepdims=int(writer.attributes.flag("keepdims")))
        writer.emit("Cast", [found], to=TensorProto.FLOAT)

    return write


def argmax_channel(writer: OperatorWriter) -> None:
    """Where the largest along axis 1 is, as a float."""
    found = writer.add("index", "ArgMax", [writer.input()], axis=writer.axis(1), keepdims=0)
    writer.emit("Cast", [found], to=TensorProto.FLOAT)


OPERATORS = {
    "sum": _reduction("ReduceSum"),
    "sum_axis": _reduction("ReduceSum"),
    "mean": _reduction("ReduceMean"),
    "max": _reduction("ReduceMax"),
    "max_axis": _reduction("ReduceMax"),
    "min": _reduction("ReduceMin"),
    "min_axis": _reduction("ReduceMin"),
    "prod": _reduction("ReduceProd"),
    "norm": norm,
    "argmax": _position("ArgMax"),
    "argmin": _position("ArgMin"),
    "argmax_channel": argmax_channel,
}
