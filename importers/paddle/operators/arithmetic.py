"""Tensors combined number by number, and products of matrices."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial

from ...graph_builder import Dim
from ..operator_writer import OperatorWriter

Number = Callable[[int, int], int]


def elementwise(op: OperatorWriter, onnx_op: str, number: Number | None = None) -> None:
    """X and Y, whose axes are those of X from `axis` on; -1: the last ones. `number`: the same of sizes."""
    (first, second), known = aligned(op), [op.known(op.tensor(side)) for side in ("X", "Y")]
    dims = None if number is None or None in known else _each(number, known[0] or [], known[1] or [], op.output())
    op.emit_list(dims, onnx_op, [first, second])


def _each(number: Number, first: list[Dim], second: list[Dim], name: str) -> list[Dim] | None:
    length = max(len(first), len(second))
    if {len(first), len(second)} - {1, length}:
        return None
    pairs = zip(first * (length // len(first)), second * (length // len(second)), strict=True)
    return [
        number(one, two) if isinstance(one, int) and isinstance(two, int) else f"{name}[{at}]"
        for at, (one, two) in enumerate(pairs)
    ]


def aligned(op: OperatorWriter) -> list[str]:
    """X and Y, the shorter one with axes of one behind its own where they are not the last."""
    tensors, ranks = [op.tensor(side) for side in ("X", "Y")], [len(op.shape(side)) for side in ("X", "Y")]
    axis, shorter = op.attribute("axis", -1), int(ranks[1] <= ranks[0])
    behind = max(ranks) - axis - min(ranks) if axis >= 0 else 0
    if behind < 0 or (behind and not min(ranks)):
        raise op.error(f"axis {axis} does not fit inputs of {ranks[0]} and {ranks[1]} dimensions")
    if behind:
        tensors[shorter] = _with_axes_behind(op, tensors[shorter], min(ranks), behind)
    return tensors


def _with_axes_behind(op: OperatorWriter, tensor: str, rank: int, count: int) -> str:
    value = op.graph.value(tensor)
    if value is not None:  # most are weights, which are stored so
        return op.graph.constant(f"{tensor}/aligned", value, (*value.shape, *[1] * count))
    return op.add("aligned", "Unsqueeze", [tensor, op.int_array("axes", range(rank, rank + count))])


def floor_divide(op: OperatorWriter) -> None:
    """Rounded down; integers as sizes are, which are not negative."""
    if op.dtype(op.tensor()).kind == "i":
        elementwise(op, "Div", operator.floordiv)
    else:
        op.emit("Floor", [op.add("ratio", "Div", aligned(op))])


def divide(op: OperatorWriter) -> None:
    """Integers are cut as in C; those of sizes are not negative."""
    elementwise(op, "Div", operator.floordiv if op.dtype(op.tensor()).kind == "i" else None)


def scale(op: OperatorWriter) -> None:
    """scale x + bias, or scale (x + bias)"""
    if op.has("ScaleTensor"):
        raise op.error("its scale is a tensor, which is not supported")
    x, factor, bias = op.tensor(), op.attribute("scale", 1.0), op.attribute("bias", 0.0)
    after, known = op.attribute("bias_after_scale", True), op.known(x)
    offset = bias if after else bias * factor
    steps = [("Mul", "factor", factor)] * (factor != 1) + [("Add", "bias", offset)] * (offset != 0)
    if known is not None and factor == int(factor) and offset == int(offset):
        known = [dim * int(factor) + int(offset) if isinstance(dim, int) else None for dim in known]
        known = [f"{op.output()}[{at}]" if dim is None else dim for at, dim in enumerate(known)]
    else:
        known = None
    if not steps:
        op.emit_list(op.known(x), "Identity", [x])
        return
    (first, role, value), *rest = steps
    if rest:
        x = op.add("scaled", first, [x, op.like(role, value, x)])
        first, role, value = rest[0]
    op.emit_list(known, first, [x, op.like(role, value, x)])


def total(op: OperatorWriter) -> None:
    """Of any number of tensors."""
    op.emit("Sum", op.all("X"))


def compare(op: OperatorWriter, onnx_op: str) -> None:
    """Number by number."""
    op.emit(onnx_op, aligned(op))


def differ(op: OperatorWriter) -> None:
    """Number by number."""
    op.emit("Not", [op.add("equal", "Equal", aligned(op))])


def matmul(op: OperatorWriter, first: str, second: str) -> None:
    """Products of the last two axes, either turned before; times alpha. The names of what says so differ."""
    inputs = [
        _turned(op, side) if op.attribute(name, False) else op.tensor(side)
        for side, name in (("X", first), ("Y", second))
    ]
    alpha = op.attribute("alpha", 1.0)
    if alpha == 1:
        op.emit("MatMul", inputs)
        return
    product = op.add("product", "MatMul", inputs)
    op.emit("Mul", [product, op.like("alpha", alpha, product)])


def _turned(op: OperatorWriter, side: str) -> str:
    rank = len(op.shape(side))
    if rank < 2:
        return op.tensor(side)
    perm = [*range(rank - 2), rank - 1, rank - 2]
    value = op.value(side)
    if value is not None:
        return op.graph.constant(f"{op.tensor(side)}/turned", value.transpose(perm))
    return op.add(f"{side}/turned", "Transpose", [op.tensor(side)], perm=perm)


def product(op: OperatorWriter) -> None:
    """X, its first axes kept and the others as one, by the matrix Y."""
    op.emit("MatMul", [_rows(op, "X", op.attribute("x_num_col_dims", 1)), _matrix(op, "Y")])


def fully_connected(op: OperatorWriter) -> None:
    """`product` with a bias and an activation."""
    activation = op.choice("activation_type", "", "", "relu")
    inputs = [_rows(op, "Input", op.attribute("in_num_col_dims", 1)), _matrix(op, "W")]
    steps = [("MatMul", inputs[1:])]
    if op.has("Bias"):
        flat = op.add("bias", "Reshape", [op.tensor("Bias"), op.int_array("bias/shape", [-1])])
        steps.append(("Add", [flat]))
    if activation:
        steps.append(("Relu", []))
    result = inputs[0]
    for role, (onnx_op, others) in enumerate(steps[:-1]):
        result = op.add(f"step{role}", onnx_op, [result, *others])
    onnx_op, others = steps[-1]
    op.emit(onnx_op, [result, *others])


def _rows(op: OperatorWriter, side: str, kept: int) -> str:
    rank = len(op.shape(side))
    if not 0 < kept < rank:
        raise op.error(f"it keeps {kept} axes of an input of {rank} dimensions")
    if kept == rank - 1:
        return op.tensor(side)
    return op.add("rows", "Reshape", [op.tensor(side), op.int_array("rows/shape", [*[0] * kept, -1])])


def _matrix(op: OperatorWriter, side: str) -> str:
    if len(op.shape(side)) != 2 or op.attribute("y_num_col_dims", 1) != 1:
        raise op.error(f"its input {side} is of the shape {list(op.shape(side))}, expected a matrix")
    return op.tensor(side)


_COMPARISONS = {
    "equal": "Equal",
    "less_than": "Less",
    "less_equal": "LessOrEqual",
    "greater_than": "Greater",
    "greater_equal": "GreaterOrEqual",
    "logical_and": "And",
    "logical_or": "Or",
    "logical_xor": "Xor",
}

OPERATORS = {
    "elementwise_add": partial(elementwise, onnx_op="Add", number=operator.add),
    "elementwise_sub": partial(elementwise, onnx_op="Sub", number=operator.sub),
    "elementwise_mul": partial(elementwise, onnx_op="Mul", number=operator.mul),
    "elementwise_max": partial(elementwise, onnx_op="Max", number=max),
    "elementwise_min": partial(elementwise, onnx_op="Min", number=min),
    "elementwise_pow": partial(elementwise, onnx_op="Pow"),
    "elementwise_div": divide,
    "elementwise_floordiv": floor_divide,
    **{kind: partial(compare, onnx_op=onnx_op) for kind, onnx_op in _COMPARISONS.items()},
    "not_equal": differ,
    "scale": scale,
    "sum": total,
    "matmul": partial(matmul, first="transpose_X", second="transpose_Y"),
    "matmul_v2": partial(matmul, first="trans_x", second="trans_y"),
    "bmm": partial(matmul, first="", second=""),
    "mul": product,
    "fc": fully_connected,
}
