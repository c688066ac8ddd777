"""Functions of one number, and softmax."""

from __future__ import annotations

from functools import partial
from typing import Any

from ...tflite.operator_writer import OperatorWriter
from ...tflite.operators.activation import clipped, leaky_relu, log_softmax, prelu, reciprocal_root, square, unary


def softmax(op: OperatorWriter) -> None:
    """Over the last axis."""
    (tensor,), first = op.aligned(0)
    rank = len(op.shape())
    op.emit("Softmax", [tensor], first=first, axis=1 if first and rank > 2 else rank - 1)


def shifted(op: OperatorWriter, onnx_op: str, before: float = 0.0, after: float = 0.0) -> None:
    """A function of x + before, and `after` added to its value: log1p, expm1."""
    inputs, first = op.aligned(0)
    if before:
        inputs = [op.add("shifted", "Add", [*inputs, op.array("before", before)])]
        op.emit(onnx_op, inputs, first=first)
    else:
        op.emit("Add", [op.add("value", onnx_op, inputs), op.array("after", after)], first=first)


def clip_by_value(op: OperatorWriter) -> None:
    """Between two tensors, mostly of one number each."""
    inputs, first = op.aligned(0, 1, 2)
    op.emit("Min", [op.add("above", "Max", inputs[:2]), inputs[2]], first=first)


def complement(op: OperatorWriter) -> None:
    """erfc: 1 - erf(x)."""
    inputs, first = op.aligned(0)
    op.emit("Sub", [op.array("one", 1), op.add("erf", "Erf", inputs)], first=first)


def finite(op: OperatorWriter) -> None:
    """Neither infinite nor no number: what times 0 is 0."""
    inputs, first = op.aligned(0)
    nothing = op.add("nothing", "Mul", [*inputs, op.array("zero", 0)])
    op.emit("Equal", [nothing, op.array("none", 0)], first=first)


_SIMPLE = {  # operator -> ONNX's of the same meaning
    "Abs": "Abs",
    "Acos": "Acos",
    "Acosh": "Acosh",
    "Asin": "Asin",
    "Asinh": "Asinh",
    "Atan": "Atan",
    "Atanh": "Atanh",
    "Ceil": "Ceil",
    "Cos": "Cos",
    "Cosh": "Cosh",
    "Elu": "Elu",
    "Erf": "Erf",
    "Exp": "Exp",
    "Floor": "Floor",
    "Inv": "Reciprocal",
    "IsInf": "IsInf",
    "IsNan": "IsNaN",
    "Log": "Log",
    "LogicalNot": "Not",
    "Neg": "Neg",
    "Reciprocal": "Reciprocal",
    "Relu": "Relu",
    "Rint": "Round",
    "Round": "Round",
    "Sigmoid": "Sigmoid",
    "Sign": "Sign",
    "Sin": "Sin",
    "Sinh": "Sinh",
    "Softplus": "Softplus",
    "Softsign": "Softsign",
    "Sqrt": "Sqrt",
    "Tan": "Tan",
    "Tanh": "Tanh",
}
_SELU: dict[str, Any] = {"alpha": 1.6732632423543772, "gamma": 1.0507009873554805}

OPERATORS = {
    **{kind: partial(unary, onnx_op=onnx_op) for kind, onnx_op in _SIMPLE.items()},
    "Selu": partial(unary, onnx_op="Selu", **_SELU),
    "Relu6": partial(clipped, low=0, high=6),
    "LeakyRelu": leaky_relu,
    "Prelu": prelu,  # of TensorFlow.js
    "Rsqrt": reciprocal_root,
    "Square": square,
    "Log1p": partial(shifted, onnx_op="Log", before=1.0),
    "Expm1": partial(shifted, onnx_op="Exp", after=-1.0),
    "Erfc": complement,
    "IsFinite": finite,
    "ClipByValue": clip_by_value,
    "Softmax": softmax,
    "LogSoftmax": log_softmax,
}
