"""Axes summed up, averaged, compared."""

from __future__ import annotations

from functools import partial

from ...channels_last import to_first
from ..operator_writer import OperatorWriter

_BOOL, _INT32 = 9, 6  # of onnx.TensorProto


def reduce(op: OperatorWriter, onnx_op: str) -> None:
    """Over the axes of the second input, which stay as 1 with `keep_dims`."""
    rank = len(op.shape())
    axes = sorted({op.axis(axis, rank) for axis in op.ints(1)})
    keep = bool(op.option("keep_dims"))
    if not axes:
        op.finish(op.last())
        return
    first, order = _form(op, axes, keep)
    tensor = op.first() if first else op.last()
    places = [order.index(axis) for axis in axes]
    if onnx_op == "ReduceSum":  # the only one whose axes are an input in this opset
        op.emit(onnx_op, [tensor, op.int_list("axes", places)], first=first and keep, keepdims=int(keep))
    else:
        op.emit(onnx_op, [tensor], first=first and keep, keepdims=int(keep), axes=places)


def _form(op: OperatorWriter, axes: list[int], keep: bool) -> tuple[bool, list[int]]:
    """Whether the image is taken channels first, and which of the file's axes lies where then.

    It is where it lies so already and what is left of its axes afterwards lies as in the file.
    """
    rank = len(op.shape())
    order = list(to_first(rank)) if rank > 2 else list(range(rank))
    left = [axis for axis in order if axis not in axes]
    if op.tensors.is_first(op.inputs[0]) and (keep or left == sorted(left)):
        return True, order
    return False, list(range(rank))


def logical(op: OperatorWriter, onnx_op: str) -> None:
    """Whether any, or all, are true."""
    rank = len(op.shape())
    axes = sorted({op.axis(axis, rank) for axis in op.ints(1)})
    numbers = op.add("numbers", "Cast", [op.last()], to=_INT32)
    found = op.add("found", onnx_op, [numbers], axes=axes, keepdims=int(bool(op.option("keep_dims"))))
    op.emit("Cast", [found], to=_BOOL)


OPERATORS = {
    "MEAN": partial(reduce, onnx_op="ReduceMean"),
    "SUM": partial(reduce, onnx_op="ReduceSum"),
    "REDUCE_MAX": partial(reduce, onnx_op="ReduceMax"),
    "REDUCE_MIN": partial(reduce, onnx_op="ReduceMin"),
    "REDUCE_PROD": partial(reduce, onnx_op="ReduceProd"),
    "REDUCE_ANY": partial(logical, onnx_op="ReduceMax"),
    "REDUCE_ALL": partial(logical, onnx_op="ReduceMin"),
}
