"""Two tensors number by number, broadcast against each other; matrix products."""

from __future__ import annotations

from functools import partial

import numpy as np

from ..operator_writer import OperatorWriter


def binary(op: OperatorWriter, onnx_op: str) -> None:
    """One ONNX node of the same meaning."""
    inputs, first = op.aligned(0, 1)
    op.emit(onnx_op, inputs, first=first)


def squared_difference(op: OperatorWriter) -> None:
    """(a - b) * (a - b)."""
    inputs, first = op.aligned(0, 1)
    apart = op.add("apart", "Sub", inputs)
    op.emit("Mul", [apart, apart], first=first)


def floor_div(op: OperatorWriter) -> None:
    """Rounded down; ONNX rounds the quotient of integers towards zero."""
    (a, b), first = op.aligned(0, 1)
    if op.output().type.startswith("FLOAT"):
        op.emit("Floor", [op.add("quotient", "Div", [a, b])], first=first)
    else:
        whole = op.add("whole", "Sub", [a, op.add("rest", "Mod", [a, b])])
        op.emit("Div", [whole, b], first=first)


def floor_mod(op: OperatorWriter) -> None:
    """What is left of `floor_div`, with the sign of the divisor."""
    (a, b), first = op.aligned(0, 1)
    if op.output().type.startswith("FLOAT"):
        whole = op.add("whole", "Floor", [op.add("quotient", "Div", [a, b])])
        op.emit("Sub", [a, op.add("part", "Mul", [whole, b])], first=first)
    else:
        op.emit("Mod", [a, b], first=first)


def not_equal(op: OperatorWriter) -> None:
    """No ONNX operator of its own."""
    inputs, first = op.aligned(0, 1)
    op.emit("Not", [op.add("equal", "Equal", inputs)], first=first)


def sum_of_all(op: OperatorWriter) -> None:
    """Any number of tensors of one shape."""
    inputs, first = op.aligned(*range(len(op.inputs)))
    op.emit("Sum", inputs, first=first)


def select(op: OperatorWriter) -> None:
    """The second where the first is true, else the third."""
    ranks = [len(op.shape(index)) for index in range(3)]
    if op.operator.kind == "SELECT" and ranks[0] == 1 and ranks[1] > 1:  # a decision a row
        shape = op.int_list("rows", [-1] + [1] * (ranks[1] - 1))
        condition = op.add("condition", "Reshape", [op.last(0), shape])
        op.emit("Where", [condition, op.last(1), op.last(2)])
        return
    inputs, first = op.aligned(0, 1, 2)
    op.emit("Where", inputs, first=first)


def batch_matmul(op: OperatorWriter) -> None:
    """The product of the last two axes, either side transposed first where the options say so."""
    sides = []
    for index, option in enumerate(("adj_x", "adj_y")):
        side = op.last(index)
        if op.option(option):
            rank = len(op.shape(index))
            side = op.add(option, "Transpose", [side], perm=[*range(rank - 2), rank - 1, rank - 2])
        sides.append(side)
    op.emit("MatMul", sides)


def fully_connected(op: OperatorWriter) -> None:
    """Rows of the input, as wide as the weights [outputs, width], times their transpose."""
    if op.option("weights_format"):
        raise op.error("its weights are shuffled for one kind of processor; expected the plain format")
    count, width = op.shape(1)
    shape = op.shape()
    if not width or int(np.prod(shape)) % width:
        raise op.error(f"its input of shape {list(shape)} does not divide into rows of {width}")
    rows = op.flat()
    if shape != (int(np.prod(shape)) // width, width):
        rows = op.add("rows", "Reshape", [rows, op.int_list("row_shape", [-1, width])])
    inputs = [rows, op.weight(1, (0, 1)), *op.bias(2)]
    if op.option("keep_num_dims") and len(shape) != 2:
        product = op.add("product", "Gemm", inputs, transB=1)
        op.emit("Reshape", [product, op.int_list("shape", [*shape[:-1], count])])
    else:
        op.emit("Gemm", inputs, transB=1)


OPERATORS = {
    "ADD": partial(binary, onnx_op="Add"),
    "SUB": partial(binary, onnx_op="Sub"),
    "MUL": partial(binary, onnx_op="Mul"),
    "DIV": partial(binary, onnx_op="Div"),
    "POW": partial(binary, onnx_op="Pow"),
    "MAXIMUM": partial(binary, onnx_op="Max"),
    "MINIMUM": partial(binary, onnx_op="Min"),
    "EQUAL": partial(binary, onnx_op="Equal"),
    "NOT_EQUAL": not_equal,
    "GREATER": partial(binary, onnx_op="Greater"),
    "GREATER_EQUAL": partial(binary, onnx_op="GreaterOrEqual"),
    "LESS": partial(binary, onnx_op="Less"),
    "LESS_EQUAL": partial(binary, onnx_op="LessOrEqual"),
    "LOGICAL_AND": partial(binary, onnx_op="And"),
    "LOGICAL_OR": partial(binary, onnx_op="Or"),
    "SQUARED_DIFFERENCE": squared_difference,
    "FLOOR_DIV": floor_div,
    "FLOOR_MOD": floor_mod,
    "ADD_N": sum_of_all,
    "SELECT": select,
    "SELECT_V2": select,
    "BATCH_MATMUL": batch_matmul,
    "FULLY_CONNECTED": fully_connected,
}
