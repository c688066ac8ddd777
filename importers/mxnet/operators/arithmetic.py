"""Operators on two tensors number by number, under all the names they have had, and on a tensor and a number."""

from __future__ import annotations

import math
from collections.abc import Callable

from onnx import TensorProto

from ..operator_writer import OperatorWriter

_TWO = {
    "Add": ("elemwise_add", "_plus", "_Plus", "_add", "_grad_add", "broadcast_add", "broadcast_plus"),
    "Sub": ("elemwise_sub", "_minus", "_Minus", "_sub", "broadcast_sub", "broadcast_minus"),
    "Mul": ("elemwise_mul", "_mul", "_Mul", "broadcast_mul"),
    "Div": ("elemwise_div", "_div", "_Div", "broadcast_div"),
    "Pow": ("_power", "_Power", "broadcast_power"),
    "Max": ("_maximum", "_Maximum", "broadcast_maximum"),
    "Min": ("_minimum", "_Minimum", "broadcast_minimum"),
}
_NUMBER = {
    "Add": ("_plus_scalar", "_PlusScalar"),
    "Sub": ("_minus_scalar", "_MinusScalar"),
    "Mul": ("_mul_scalar", "_MulScalar"),
    "Div": ("_div_scalar", "_DivScalar"),
    "Pow": ("_power_scalar", "_PowerScalar"),
    "Max": ("_maximum_scalar", "_MaximumScalar"),
    "Min": ("_minimum_scalar", "_MinimumScalar"),
}
_NUMBER_FIRST = {
    "Sub": ("_rminus_scalar", "_RMinusScalar"),
    "Div": ("_rdiv_scalar", "_RDivScalar"),
    "Pow": ("_rpower_scalar", "_RPowerScalar"),
}
_COMPARED = {
    "equal": "Equal",
    "greater": "Greater",
    "greater_equal": "GreaterOrEqual",
    "lesser": "Less",
    "lesser_equal": "LessOrEqual",
}


def add_all(writer: OperatorWriter) -> None:
    """The sum of any number of tensors."""
    writer.chain("Add", writer.inputs)


def where(writer: OperatorWriter) -> None:
    """The second where the first is not zero, else the third."""
    chosen = writer.add("chosen", "Cast", [writer.input()], to=TensorProto.BOOL)
    writer.emit("Where", [chosen, writer.input(1), writer.input(2)])


def dot(writer: OperatorWriter) -> None:
    """Matrix times matrix."""
    if [len(writer.shape(index)) for index in (0, 1)] != [2, 2]:
        raise writer.error("expected two matrices")
    _matrix_product(writer)


def batch_dot(writer: OperatorWriter) -> None:
    """Matrix times matrix, for each of a batch."""
    if [len(writer.shape(index)) for index in (0, 1)] != [3, 3]:
        raise writer.error("expected two batches of matrices")
    _matrix_product(writer)


def _matrix_product(writer: OperatorWriter) -> None:
    sides = []
    for index, name in enumerate(("transpose_a", "transpose_b")):
        value, rank = writer.input(index), len(writer.shape(index))
        if writer.attributes.flag(name):
            value = writer.add(name, "Transpose", [value], perm=[*range(rank - 2), rank - 1, rank - 2])
        sides.append(value)
    writer.emit("MatMul", sides)


def div_sqrt_dim(writer: OperatorWriter) -> None:
    """x / the square root of its last axis' size."""
    [size] = writer.sizes(writer.shape()[-1:])
    writer.emit("Div", [writer.input(), writer.constant("root", math.sqrt(size))])


def _two(op: str) -> Callable[[OperatorWriter], object]:
    return lambda writer: writer.emit(op, [writer.input(0), writer.input(1)])


def _number(op: str, number_first: bool = False) -> Callable[[OperatorWriter], object]:
    def write(writer: OperatorWriter) -> None:
        terms = [writer.input(), _scalar(writer)]
        writer.emit(op, terms[::-1] if number_first else terms)

    return write


def _scalar(writer: OperatorWriter) -> str:
    return writer.constant("scalar", writer.attributes.real("scalar", 1.0))


def _comparison(op: str, number: bool) -> Callable[[OperatorWriter], object]:
    """1 where it holds, else 0, as floats."""

    def write(writer: OperatorWriter) -> None:
        holds = writer.add("holds", op, [writer.input(), _scalar(writer) if number else writer.input(1)])
        writer.emit("Cast", [holds], to=TensorProto.FLOAT)

    return write


OPERATORS = {
    **{name: _two(op) for op, names in _TWO.items() for name in names},
    **{name: _number(op) for op, names in _NUMBER.items() for name in names},
    **{name: _number(op, number_first=True) for op, names in _NUMBER_FIRST.items() for name in names},
    **{f"broadcast_{name}": _comparison(op, False) for name, op in _COMPARED.items()},
    **{f"_{name}": _comparison(op, False) for name, op in _COMPARED.items()},
    **{f"_{name}_scalar": _comparison(op, True) for name, op in _COMPARED.items()},
    "add_n": add_all,
    "ElementWiseSum": add_all,
    "_sum": add_all,
    "where": where,
    "dot": dot,
    "batch_dot": batch_dot,
    "_contrib_div_sqrt_dim": div_sqrt_dim,
}
