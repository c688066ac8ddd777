"""Pooling; padding never counts in an average."""

from __future__ import annotations

from typing import Any

from ..operator_writer import OperatorWriter
from ..windows import window


def average(op: OperatorWriter) -> None:
    """Of the pixels that are there."""
    op.emit("AveragePool", [op.first()], first=True, **_window(op))


def maximum(op: OperatorWriter) -> None:
    """The largest."""
    op.emit("MaxPool", [op.first()], first=True, moved=True, **_window(op))


def quadratic(op: OperatorWriter) -> None:
    """The root of the average square."""
    squares = op.add("squares", "Mul", [op.first(), op.first()])
    op.emit("Sqrt", [op.add("average", "AveragePool", [squares], **_window(op))], first=True)


def _window(op: OperatorWriter) -> dict[str, Any]:
    shape = op.shape()
    if len(shape) != 4:
        raise op.error(f"expected an image [N, H, W, C], found the shape {list(shape)}")
    return window(op, shape[1:3], (op.option("filter_height"), op.option("filter_width")))


OPERATORS = {"AVERAGE_POOL_2D": average, "MAX_POOL_2D": maximum, "L2_POOL_2D": quadratic}
