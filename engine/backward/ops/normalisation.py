"""Normalisations: their gradients as follow from ONNX's definitions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..step import Backward, Gradients, Step, Unsupported


def _batch(step: Step) -> Gradients:
    """A scale a channel: statistics are the file's."""
    if any(step.wanted[1:]) or step.attribute("training_mode", 0):
        raise Unsupported("statistics of the batch")
    scale, variance = step.constant(1), step.constant(4)
    assert scale is not None and variance is not None
    factor = scale.astype(np.float64) / np.sqrt(variance.astype(np.float64) + step.attribute("epsilon", 1e-5))
    shape = (-1, *[1] * (len(step.shape(step.x)) - 2))
    return [step.write("Mul", step.gradient, step.write.constant(factor.astype(np.float32).reshape(shape)))]


def _standardised(step: Step, x: str, gradient: str, axes: Sequence[int], elements: int, centred: bool = True) -> str:
    """Of (x - mean) / sqrt(variance + epsilon) over these axes, or without the mean; `elements` lie along them.

    With z the result and m the mean over the axes: (g - m(g) - z m(g z)) / sqrt(variance + epsilon)."""
    write, over = step.write, step.write.ints(axes)
    count, epsilon = write.number(float(elements)), step.attribute("epsilon", 1e-5)

    def mean(tensor: str) -> str:
        return write("Div", write("ReduceSum", tensor, over, keepdims=1), count)

    inside = write("Sub", x, mean(x)) if centred else x
    variance = mean(write("Mul", inside, inside))
    root = write("Sqrt", write("Add", variance, write.number(epsilon)))
    z = write("Div", inside, root)
    along = write("Mul", z, mean(write("Mul", gradient, z)))
    rest = write("Sub", gradient, mean(gradient)) if centred else gradient
    return write("Div", write("Sub", rest, along), root)


def _scaled_by(step: Step, shape: Sequence[int]) -> str:
    """The gradient times the scale, which has this shape."""
    if any(step.wanted[1:]):
        raise Unsupported("scales that depend on the image")
    scale = step.input(1)
    if scale is None:
        return step.gradient
    return step.write("Mul", step.gradient, step.write("Reshape", scale, step.write.ints(shape)))


def _instance(step: Step) -> Gradients:
    rank = len(step.shape(step.x))
    gradient = _scaled_by(step, [1, -1, *[1] * (rank - 2)])
    axes = range(2, rank)
    return [_standardised(step, step.x, gradient, axes, step.elements(step.x, axes))]


def _group(step: Step) -> Gradients:
    """Scales are of channels, or of groups in older files."""
    groups, shape = step.attribute("num_groups"), step.shape(step.x)
    apart, axes = step.write.ints([-1, groups, shape[1] // groups, *shape[2:]]), range(2, len(shape) + 1)
    x, gradient = (step.write("Reshape", tensor, apart) for tensor in (step.x, step.gradient))
    gradient = _scaled_by(step.with_gradient(gradient), [1, groups, -1, *[1] * (len(shape) - 2)])
    found = _standardised(step, x, gradient, axes, step.elements(step.x, range(1, len(shape))) // groups)
    return [step.as_large_as(found, step.x)]


def _layer(centred: bool) -> Backward:
    def gradients(step: Step) -> Gradients:
        if any(step.gradients[1:]):
            raise Unsupported("its further outputs")
        shape = step.shape(step.x)
        axis = step.attribute("axis", -1) % len(shape)
        gradient = _scaled_by(step, step.shape(step.node.inputs[1]))
        axes = range(axis, len(shape))
        return [_standardised(step, step.x, gradient, axes, step.elements(step.x, axes), centred)]

    return gradients


def _local_response(step: Step) -> Gradients:
    """y = x d^-b, d = k + a / n * (sum of x² over n channels around):
    g d^-b - 2 a b / n * x * (sum of g x d^(-b - 1) over the n channels that look at this one)."""
    write, size = step.write, step.attribute("size")
    alpha, beta, bias = (step.attribute(*pair) for pair in (("alpha", 1e-4), ("beta", 0.75), ("bias", 1.0)))
    shape = step.shape(step.x)
    before, behind = (size - 1) // 2, size - 1 - (size - 1) // 2

    def windows(tensor: str, first: int, last: int) -> str:
        """Means over channels, zeros beyond the first and last."""
        flat = write("Reshape", tensor, write.ints([-1, 1, shape[1], int(np.prod(shape[2:]))]))
        mean = write("AveragePool", flat, kernel_shape=[size, 1], pads=[first, 0, last, 0], count_include_pad=1)
        return write("Reshape", mean, write.ints([-1, *shape[1:]]))

    squares = windows(write("Mul", step.x, step.x), before, behind)
    root = write("Add", step.scaled(squares, alpha), write.number(bias))
    power = write("Pow", root, write.number(-beta))
    direct = write("Mul", step.gradient, power)
    across = windows(write("Div", write("Mul", direct, step.x), root), behind, before)
    return [write("Sub", direct, step.scaled(write("Mul", step.x, across), 2 * alpha * beta))]


def _unit_length(step: Step) -> Gradients:
    """y = x / |x|: (g - d|x| * sum of g y) / |x|, where what is 0 throughout is divided by 1, as torch has it."""
    write, along, absolute = step.write, step.write.ints([step.attribute("axis", -1)]), step.attribute("p", 2) == 1
    powers = write("Abs", step.x) if absolute else write("Mul", step.x, step.x)
    total = write("ReduceSum", powers, along, keepdims=1)
    length = total if absolute else write("Sqrt", total)
    length = write("Where", write("Greater", length, write.number(0.0)), length, write.number(1.0))
    slope = write("Sign", step.x) if absolute else step.y
    shared = write("ReduceSum", write("Mul", step.gradient, step.y), along, keepdims=1)
    return [write("Div", write("Sub", step.gradient, write("Mul", slope, shared)), length)]


def _softmax(step: Step) -> Gradients:
    """y (g - sum of g y)."""
    weighted = step.write("Mul", step.gradient, step.y)
    total = step.write("ReduceSum", weighted, _softmax_axis(step), keepdims=1)
    return [step.write("Sub", weighted, step.write("Mul", step.y, total))]


def _log_softmax(step: Step) -> Gradients:
    total = step.write("ReduceSum", step.gradient, _softmax_axis(step), keepdims=1)
    return [step.write("Sub", step.gradient, step.write("Mul", step.write("Exp", step.y), total))]


def _softmax_axis(step: Step) -> str:
    return step.write.ints([step.attribute("axis", -1)])


TABLE: dict[str, Backward] = {
    "BatchNormalization": _batch,
    "InstanceNormalization": _instance,
    "GroupNormalization": _group,
    "LayerNormalization": _layer(centred=True),
    "RMSNormalization": _layer(centred=False),
    "LpNormalization": _unit_length,
    "LRN": _local_response,
    "Softmax": _softmax,
    "LogSoftmax": _log_softmax,
}
