"""Functions of one number, and softmax."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from ..operator_writer import OperatorWriter


def unary(op: OperatorWriter, onnx_op: str, **attributes: Any) -> None:
    """One ONNX node of the same meaning."""
    inputs, first = op.aligned(0)
    op.emit(onnx_op, inputs, first=first, **attributes)


def clipped(op: OperatorWriter, low: float, high: float) -> None:
    """RELU6 and its kin."""
    inputs, first = op.aligned(0)
    op.emit("Clip", [*inputs, op.array("least", low), op.array("most", high)], first=first)


def prelu(op: OperatorWriter) -> None:
    """The slope broadcasts from the last axis."""
    inputs, first = op.aligned(0, 1)
    op.emit("PRelu", inputs, first=first)


def leaky_relu(op: OperatorWriter) -> None:
    """The slope of what is negative is an option."""
    unary(op, "LeakyRelu", alpha=op.option("alpha"))


def square(op: OperatorWriter) -> None:
    """x * x."""
    (tensor,), first = op.aligned(0)
    op.emit("Mul", [tensor, tensor], first=first)


def reciprocal_root(op: OperatorWriter) -> None:
    """1 / sqrt(x)."""
    inputs, first = op.aligned(0)
    op.emit("Reciprocal", [op.add("root", "Sqrt", inputs)], first=first)


def gelu(op: OperatorWriter) -> None:
    """x * P(X <= x) of the normal distribution, or its approximation by tanh (Hendrycks and Gimpel 2016)."""
    (tensor,), first = op.aligned(0)
    half = op.add("half", "Mul", [tensor, op.array("factor", 0.5)])
    if op.option("approximate"):
        square = op.add("square", "Mul", [tensor, tensor])
        bend = op.add("bend", "Mul", [square, op.array("third", 0.044715)])
        bent = op.add("bent", "Mul", [op.add("one_more", "Add", [bend, op.array("one", 1)]), tensor])
        curve = op.add("curve", "Tanh", [op.add("scaled", "Mul", [bent, op.array("root", math.sqrt(2 / math.pi))])])
    else:
        curve = op.add("curve", "Erf", [op.add("scaled", "Mul", [tensor, op.array("root", math.sqrt(0.5))])])
    op.emit("Mul", [half, op.add("share", "Add", [curve, op.array("unit", 1)])], first=first)


def softmax(op: OperatorWriter) -> None:
    """Over the last axis, of beta times its input."""
    (tensor,), first = op.aligned(0)
    beta = np.float32(op.option("beta"))
    if beta != 1:
        tensor = op.add("scaled", "Mul", [tensor, op.array("beta", beta)])
    op.emit("Softmax", [tensor], first=first, axis=_channels(op, first))


def log_softmax(op: OperatorWriter) -> None:
    """Over the last axis."""
    inputs, first = op.aligned(0)
    op.emit("LogSoftmax", inputs, first=first, axis=_channels(op, first))


def _channels(op: OperatorWriter, first: bool) -> int:
    rank = len(op.shape())
    return 1 if first and rank > 2 else rank - 1


OPERATORS = {
    "RELU": partial(unary, onnx_op="Relu"),
    "RELU6": partial(clipped, low=0, high=6),
    "RELU_N1_TO_1": partial(clipped, low=-1, high=1),
    "RELU_0_TO_1": partial(clipped, low=0, high=1),
    "PRELU": prelu,
    "LEAKY_RELU": leaky_relu,
    "ELU": partial(unary, onnx_op="Elu"),
    "HARD_SWISH": partial(unary, onnx_op="HardSwish"),
    "GELU": gelu,
    "LOGISTIC": partial(unary, onnx_op="Sigmoid"),
    "TANH": partial(unary, onnx_op="Tanh"),
    "EXP": partial(unary, onnx_op="Exp"),
    "LOG": partial(unary, onnx_op="Log"),
    "SQRT": partial(unary, onnx_op="Sqrt"),
    "RSQRT": reciprocal_root,
    "SQUARE": square,
    "NEG": partial(unary, onnx_op="Neg"),
    "ABS": partial(unary, onnx_op="Abs"),
    "SIGN": partial(unary, onnx_op="Sign"),
    "SIN": partial(unary, onnx_op="Sin"),
    "COS": partial(unary, onnx_op="Cos"),
    "FLOOR": partial(unary, onnx_op="Floor"),
    "CEIL": partial(unary, onnx_op="Ceil"),
    "ROUND": partial(unary, onnx_op="Round"),
    "LOGICAL_NOT": partial(unary, onnx_op="Not"),
    "SOFTMAX": softmax,
    "LOG_SOFTMAX": log_softmax,
}
