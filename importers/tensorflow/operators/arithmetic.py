"""Two tensors number by number, broadcast against each other; products of matrices; axes summed up."""

from __future__ import annotations

from functools import partial

from ...tflite.operator_writer import OperatorWriter
from ...tflite.operators.arithmetic import (
    batch_matmul,
    binary,
    floor_div,
    floor_mod,
    not_equal,
    select,
    squared_difference,
    sum_of_all,
)
from ...tflite.operators.reduction import logical, reduce
from ..rewriting import rewritten


def truncated_rest(op: OperatorWriter) -> None:
    """What is left of a division, with the sign of what is divided."""
    inputs, first = op.aligned(0, 1)
    op.emit("Mod", inputs, first=first, fmod=1)


def no_nan(op: OperatorWriter, onnx_op: str, decides: int) -> None:
    """0 wherever one of the two (`decides`) is 0."""
    (a, b), first = op.aligned(0, 1)
    nothing = op.array("nothing", 0)
    is_zero = op.add("is_zero", "Equal", [(a, b)[decides], nothing])
    op.emit("Where", [is_zero, nothing, op.add("value", onnx_op, [a, b])], first=first)


def matmul(op: OperatorWriter) -> None:
    """Of two matrices, either transposed first where the options say so."""
    a, b = (op.shape(index) for index in (0, 1))
    if len(a) != 2 or len(b) != 2:
        raise op.error(f"expected two matrices, found the shapes {list(a)} and {list(b)}")
    a_turned, b_turned = (int(bool(op.option(name))) for name in ("transpose_a", "transpose_b"))
    if a_turned or b_turned:
        op.emit("Gemm", [op.last(0), op.last(1)], transA=a_turned, transB=b_turned)
    else:
        op.emit("MatMul", [op.last(0), op.last(1)])


def einsum(op: OperatorWriter) -> None:
    """Sums over the letters that the result lacks."""
    op.emit("Einsum", [op.last(index) for index in range(len(op.inputs))], equation=op.option("equation"))


def first_select(op: OperatorWriter) -> None:
    """Of the first version: a decision a row, or one for all."""
    select(rewritten(op, kind="SELECT"))


_BINARY = {
    "Add": "Add",
    "AddV2": "Add",
    "Sub": "Sub",
    "Mul": "Mul",
    "Div": "Div",
    "RealDiv": "Div",
    "TruncateDiv": "Div",
    "Maximum": "Max",
    "Minimum": "Min",
    "Pow": "Pow",
    "Equal": "Equal",
    "Greater": "Greater",
    "GreaterEqual": "GreaterOrEqual",
    "Less": "Less",
    "LessEqual": "LessOrEqual",
    "LogicalAnd": "And",
    "LogicalOr": "Or",
}
_REDUCED = {
    "Mean": "ReduceMean",
    "Sum": "ReduceSum",
    "Max": "ReduceMax",
    "Min": "ReduceMin",
    "Prod": "ReduceProd",
    "EuclideanNorm": "ReduceL2",
}

OPERATORS = {
    **{kind: partial(binary, onnx_op=onnx_op) for kind, onnx_op in _BINARY.items()},
    **{kind: partial(reduce, onnx_op=onnx_op) for kind, onnx_op in _REDUCED.items()},
    "Any": partial(logical, onnx_op="ReduceMax"),
    "All": partial(logical, onnx_op="ReduceMin"),
    "AddN": sum_of_all,
    "NotEqual": not_equal,
    "FloorDiv": floor_div,
    "FloorMod": floor_mod,
    "Mod": truncated_rest,
    "TruncateMod": truncated_rest,
    "SquaredDifference": squared_difference,
    "DivNoNan": partial(no_nan, onnx_op="Div", decides=1),
    "MulNoNan": partial(no_nan, onnx_op="Mul", decides=1),
    "Select": first_select,
    "SelectV2": select,
    "MatMul": matmul,
    "BatchMatMul": batch_matmul,
    "BatchMatMulV2": batch_matmul,
    "BatchMatMulV3": batch_matmul,
    "Einsum": einsum,
}
