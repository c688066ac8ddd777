"""Sums, means and extremes along axes; where the largest lies."""

from __future__ import annotations

from functools import partial
from typing import Any

from onnx import helper

from ..operator_writer import OperatorWriter


def reduce(op: OperatorWriter, onnx_op: str) -> None:
    """Along some axes or all."""
    x, rank, kept = op.tensor(), len(op.shape()), op.attribute("keep_dim", False)
    if op.attribute("out_dtype", -1) >= 0 and (kind := op.kind("out_dtype", 5)) != op.dtype(x):
        x = op.add("cast", "Cast", [x], to=helper.np_dtype_to_tensor_dtype(kind))
    axes = sorted({op.axis(axis, rank) for axis in op.ints("dim")})
    if op.attribute("reduce_all", False) or not axes:
        axes = list(range(rank))
    inputs, attributes = [x], {"axes": axes}
    if onnx_op == "ReduceSum":  # which takes its axes as an input, as all others do only later
        inputs, attributes = [x, op.int_array("axes", axes)], {}
    _emit(op, onnx_op, inputs, {**attributes, "keepdims": int(kept)}, to_one=len(axes) == rank and not kept)


def mean(op: OperatorWriter) -> None:
    """Of all numbers."""
    _emit(op, "ReduceMean", [op.tensor()], {"keepdims": 0}, to_one=True)


def _emit(op: OperatorWriter, onnx_op: str, inputs: list[str], attributes: dict[str, Any], *, to_one: bool) -> None:
    """A single number has one axis in older files, none in newer ones."""
    if to_one and len(op.declared().shape) == 1:
        op.emit("Reshape", [op.add("number", onnx_op, inputs, **attributes), op.int_array("shape", [1])])
    else:
        op.emit(onnx_op, inputs, **attributes)


def length(op: OperatorWriter) -> None:
    """Of vectors along an axis: the sum of their sizes or the root of the sum of their squares."""
    order = op.attribute("porder", 2.0)
    if order not in (1, 2) or op.attribute("asvector", False):
        raise op.error(f"its order is {order}; supported: 1 and 2 along one axis")
    axis = op.axis(op.attribute("axis", -1), len(op.shape()))
    onnx_op = "ReduceL1" if order == 1 else "ReduceL2"
    op.emit(onnx_op, [op.tensor()], axes=[axis], keepdims=int(op.attribute("keepdim", False)))


def where_extreme(op: OperatorWriter, onnx_op: str) -> None:
    """The place of the largest or smallest number along an axis."""
    if op.attribute("flatten", False):
        raise op.error("it looks through all axes at once, which is not supported")
    axis = op.axis(op.attribute("axis", -1), len(op.shape()))
    attributes: dict[str, Any] = {"axis": axis, "keepdims": int(op.attribute("keepdims", False))}
    if op.attribute("dtype", -1) in (-1, 3):
        op.emit(onnx_op, [op.tensor()], **attributes)
    else:
        kind = helper.np_dtype_to_tensor_dtype(op.kind("dtype", 3))
        op.emit("Cast", [op.add("place", onnx_op, [op.tensor()], **attributes)], to=kind)


def largest(op: OperatorWriter) -> None:
    """The k largest numbers along an axis, and their places."""
    count = op.size_tensor("", "K", "k") if op.has("K") else op.int_array("k", [op.attribute("k", 1)])
    axis = op.axis(op.attribute("axis", -1), len(op.shape()))
    largest_first = int(op.attribute("largest", True))
    op.emit_all("TopK", [op.tensor(), count], "Out", "Indices", axis=axis, largest=largest_first)


_REDUCTIONS = {
    "reduce_sum": "ReduceSum",
    "reduce_mean": "ReduceMean",
    "reduce_max": "ReduceMax",
    "reduce_min": "ReduceMin",
    "reduce_prod": "ReduceProd",
}

OPERATORS = {
    **{kind: partial(reduce, onnx_op=onnx_op) for kind, onnx_op in _REDUCTIONS.items()},
    "mean": mean,
    "p_norm": length,
    "arg_max": partial(where_extreme, onnx_op="ArgMax"),
    "arg_min": partial(where_extreme, onnx_op="ArgMin"),
    "top_k": largest,
    "top_k_v2": largest,
}
