"""Functions of one number: the gradient times the derivative, as ONNX's definitions have it."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..step import Backward, Gradients, Step, Unsupported

Derivative = Callable[[Step], str]  # writes f'(x)


def _times(derivative: Derivative) -> Backward:
    return lambda step: [step.write("Mul", step.gradient, derivative(step))]


def _rectified(step: Step) -> Gradients:
    """By what it gives, so that onnxruntime may still make one node of it and the convolution before."""
    return [step.where(step.write("Greater", step.y, step.write.number(0.0)), step.gradient)]


def _bent(slope: Callable[[Step], str]) -> Backward:
    """1 above 0, else another slope."""

    def gradients(step: Step) -> Gradients:
        above = step.write("Greater", step.x, step.write.number(0.0))
        return [step.write("Where", above, step.gradient, step.write("Mul", step.gradient, slope(step)))]

    return gradients


def _attribute(name: str, default: float) -> Callable[[Step], str]:
    return lambda step: step.write.number(step.attribute(name, default))


def _prelu_slope(step: Step) -> str:
    if step.wanted[1]:
        raise Unsupported("a slope that depends on the image")
    return step.node.inputs[1]


def _elu_slope(step: Step) -> str:
    """y + alpha = alpha * exp(x) for x <= 0."""
    return step.write("Add", step.y, step.write.number(step.attribute("alpha", 1.0)))


def _celu_slope(step: Step) -> str:
    quotient = step.write("Div", step.y, step.write.number(step.attribute("alpha", 1.0)))
    return step.write("Add", quotient, step.write.number(1.0))


def _selu(step: Step) -> Gradients:
    alpha = step.attribute("alpha", 1.67326319217681884765625)
    gamma = step.attribute("gamma", 1.05070102214813232421875)
    below = step.write("Add", step.y, step.write.number(alpha * gamma))
    above = step.write("Greater", step.x, step.write.number(0.0))
    return [step.write("Mul", step.gradient, step.write("Where", above, step.write.number(gamma), below))]


def _thresholded(step: Step) -> Gradients:
    level = step.write.number(step.attribute("alpha", 1.0))
    return [step.where(step.write("Greater", step.x, level), step.gradient)]


def _clipped(step: Step) -> Gradients:
    """Both ends belong to the inside, as torch has it."""
    bounds = ((step.input(1), "GreaterOrEqual"), (step.input(2), "LessOrEqual"))
    inside = [step.write(comparison, step.x, bound) for bound, comparison in bounds if bound is not None]
    if not inside:
        return [step.gradient]
    return [step.where(inside[0] if len(inside) == 1 else step.write("And", *inside), step.gradient)]


def _sigmoid(step: Step) -> str:  # y (1 - y)
    return step.write("Mul", step.y, step.write("Sub", step.write.number(1.0), step.y))


def _tanh(step: Step) -> str:
    return step.write("Sub", step.write.number(1.0), step.write("Mul", step.y, step.y))


def _softsign(step: Step) -> str:
    root = step.write("Add", step.write("Abs", step.x), step.write.number(1.0))
    return step.write("Reciprocal", step.write("Mul", root, root))


def _hard_sigmoid(step: Step) -> Gradients:
    alpha = step.attribute("alpha", 0.2)
    return [step.scaled(_where_inside(step, step.gradient, 0.0, 1.0), alpha)]


def _where_inside(step: Step, gradient: str, low: float, high: float) -> str:
    above = step.write("Greater", step.y, step.write.number(low))
    return step.where(step.write("And", above, step.write("Less", step.y, step.write.number(high))), gradient)


def _hard_swish(step: Step) -> str:
    """0 below -3, 1 from 3 on, else x / 3 + 1 / 2."""
    write = step.write
    between = write("Add", write("Div", step.x, write.number(3.0)), write.number(0.5))
    below = write("Where", write("Greater", step.x, write.number(-3.0)), between, write.number(0.0))
    return write("Where", write("GreaterOrEqual", step.x, write.number(3.0)), write.number(1.0), below)


def _swish(alpha: float) -> Derivative:  # where the file does not say
    """s + a y (1 - s) where s = sigmoid(a x)."""

    def derivative(step: Step) -> str:
        write, factor = step.write, step.attribute("alpha", alpha)
        s = write("Sigmoid", step.scaled(step.x, factor))
        rest = write("Mul", step.scaled(step.y, factor), write("Sub", write.number(1.0), s))
        return write("Add", s, rest)

    return derivative


def _mish(step: Step) -> str:
    """t + x sigmoid(x) (1 - t²) where t = tanh(softplus(x))."""
    write = step.write
    t = write("Tanh", write("Softplus", step.x))
    rest = write("Sub", write.number(1.0), write("Mul", t, t))
    return write("Add", t, write("Mul", write("Mul", step.x, write("Sigmoid", step.x)), rest))


def _gelu(step: Step) -> str:
    write, x = step.write, step.x
    if step.attribute("approximate", "none") == "tanh":
        root, cubic = math.sqrt(2 / math.pi), 0.044715
        square = write("Mul", x, x)
        inside = write("Mul", write("Add", step.scaled(square, root * cubic), write.number(root)), x)
        t = write("Tanh", inside)
        slope = write("Add", step.scaled(square, 3 * root * cubic), write.number(root))
        rest = write("Mul", write("Mul", x, slope), write("Sub", write.number(1.0), write("Mul", t, t)))
        return step.scaled(write("Add", write("Add", t, write.number(1.0)), rest), 0.5)
    below = step.scaled(write("Add", write("Erf", step.scaled(x, math.sqrt(0.5))), write.number(1.0)), 0.5)
    density = step.scaled(write("Exp", step.scaled(write("Mul", x, x), -0.5)), 1 / math.sqrt(2 * math.pi))
    return write("Add", below, write("Mul", x, density))


def _erf(step: Step) -> str:
    square = step.write("Mul", step.x, step.x)
    return step.scaled(step.write("Exp", step.write("Neg", square)), 2 / math.sqrt(math.pi))


def _power(step: Step) -> Gradients:
    """By a constant."""
    exponent = step.constant(1)
    assert exponent is not None
    if exponent.size != 1:
        raise Unsupported("exponents that differ from place to place")
    power = float(exponent.reshape(()))
    if power == 0:  # at x = 0, too
        return [step.scaled(step.gradient, 0.0)]
    lower = step.write("Pow", step.x, step.write.constant(np.array(power - 1, np.float32)))
    return [step.write("Mul", step.gradient, step.scaled(lower, power))]


TABLE: dict[str, Backward] = {
    "Relu": _rectified,
    "LeakyRelu": _bent(_attribute("alpha", 0.01)),
    "PRelu": _bent(_prelu_slope),
    "Elu": _bent(_elu_slope),
    "Celu": _bent(_celu_slope),
    "Selu": _selu,
    "ThresholdedRelu": _thresholded,
    "Clip": _clipped,
    "Sigmoid": _times(_sigmoid),
    "Tanh": _times(_tanh),
    "Softplus": _times(lambda step: step.write("Sigmoid", step.x)),
    "Softsign": _times(_softsign),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _times(_hard_swish),
    "Swish": _times(_swish(1.0)),
    "Mish": _times(_mish),
    "Gelu": _times(_gelu),
    "com.microsoft.Gelu": _times(_gelu),
    "com.microsoft.QuickGelu": _times(_swish(1.702)),
    "Erf": _times(_erf),
    "Exp": _times(lambda step: step.y),
    "Log": lambda step: [step.write("Div", step.gradient, step.x)],
    "Sqrt": lambda step: [step.scaled(step.write("Div", step.gradient, step.y), 0.5)],
    "Reciprocal": _times(lambda step: step.write("Neg", step.write("Mul", step.y, step.y))),
    "Abs": _times(lambda step: step.write("Sign", step.x)),
    "Neg": lambda step: [step.write("Neg", step.gradient)],
    "Sin": _times(lambda step: step.write("Cos", step.x)),
    "Cos": _times(lambda step: step.write("Neg", step.write("Sin", step.x))),
    "Pow": _power,
}
