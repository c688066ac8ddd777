"""Numbers picked by number; parts of a tensor: taken, cut apart, joined."""

from __future__ import annotations

from functools import partial

import numpy as np

from ...tflite.operator_writer import OperatorWriter
from ...tflite.operators import indexing, slicing
from ..rewriting import rewritten


def gather(op: OperatorWriter) -> None:
    """Slices along the axis that the third input says, or the first axis."""
    axis = op.ints(2)[0] if op.has(2) else 0
    indexing.gather(rewritten(op, axis=axis))


def one_hot(op: OperatorWriter) -> None:
    """As TensorFlow Lite's, but what lies outside the depth is "off" everywhere; ONNX counts from the end."""
    depth = op.ints(1)[0]
    places = op.add("places", "Cast", [op.last(0)], to=7)
    outside = op.add("outside", "Less", [places, op.array("zero", 0, np.int64)])
    kept = op.add("kept", "Where", [outside, op.array("depth_itself", depth, np.int64), places])
    one = op.int_list("one", [1])
    off, on = (op.add(role, "Reshape", [op.last(index), one]) for role, index in (("off", 3), ("on", 2)))
    values = op.add("values", "Concat", [off, on], axis=0)
    op.emit("OneHot", [kept, op.array("depth", depth, np.int64), values], axis=op.option("axis"))


def top_k(op: OperatorWriter) -> None:
    """`k` is an input, or an attribute in the first version."""
    if op.has(1):
        indexing.top_k(op)
        return
    name = f"{op.name}/count"
    op.tensors.store(name, np.array(op.option("k"), np.int32))
    op.layout.network.tensors[name] = type(op.tensor(0))(name, (), "INT32")
    indexing.top_k(rewritten(op, inputs=[*op.inputs, name]))


def concatenate(op: OperatorWriter, axis_at: int) -> None:
    """The axis is an input: the last one, or the first in the first version."""
    parts = list(op.inputs)
    axis = op.ints(axis_at % len(parts))[0]
    del parts[axis_at]
    slicing.concatenate(rewritten(op, inputs=parts, axis=axis))


OPERATORS = {
    "Gather": gather,
    "GatherV2": gather,
    "GatherNd": indexing.gather_nd,
    "OneHot": one_hot,
    "TopK": top_k,
    "TopKV2": top_k,
    "ArgMax": indexing.arg_max,
    "ArgMin": indexing.arg_min,
    "Cumsum": indexing.running_sum,
    "Concat": partial(concatenate, axis_at=0),
    "ConcatV2": partial(concatenate, axis_at=-1),
    "Split": slicing.split,
    "SplitV": slicing.split_sizes,
    "Slice": slicing.slice_,
    "StridedSlice": slicing.strided_slice,
    "ReverseV2": slicing.reverse,
}
