"""Operators that combine blobs number by number."""

from __future__ import annotations

from collections.abc import Callable

from ..operator_writer import OperatorWriter

OperatorFunction = Callable[[OperatorWriter], None]


def _together(op: str) -> OperatorFunction:
    """Any number of inputs of one shape."""

    def write(operator: OperatorWriter) -> None:
        if not operator.inputs:
            raise operator.error("expected at least one input")
        tensors, operator.first = operator.tensors.aligned(operator.inputs)
        operator.emit(op if len(tensors) > 1 else "Identity", tensors)

    return write


def _binary(op: str) -> OperatorFunction:
    """Two inputs: broadcast as NumPy does; with `broadcast` the second from `axis` on, whatever is behind it."""

    def write(operator: OperatorWriter) -> None:
        if len(operator.inputs) != 2:
            raise operator.error(f"expected two inputs, found {len(operator.inputs)}")
        if operator.has("axis_str"):
            raise operator.error("axis_str is not supported")
        rank, second = len(operator.shape(0)), operator.shape(1)
        axis = operator.integer("axis", -1) if operator.integer("broadcast") else -1
        behind = rank - axis - len(second) if axis >= 0 and len(second) < rank else 0
        if behind < 0:
            raise operator.error(f"{list(second)} does not fit {list(operator.shape(0))} from axis {axis} on")
        if not behind:
            tensors, operator.first = operator.tensors.aligned(operator.inputs)
            operator.emit(op, tensors)
            return
        aligned = operator.reshaped("aligned", operator.plain(1), [*operator.sizes(second), *[1] * behind])
        operator.emit(op, [operator.plain(0), aligned])

    return write


OPERATORS = {
    **{name: _together(name) for name in ("Sum", "Max", "Min", "Mean")},
    **{name: _binary(name) for name in ("Add", "Sub", "Mul", "Div", "And", "Or", "Xor")},
    "EQ": _binary("Equal"),
    "LT": _binary("Less"),
    "LE": _binary("LessOrEqual"),
    "GT": _binary("Greater"),
    "GE": _binary("GreaterOrEqual"),
}
