"""Numbers picked by number: all in the file's order of axes."""

from __future__ import annotations

import math

import numpy as np

from ..operator_writer import OperatorWriter
from ..reader import NUMPY_TYPES

_INT32, _INT64 = 6, 7  # of onnx.TensorProto
_LARGEST = 1 << 22  # numbers that are written out


def gather(op: OperatorWriter) -> None:
    """Slices along an axis."""
    axis = op.axis(op.option("axis"), len(op.shape()))
    if op.option("batch_dims"):
        raise op.error(f"batch_dims is {op.option('batch_dims')}, expected 0")
    op.emit("Gather", [op.last(0), op.last(1)], axis=axis, moved=True)


def embedding(op: OperatorWriter) -> None:
    """Rows of the second input."""
    op.emit("Gather", [op.last(1), op.last(0)], axis=0, moved=True)


def gather_nd(op: OperatorWriter) -> None:
    """Each last row of the second input is one place in the first."""
    places = op.add("places", "Cast", [op.last(1)], to=_INT64)
    op.emit("GatherND", [op.last(0), places], moved=True)


def one_hot(op: OperatorWriter) -> None:
    """A new axis that is "on" at the index and "off" elsewhere."""
    one = op.int_list("one", [1])
    off, on = (op.add(role, "Reshape", [op.last(index), one]) for role, index in (("off", 3), ("on", 2)))
    values = op.add("values", "Concat", [off, on], axis=0)
    places = op.add("places", "Cast", [op.last(0)], to=_INT64)
    op.emit("OneHot", [places, op.array("depth", op.ints(1)[0], np.int64), values], axis=op.option("axis"))


def top_k(op: OperatorWriter) -> None:
    """The largest along the last axis, and where they are."""
    count = op.ints(1)[:1]
    places = op.graph.temporary(f"{op.name}/places")
    values = op.graph.temporary(f"{op.name}/values")
    op.graph.node("TopK", [op.last(0), op.int_list("k", count)], [values, places], name=op.name, axis=-1)
    op.finish(values, moved=True)
    op.emit("Cast", [places], output=1, to=_INT32)


def extreme_index(op: OperatorWriter, onnx_op: str) -> None:
    """The first place of the largest or smallest number along an axis, which is gone afterwards."""
    rank = len(op.shape())
    axis = op.axis(op.ints(1)[0], rank)
    kind = op.option("output_type")
    found = op.add("place", onnx_op, [op.last(0)], axis=axis, keepdims=0)
    op.emit("Cast", [found], to=_INT64 if kind == 4 else _INT32)


def running_sum(op: OperatorWriter) -> None:
    """Of all numbers before and at each place."""
    axis = op.axis(op.ints(1)[0], len(op.shape()))
    inputs = [op.last(0), op.array("axis", axis, np.int64)]
    op.emit("CumSum", inputs, exclusive=int(op.option("exclusive")), reverse=int(op.option("reverse")))


def arg_max(op: OperatorWriter) -> None:
    """Where the largest is."""
    extreme_index(op, "ArgMax")


def arg_min(op: OperatorWriter) -> None:
    """Where the smallest is."""
    extreme_index(op, "ArgMin")


def scatter_nd(op: OperatorWriter) -> None:
    """Zeros, and at each place that a last row of the first input says the second input, added up."""
    kind = NUMPY_TYPES[op.tensor(1).type]
    shape = op.ints(2)
    if min(shape, default=0) < 0 or math.prod(shape) > _LARGEST:
        raise op.error(f"its result of shape {shape} is too large, or none")
    places = op.add("places", "Cast", [op.last(0)], to=_INT64)
    op.emit("ScatterND", [op.array("zeros", np.zeros(shape), kind), places, op.last(1)], reduction="add")


def reverse_sequence(op: OperatorWriter) -> None:
    """The first numbers along one axis, as many as the second input says for each place of another, back to front."""
    time, batch = (op.axis(op.option(name), len(op.shape())) for name in ("seq_dim", "batch_dim"))
    others = [axis for axis in range(len(op.shape())) if axis not in (time, batch)]
    perm = [time, batch, *others]
    if time == batch:
        raise op.error(f"axis {time} is that of its sequences and of their lengths")
    turned = op.add("time_first", "Transpose", [op.last(0)], perm=perm)
    lengths = op.add("lengths", "Cast", [op.last(1)], to=_INT64)
    reversed_ = op.add("reversed", "ReverseSequence", [turned, lengths], time_axis=0, batch_axis=1)
    op.emit("Transpose", [reversed_], perm=np.argsort(perm).tolist(), moved=True)


OPERATORS = {
    "GATHER": gather,
    "GATHER_ND": gather_nd,
    "EMBEDDING_LOOKUP": embedding,
    "ONE_HOT": one_hot,
    "TOPK_V2": top_k,
    "ARG_MAX": arg_max,
    "ARG_MIN": arg_min,
    "CUMSUM": running_sum,
    "SCATTER_ND": scatter_nd,
    "REVERSE_SEQUENCE": reverse_sequence,
}
