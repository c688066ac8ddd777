"""Sizes as numbers, constants, and numbers of another type."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from onnx import helper

from ..operator_writer import OperatorWriter

_LARGEST = 1 << 12  # numbers that are written out


def shape_of(op: OperatorWriter) -> None:
    """The sizes of the input."""
    x, dims = op.tensor("Input"), op.dims(op.tensor("Input"))
    kind = np.dtype(np.int64 if op.declared().dtype == "int64" else np.int32)
    if all(isinstance(dim, int) for dim in dims):
        op.store(np.array(dims, kind))
        return
    op.emit("Cast", [op.add("sizes", "Shape", [x])], to=helper.np_dtype_to_tensor_dtype(kind))
    op.learn(dims)


def fill(op: OperatorWriter) -> None:
    """One number in a shape."""
    if op.has("ValueTensor"):
        raise op.error("its value is a tensor, which is not supported")
    kind, dims = op.kind("dtype", 5), op.size_list("ShapeTensorList", "ShapeTensor", "shape")
    number = _number(op, kind)
    sizes = [dim for dim in dims if isinstance(dim, int)]
    if min(sizes, default=0) < 0:
        raise op.error(f"its shape is {dims}")
    if len(sizes) == len(dims) and math.prod(sizes) <= _LARGEST:
        op.store(np.full(sizes, number, kind))
        return
    value = helper.make_tensor("value", helper.np_dtype_to_tensor_dtype(kind), [1], [number])
    shape = [dim if isinstance(dim, int) else None for dim in dims]
    target = op.size_tensor("ShapeTensorList", "ShapeTensor", "shape")
    op.emit("ConstantOfShape", [target], value=value, shape=shape)


def _number(op: OperatorWriter, kind: np.dtype) -> float:
    text = op.attribute("str_value", "")
    number = float(text) if text else op.attribute("value", 0.0)
    return number if kind.kind == "f" else int(number)


def fill_batch(op: OperatorWriter) -> None:
    """One number in a shape, one side of which is that of another tensor."""
    kind, sizes = op.kind("dtype", 5), op.ints("shape")
    place = op.axis(op.attribute("output_dim_idx", 0), len(sizes))
    source = op.axis(op.attribute("input_dim_idx", 0), len(op.shape("Input")))
    side = op.shape("Input")[source]
    before, behind = sizes[:place], sizes[place + 1 :]
    if min(*before, *behind, 0) < 0:
        raise op.error(f"its shape is {sizes}")
    length = op.add("side", "Shape", [op.tensor("Input")], start=source, end=source + 1)
    parts = [op.int_array("before", before), length, op.int_array("behind", behind)]
    target = op.add("shape", "Concat", parts, axis=0)
    op.emit("Expand", [op.array("value", _number(op, kind), kind), target], shape=[*before, side, *behind])


def fill_like(op: OperatorWriter) -> None:
    """One number in the shape of another tensor."""
    x = op.tensor()
    kind = op.dtype(x) if op.attribute("dtype", -1) < 0 else op.kind("dtype", 5)
    number = op.array("value", _number(op, kind), kind)
    op.emit("Expand", [number, op.add("shape", "Shape", [x])], shape=op.shape())


def assigned(op: OperatorWriter) -> None:
    """Numbers that are written down."""
    kind, sizes = op.kind("dtype", 5), op.ints("shape")
    names = ("values", f"{kind.name}_values", {"float32": "fp32_values"}.get(kind.name, ""))
    held: Any = next((values for name in names if (values := op.operator.attributes.get(name))), [])
    if not isinstance(held, list) or min(sizes, default=0) < 0 or len(held) != math.prod(sizes):
        raise op.error(f"it does not hold the numbers of its shape {sizes}")
    op.store(np.array(held).astype(kind).reshape(sizes))


def cast(op: OperatorWriter) -> None:
    """To another type of numbers."""
    x, kind = op.tensor(), op.kind("out_dtype", 5)
    known = op.known(x) if kind.kind == "i" else None
    op.emit("Cast", [x], to=helper.np_dtype_to_tensor_dtype(kind))
    if known is not None:
        op.learn(known)


def same(op: OperatorWriter) -> None:
    """What goes in."""
    x = op.tensor()
    op.emit_list(op.known(x), "Identity", [x])


def count_up(op: OperatorWriter) -> None:
    """From a start to an end in steps."""
    ends = [op.add(side, "Squeeze", [op.tensor(side)]) for side in ("Start", "End", "Step")]
    op.emit("Range", ends, shape=[None])


OPERATORS = {
    "shape": shape_of,
    "fill_constant": fill,
    "fill_constant_batch_size_like": fill_batch,
    "fill_any_like": fill_like,
    "fill_zeros_like": fill_like,
    "assign_value": assigned,
    "assign": same,
    "share_data": same,
    "cast": cast,
    "range": count_up,
}
