"""Operators that read numbers as places."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from ..operator_writer import OperatorWriter


def take(writer: OperatorWriter) -> None:
    """Slices along an axis by their places, those outside at the nearest end (clip) or counted on (wrap)."""
    axis = writer.axis(writer.attributes.whole("axis", 0))
    [size] = writer.sizes(writer.shape()[axis : axis + 1])
    mode = writer.one_of("mode", ("clip", "wrap"))
    index = writer.add("index", "Cast", [writer.input(1)], to=TensorProto.INT64)
    if mode == "wrap":
        index = writer.add("within", "Mod", [index, writer.constant("size", size, np.int64)])
    else:
        bounds = [writer.constant(role, at, np.int64) for role, at in (("first", 0), ("last", size - 1))]
        index = writer.add("within", "Clip", [index, *bounds])
    writer.emit("Gather", [writer.input(), index], axis=axis)


def one_hot(writer: OperatorWriter) -> None:
    """A one at each place, on a last axis."""
    depth, real = writer.attributes.whole("depth"), writer.attributes.real
    values = writer.constant("values", [real("off_value", 0.0), real("on_value", 1.0)])
    index = writer.add("index", "Cast", [writer.input()], to=TensorProto.INT64)
    writer.emit("OneHot", [index, writer.constant("depth", depth, np.int64), values], axis=-1)


OPERATORS = {"take": take, "one_hot": one_hot}
