"""Operators that change each number on its own, and softmax."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..operator_writer import OperatorWriter

_ACTIVATIONS = {
    "relu": "Relu",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "softrelu": "Softplus",
    "softsign": "Softsign",
}


def activation(writer: OperatorWriter) -> None:
    """One of six, by its name."""
    kind = writer.one_of("act_type", ("", *_ACTIVATIONS, "log_sigmoid"))
    if kind == "log_sigmoid":
        writer.emit("Log", [writer.add("sigmoid", "Sigmoid", [writer.input()])])
    elif not kind:
        raise writer.error("its attribute act_type is missing")
    else:
        writer.emit(_ACTIVATIONS[kind], [writer.input()])


def leaky_relu(writer: OperatorWriter) -> None:
    """ReLUs with another slope, learned, drawn (its mean at test time) or curved below zero; GELU."""
    kind = writer.one_of("act_type", ("leaky", "prelu", "elu", "rrelu", "selu", "gelu"))
    slope = writer.attributes.real("slope", 0.25)
    if kind == "prelu":
        _prelu(writer)
    elif kind == "elu":
        writer.emit("Elu", [writer.input()], alpha=slope)
    elif kind == "selu":
        writer.emit("Selu", [writer.input()])
    elif kind == "gelu":
        _gelu(writer)
    else:
        low, high = writer.attributes.real("lower_bound", 0.125), writer.attributes.real("upper_bound", 0.334)
        writer.emit("LeakyRelu", [writer.input()], alpha=slope if kind == "leaky" else (low + high) / 2)


def _prelu(writer: OperatorWriter) -> None:
    """A slope a channel, or one for all (He et al. 2015)."""
    rank, gamma = len(writer.shape()), writer.value(1)
    if gamma is None:
        raise writer.error("its slopes are computed or missing; expected a parameter")
    count = 1 if gamma.size == 1 else writer.channels()
    writer.emit("PRelu", [writer.input(), writer.weight(1, (count, *[1] * max(rank - 2, 0)), "slope")])


def _gelu(writer: OperatorWriter) -> None:
    """x / 2 * (1 + erf(x / sqrt 2)) (Hendrycks and Gimpel 2016)."""
    root = writer.add("root", "Mul", [writer.input(), writer.constant("factor", math.sqrt(0.5))])
    gate = writer.add("gate", "Add", [writer.add("erf", "Erf", [root]), writer.constant("one", 1)])
    half = writer.add("half", "Mul", [writer.input(), writer.constant("a_half", 0.5)])
    writer.emit("Mul", [half, gate])


def clip(writer: OperatorWriter) -> None:
    """x clipped to a_min..a_max."""
    low, high = writer.attributes.real("a_min", -math.inf), writer.attributes.real("a_max", math.inf)
    writer.emit("Clip", [writer.input(), writer.constant("min", low), writer.constant("max", high)])


def hard_sigmoid(writer: OperatorWriter) -> None:
    """alpha * x + beta, clipped to 0..1."""
    alpha, beta = writer.attributes.real("alpha", 0.2), writer.attributes.real("beta", 0.5)
    writer.emit("HardSigmoid", [writer.input()], alpha=alpha, beta=beta)


def softmax(writer: OperatorWriter) -> None:
    """Over one axis, of x / temperature."""
    _softmax(writer, "Softmax")


def log_softmax(writer: OperatorWriter) -> None:
    """Its logarithm."""
    _softmax(writer, "LogSoftmax")


def softmin(writer: OperatorWriter) -> None:
    """Softmax of -x."""
    _softmax(writer, "Softmax", -1.0)


def _softmax(writer: OperatorWriter, op: str, sign: float = 1.0) -> None:
    if writer.attributes.flag("use_length"):
        raise writer.error("use_length is not supported")
    factor = sign / writer.attributes.real("temperature", 1.0)
    value = writer.input()
    if factor != 1:
        value = writer.add("scaled", "Mul", [value, writer.constant("factor", factor)])
    writer.emit(op, [value], axis=writer.axis(writer.attributes.whole("axis", -1)))


def softmax_output(writer: OperatorWriter) -> None:
    """Over all but the batch, channels (multi_output) or the last axis (preserve_shape); labels are dropped."""
    shape = writer.shape()
    if writer.attributes.flag("multi_output"):
        writer.emit("Softmax", [writer.input()], axis=writer.axis(1))
    elif writer.attributes.flag("preserve_shape") or len(shape) <= 2:
        writer.emit("Softmax", [writer.input()], axis=len(shape) - 1)
    else:
        flat = writer.add("flat", "Softmax", [writer.add("flattened", "Flatten", [writer.input()], axis=1)], axis=1)
        writer.emit("Reshape", [flat, writer.add("image_shape", "Shape", [writer.input()])], shape=shape)


def softmax_activation(writer: OperatorWriter) -> None:
    """Over channels, or over the last axis."""
    by_channel = writer.one_of("mode", ("instance", "channel")) == "channel"
    writer.emit("Softmax", [writer.input()], axis=writer.axis(1 if by_channel else -1))


def identity(writer: OperatorWriter) -> None:
    """What only training looks at."""
    writer.emit("Identity", [writer.input()])


def dropout(writer: OperatorWriter) -> None:
    """The identity at test time."""
    if writer.attributes.text("mode", "training") == "always":
        raise writer.error("mode always draws at random at test time, too; expected training")
    writer.emit("Dropout", [writer.input()])


def cast(writer: OperatorWriter) -> None:
    """Whole numbers, or floats: all floats are computed as float32."""
    kinds = {"float32": 1, "float16": 1, "float64": 1, "int32": 6, "int64": 7, "int8": 3, "uint8": 2, "bool": 9}
    writer.emit("Cast", [writer.input()], to=kinds[writer.one_of("dtype", ("float32", *kinds))])


def _unary(op: str) -> Callable[[OperatorWriter], object]:
    return lambda writer: writer.emit(op, [writer.input()])


def _then(first: str, second: str) -> Callable[[OperatorWriter], object]:
    """One operator behind another."""
    return lambda writer: writer.emit(second, [writer.add("inner", first, [writer.input()])])


def _with_number(
    op: str, number: Any, *, inner: str = "", number_first: bool = False
) -> Callable[[OperatorWriter], object]:
    """An operator of x, or of `inner` of x, and a number."""

    def write(writer: OperatorWriter) -> None:
        value = writer.add("inner", inner, [writer.input()]) if inner else writer.input()
        terms = [value, writer.constant("number", np.float32(number))]
        writer.emit(op, terms[::-1] if number_first else terms)

    return write


def _expm1(writer: OperatorWriter) -> None:
    writer.emit("Sub", [writer.add("exp", "Exp", [writer.input()]), writer.constant("one", 1)])


def _log1p(writer: OperatorWriter) -> None:
    writer.emit("Log", [writer.add("plus", "Add", [writer.input(), writer.constant("one", 1)])])


def _cbrt(writer: OperatorWriter) -> None:
    """Of negative numbers, too."""
    power = writer.add("power", "Pow", [writer.add("size", "Abs", [writer.input()]), writer.constant("third", 1 / 3)])
    writer.emit("Mul", [writer.add("sign", "Sign", [writer.input()]), power])


def _towards_zero(writer: OperatorWriter) -> None:
    size = writer.add("whole", "Floor", [writer.add("size", "Abs", [writer.input()])])
    writer.emit("Mul", [writer.add("sign", "Sign", [writer.input()]), size])


def _away_from_zero(writer: OperatorWriter) -> None:
    """Halves away from zero."""
    size = writer.add("raised", "Add", [writer.add("size", "Abs", [writer.input()]), writer.constant("half", 0.5)])
    writer.emit("Mul", [writer.add("sign", "Sign", [writer.input()]), writer.add("whole", "Floor", [size])])


_SAME = {
    "relu": "Relu", "sigmoid": "Sigmoid", "softsign": "Softsign", "exp": "Exp", "log": "Log", "sqrt": "Sqrt",
    "abs": "Abs", "negative": "Neg", "reciprocal": "Reciprocal", "floor": "Floor", "ceil": "Ceil", "sign": "Sign",
    "erf": "Erf", "sin": "Sin", "cos": "Cos", "tan": "Tan", "arcsin": "Asin", "arccos": "Acos", "arctan": "Atan",
    "sinh": "Sinh", "cosh": "Cosh", "tanh": "Tanh", "arcsinh": "Asinh", "arccosh": "Acosh", "arctanh": "Atanh",
}  # fmt: skip
_IDENTITIES = (
    "_copy", "identity", "BlockGrad", "stop_gradient", "MakeLoss", "make_loss", "IdentityAttachKLSparseReg",
    "LinearRegressionOutput", "MAERegressionOutput", "SVMOutput", "_identity_with_attr_like_rhs",
)  # fmt: skip

OPERATORS = {
    **{name: _unary(op) for name, op in _SAME.items()},
    **dict.fromkeys(_IDENTITIES, identity),
    "Activation": activation,
    "LeakyReLU": leaky_relu,
    "clip": clip,
    "hard_sigmoid": hard_sigmoid,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "softmin": softmin,
    "SoftmaxOutput": softmax_output,
    "Softmax": softmax_output,
    "SoftmaxActivation": softmax_activation,
    "LogisticRegressionOutput": _unary("Sigmoid"),
    "Dropout": dropout,
    "Cast": cast,
    "cast": cast,
    "amp_cast": cast,
    "square": lambda writer: writer.emit("Mul", [writer.input(), writer.input()]),
    "rsqrt": _then("Sqrt", "Reciprocal"),
    "log2": _with_number("Mul", 1 / math.log(2), inner="Log"),
    "log10": _with_number("Mul", 1 / math.log(10), inner="Log"),
    "degrees": _with_number("Mul", 180 / math.pi),
    "radians": _with_number("Mul", math.pi / 180),
    "log1p": _log1p,
    "expm1": _expm1,
    "cbrt": _cbrt,
    "fix": _towards_zero,
    "trunc": _towards_zero,
    "round": _away_from_zero,
}
