"""Operators that change each number on its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..operator_writer import OperatorWriter

_FLOAT_MAX = 3.4028234663852886e38


def _same(op: str, **arguments: tuple[str, float]) -> Callable[[OperatorWriter], None]:
    """`arguments`: ONNX's attribute = (Caffe2's argument, its default)."""

    def write(operator: OperatorWriter) -> None:
        attributes: dict[str, Any] = {
            name: operator.number(argument, default) for name, (argument, default) in arguments.items()
        }
        operator.emit(op, [operator.either()], **attributes)

    return write


def prelu(operator: OperatorWriter) -> None:
    """x > 0, else a slope times x, one a channel or one for all."""
    shape, count = operator.images(), operator.sizes(operator.shape(1))[0]
    slope = operator.vector(1, count if count == 1 else shape[1])
    if count > 1 and len(shape) > 2:
        slope = operator.reshaped("slopes", slope, [count, *[1] * (len(shape) - 2)])
    operator.emit("PRelu", [operator.image(0), slope])


def clip(operator: OperatorWriter) -> None:
    """x between two numbers."""
    limits = [operator.constant("min", operator.number("min", -_FLOAT_MAX))]
    limits.append(operator.constant("max", operator.number("max", _FLOAT_MAX)))
    operator.emit("Clip", [operator.either(), *limits])


def relu_n(operator: OperatorWriter) -> None:
    """x between 0 and n."""
    limits = [operator.constant("min", 0), operator.constant("max", operator.number("n", 6.0))]
    operator.emit("Clip", [operator.either(), *limits])


def swish(operator: OperatorWriter) -> None:
    """x sigmoid(x)."""
    value = operator.either()
    operator.emit("Mul", [value, operator.add("gate", "Sigmoid", [value])])


def square(operator: OperatorWriter) -> None:
    """x x."""
    value = operator.either()
    operator.emit("Mul", [value, value])


def power(operator: OperatorWriter) -> None:
    """x to the power of a number, or of another blob."""
    if len(operator.inputs) > 1:
        operator.emit("Pow", [operator.plain(0), operator.plain(1)])
    else:
        operator.emit("Pow", [operator.either(), operator.constant("exponent", operator.number("exponent"))])


def scale(operator: OperatorWriter) -> None:
    """x times a number."""
    operator.emit("Mul", [operator.either(), operator.constant("scale", operator.number("scale", 1.0))])


_IDENTITIES = ("Alias", "Copy", "CopyCPUToGPU", "CopyFromCPUInput", "CopyGPUToCPU", "CopyOnDeviceLike", "Dropout",
               "EnsureCPUOutput", "EnsureDense", "StopGradient")  # fmt: skip

OPERATORS = {
    **dict.fromkeys(_IDENTITIES, _same("Identity")),
    **{name: _same(name) for name in ("Relu", "Sigmoid", "Tanh", "Softsign", "Softplus", "Exp", "Log", "Sqrt", "Abs",
                                      "Sin", "Cos", "Tan", "Floor", "Ceil", "Sign", "Not")},
    "Negative": _same("Neg"),
    "LeakyRelu": _same("LeakyRelu", alpha=("alpha", 0.01)),
    "Elu": _same("Elu", alpha=("alpha", 1.0)),
    "Selu": _same("Selu", alpha=("alpha", 1.6732632423543772), gamma=("scale", 1.0507009873554805)),
    "HardSigmoid": _same("HardSigmoid", alpha=("alpha", 0.2), beta=("beta", 0.5)),
    "ThresholdedRelu": _same("ThresholdedRelu", alpha=("alpha", 1.0)),
    "PRelu": prelu,
    "Clip": clip,
    "ReluN": relu_n,
    "Swish": swish,
    "Sqr": square,
    "Pow": power,
    "Scale": scale,
}  # fmt: skip
