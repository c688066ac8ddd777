"""Operators that leave one number of many."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..operator_writer import OperatorWriter

OperatorFunction = Callable[[OperatorWriter], None]


def _emit(operator: OperatorWriter, op: str, axes: Sequence[int], *, keep: bool) -> None:
    """Of opset 17's operators only ReduceSum takes its axes as an input."""
    if op == "ReduceSum":
        operator.emit(op, [operator.plain(), operator.ints("axes", axes)], keepdims=int(keep))
    else:
        operator.emit(op, [operator.plain()], axes=list(axes), keepdims=int(keep))


def _reduced(op: str) -> OperatorFunction:
    def write(operator: OperatorWriter) -> None:
        given = operator.integers("axes") or list(range(len(operator.shape())))
        axes = sorted({operator.axis(axis) for axis in given})
        _emit(operator, op, axes, keep=bool(operator.integer("keepdims", 1)))

    return write


def _reduced_at(op: str, *, back: bool) -> OperatorFunction:
    """The last axes, or the first."""

    def write(operator: OperatorWriter) -> None:
        rank, count = len(operator.shape()), operator.integer("num_reduce_dim", 1)
        if len(operator.inputs) != 1 or not 1 <= count <= rank:
            raise operator.error(f"expected one input and 1 to {rank} axes, found {len(operator.inputs)} and {count}")
        _emit(operator, op, range(rank - count, rank) if back else range(count), keep=False)

    return write


def _place(op: str) -> OperatorFunction:
    def write(operator: OperatorWriter) -> None:
        axis, keep = operator.axis(operator.integer("axis", -1)), operator.integer("keepdims", 1)
        operator.emit(op, [operator.plain()], axis=axis, keepdims=keep)

    return write


OPERATORS = {
    **{f"Reduce{kind}": _reduced(f"Reduce{kind}") for kind in ("Mean", "Sum", "Max", "Min", "L1", "L2")},
    **{f"ReduceBack{kind}": _reduced_at(f"Reduce{kind}", back=True) for kind in ("Mean", "Sum", "Max")},
    **{f"ReduceFront{kind}": _reduced_at(f"Reduce{kind}", back=False) for kind in ("Mean", "Sum", "Max")},
    "ArgMax": _place("ArgMax"),
    "ArgMin": _place("ArgMin"),
}
