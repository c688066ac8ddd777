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
_LOGICAL = {"and": "And", "or": "Or", "xor": "Xor"}  # of numbers that are not zero


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


def general_product(writer: OperatorWriter) -> None:
    """alpha times matrix times matrix, for each of any batch."""
    if writer.attributes.whole("axis", -2) != -2:
        raise writer.error("matrices on other axes than the last two are not supported")
    factor = writer.attributes.real("alpha", 1.0)
    if factor != 1:
        writer.inputs[0] = writer.add("scaled", "Mul", [writer.input(), writer.constant("alpha", factor)])
    _matrix_product(writer)


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


def _not_equal(number: bool) -> Callable[[OperatorWriter], object]:
    def write(writer: OperatorWriter) -> None:
        same = writer.add("same", "Equal", [writer.input(), _scalar(writer) if number else writer.input(1)])
        writer.emit("Cast", [writer.add("other", "Not", [same])], to=TensorProto.FLOAT)

    return write


def _logical(op: str) -> Callable[[OperatorWriter], object]:
    def write(writer: OperatorWriter) -> None:
        pair = [writer.add(f"is{index}", "Cast", [writer.input(index)], to=TensorProto.BOOL) for index in (0, 1)]
        writer.emit("Cast", [writer.add("holds", op, pair)], to=TensorProto.FLOAT)

    return write


def logical_not(writer: OperatorWriter) -> None:
    """1 where it is zero, else 0."""
    zero = writer.add("zero", "Equal", [writer.input(), writer.constant("nothing", 0)])
    writer.emit("Cast", [zero], to=TensorProto.FLOAT)


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
    **{f"broadcast_logical_{name}": _logical(op) for name, op in _LOGICAL.items()},
    **{f"_logical_{name}": _logical(op) for name, op in _LOGICAL.items()},
    "broadcast_not_equal": _not_equal(False),
    "_not_equal": _not_equal(False),
    "_not_equal_scalar": _not_equal(True),
    "logical_not": logical_not,
    "_linalg_gemm2": general_product,
    "add_n": add_all,
    "ElementWiseSum": add_all,
    "_sum": add_all,
    "where": where,
    "dot": dot,
    "batch_dot": batch_dot,
    "_contrib_div_sqrt_dim": div_sqrt_dim,
}
