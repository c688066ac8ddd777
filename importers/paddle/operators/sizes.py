"""Sizes as numbers, constants, and numbers of another type."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from ..operator_writer import OperatorWriter

_LARGEST = 1 << 22  # numbers that are written out


def shape_of(op: OperatorWriter) -> None:
    """The sizes of the input."""
    x, dims = op.tensor("Input"), op.dims(op.tensor("Input"))
    if all(isinstance(dim, int) for dim in dims):
        op.store(np.array(dims, np.int32))
        return
    op.emit("Cast", [op.add("sizes", "Shape", [x])], to=TensorProto.INT32)
    op.learn(dims)


def fill(op: OperatorWriter) -> None:
    """One number in a shape."""
    if op.has("ValueTensor"):
        raise op.error("its value is a tensor, which is not supported")
    kind, dims = op.kind("dtype", 5), op.size_list("ShapeTensorList", "ShapeTensor", "shape")
    number = _number(op, kind)
    if all(isinstance(dim, int) for dim in dims):
        sizes = op.sizes(dims)
        if min(sizes, default=1) < 0 or math.prod(sizes) > _LARGEST:
            raise op.error(f"its result of shape {sizes} cannot be written")
        op.store(np.full(sizes, number, kind))
        return
    value = helper.make_tensor("value", helper.np_dtype_to_tensor_dtype(kind), [1], [number])
    shape = [dim if isinstance(dim, int) else None for dim in dims]
    op.emit(
        "ConstantOfShape", [op.size_tensor("ShapeTensorList", "ShapeTensor", "shape")], value=value, shape=shape
    )  # fmt: skip


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
    sizes[place] = 1
    if min(sizes) < 1 or math.prod(sizes) > _LARGEST:
        raise op.error(f"its result of shape {sizes} cannot be written")
    held = op.array("value", np.full(sizes, _number(op, kind), kind), kind)
    parts = [np.array(sizes[:place]), np.array(sizes[place + 1 :])]
    names = [op.array(role, part, np.int64) for role, part in zip(("before", "behind"), parts, strict=True)]
    length = op.add("side", "Shape", [op.tensor("Input")], start=source, end=source + 1)
    target = op.add("shape", "Concat", [names[0], length, names[1]], axis=0)
    op.emit("Expand", [held, target], shape=[*sizes[:place], side, *sizes[place + 1 :]])


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
    if not isinstance(held, list) or len(held) != math.prod(sizes):
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
    ends = [op.value(side) for side in ("Start", "End", "Step")]
    if any(value is None or value.size != 1 for value in ends):
        raise op.error("its ends are computed, which is not supported")
    start, end, step = (value.ravel()[0] for value in ends if value is not None)
    if not step or not 0 <= (end - start) / step < _LARGEST:
        raise op.error(f"it counts from {start} to {end} in steps of {step}")
    op.store(np.arange(float(start), float(end), float(step)).astype(op.dtype(op.tensor("Start"))))


OPERATORS = {
    "shape": shape_of,
    "fill_constant": fill,
    "fill_constant_batch_size_like": fill_batch,
    "fill_any_like": fill_like,
    "fill_zeros_like": fill_like,
    "assign_value": assigned,
    "assign": same,
    "cast": cast,
    "range": count_up,
}
