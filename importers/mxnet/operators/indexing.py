"""Operators that read numbers as places."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, numpy_helper

from ..operator_writer import OperatorWriter


def take(writer: OperatorWriter) -> None:
    """Slices along an axis by their places, those outside at the nearest end (clip) or counted on (wrap)."""
    axis = writer.axis(writer.attributes.whole("axis", 0))
    writer.emit("Gather", [writer.input(), _within(writer, axis)], axis=axis)


def _within(writer: OperatorWriter, axis: int) -> str:
    """The second input as places along an axis."""
    [size] = writer.sizes(writer.shape()[axis : axis + 1])
    index = writer.add("index", "Cast", [writer.input(1)], to=TensorProto.INT64)
    if writer.one_of("mode", ("clip", "wrap")) == "wrap":
        return writer.add("within", "Mod", [index, writer.constant("size", size, np.int64)])
    bounds = [writer.constant(role, at, np.int64) for role, at in (("first", 0), ("last", size - 1))]
    return writer.add("within", "Clip", [index, *bounds])


def pick(writer: OperatorWriter) -> None:
    """One number along an axis, by its place; places outside are as in `take`."""
    axis, rank = writer.axis(writer.attributes.whole("axis", -1)), len(writer.shape())
    index = _within(writer, axis)
    if len(writer.shape(1)) < rank:
        index = writer.add("index_along", "Unsqueeze", [index, writer.ints("index_axes", [axis])])
    if writer.attributes.flag("keepdims"):
        writer.emit("GatherElements", [writer.input(), index], axis=axis)
        return
    found = writer.add("picked", "GatherElements", [writer.input(), index], axis=axis)
    writer.emit("Squeeze", [found, writer.ints("axes", [axis])])


def top_k(writer: OperatorWriter) -> None:
    """The k largest or smallest along an axis: their places as floats, or their values, or both."""
    if not writer.attributes.has("axis") and "axis" in writer.attributes:
        raise writer.error("the largest of all numbers are not supported; expected an axis")
    axis = writer.axis(writer.attributes.whole("axis", -1))
    kind = writer.one_of("ret_typ", ("indices", "value", "both"))
    count = writer.attributes.whole("k", 1)
    if count < 1:
        [count] = writer.sizes(writer.shape()[axis : axis + 1])
    values, places = (writer.graph.temporary(f"{writer.name}/{role}") for role in ("values", "places"))
    largest = int(not writer.attributes.flag("is_ascend"))
    inputs = [writer.input(), writer.ints("k", [count])]
    writer.graph.node("TopK", inputs, [values, places], name=f"{writer.name}/sorted", axis=axis, largest=largest)
    if kind == "both":
        writer.name_outputs(2)
    if kind != "indices":
        writer.emit("Identity", [values])
    if kind != "value":
        writer.emit("Cast", [places], output=int(kind == "both"), to=TensorProto.FLOAT)


def zeros_like(writer: OperatorWriter) -> None:
    """As many zeros."""
    _filled_like(writer, 0.0)


def ones_like(writer: OperatorWriter) -> None:
    """As many ones."""
    _filled_like(writer, 1.0)


def _filled_like(writer: OperatorWriter, number: float) -> None:
    value = numpy_helper.from_array(np.array([number], np.float32))
    writer.emit("ConstantOfShape", [writer.add("shape", "Shape", [writer.input()])], shape=writer.shape(), value=value)


def one_hot(writer: OperatorWriter) -> None:
    """A one at each place, on a last axis."""
    depth, real = writer.attributes.whole("depth"), writer.attributes.real
    values = writer.constant("values", [real("off_value", 0.0), real("on_value", 1.0)])
    index = writer.add("index", "Cast", [writer.input()], to=TensorProto.INT64)
    writer.emit("OneHot", [index, writer.constant("depth", depth, np.int64), values], axis=-1)


OPERATORS = {
    "take": take,
    "pick": pick,
    "topk": top_k,
    "one_hot": one_hot,
    "zeros_like": zeros_like,
    "ones_like": ones_like,
}
