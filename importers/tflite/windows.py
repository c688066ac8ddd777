"""Sliding windows as TensorFlow counts them: "SAME" pads until every stride starts a full window, one more behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..same_padding import same_padding
from .operator_writer import OperatorWriter
from .schema import PADDINGS

Pair = tuple[int, int]


def padding(op: OperatorWriter) -> str:
    """SAME or VALID."""
    number = op.option("padding")
    if number not in (0, 1):
        raise op.error(f"its padding has number {number}, expected 0 (SAME) or 1 (VALID)")
    return PADDINGS[number]


def strides(op: OperatorWriter) -> Pair:
    """Down and right. Raises InputError when one is no positive number."""
    return _positive(op, "stride", (op.option("stride_h"), op.option("stride_w")))


def dilations(op: OperatorWriter) -> Pair:
    """Down and right."""
    return _positive(op, "dilation", (op.option("dilation_h"), op.option("dilation_w")))


def _positive(op: OperatorWriter, what: str, values: Pair) -> Pair:
    if min(values) < 1:
        raise op.error(f"its {what} is {values[0]} x {values[1]}, expected positive numbers")
    return values


def window(op: OperatorWriter, sides: Sequence[int], kernel: Sequence[int], dilation: Pair = (1, 1)) -> dict[str, Any]:
    """ONNX's kernel_shape, strides and pads (top, left, bottom, right) of a window over an image [height, width]."""
    stride = strides(op)
    _positive(op, "window", (kernel[0], kernel[1]))
    edges = op.operator.options.get("edges", ())  # of a dilated convolution that was three operators
    before, after = list(edges[::2]), list(edges[1::2])
    for side, step, size, apart in zip(sides, stride, kernel, dilation, strict=True):
        reach = (size - 1) * apart + 1
        if edges:
            continue
        same = padding(op) == "SAME"
        if not same and reach > side:
            raise op.error(f"its window reaches over {reach} pixels of an image of {side}")
        begin, end = same_padding(side, step, reach) if same else (0, 0)
        before.append(begin)
        after.append(end)
    return {"kernel_shape": list(kernel), "strides": list(stride), "pads": [*before, *after]}
