"""Pools. A maximum's gradient goes to the place that it came from: the deconvnet's unpooling with switches."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..step import Backward, Gradients, Step, Unsupported
from .convolution import geometry, padded
from .indexing import added, places_in_one


def _maxima(step: Step) -> Gradients:
    """Scattered into rows of zeros, one an image; windows that share a maximum add up."""
    if step.attribute("storage_order", 0):
        raise Unsupported("storage_order")
    shape, made = step.shape(step.x), step.shape(step.y)
    size, count = math.prod(shape[1:]), math.prod(made[1:])
    places = places_in_one(step, step.switches(step.node), count, size)
    scattered = added(step, step.write("Reshape", step.gradient, step.write.ints([-1, count])), places, size)
    return [step.write("Reshape", scattered, step.write.ints([-1, *shape[1:]]))]


def _means(step: Step) -> Gradients:
    x, made = step.shape(step.x), step.shape(step.y)
    at = geometry(step, x[2:], step.attribute("kernel_shape"))
    if any(dilation != 1 for dilation in at.dilations):
        raise Unsupported("dilations")
    counts = _counts(step, x[2:], made[2:], at.kernel, at.strides, at.begins, at.ends)
    share = step.write("Div", step.gradient, step.write.constant(counts))
    wide = _apart(step, share, made, at.strides)
    spread = [(count - 1) * stride + 1 for count, stride in zip(made[2:], at.strides, strict=True)]
    begins = [size - 1 - begin for size, begin in zip(at.kernel, at.begins, strict=True)]
    sizes = zip(x[2:], spread, begins, at.kernel, strict=True)
    ends = [size - (count + begin - taps + 1) for size, count, begin, taps in sizes]
    # Places behind the last window are added later: onnxruntime makes pads a part of the pool, where they must be less
    # than its window.
    near = [min(end, taps - 1) for end, taps in zip(ends, at.kernel, strict=True)]
    around = padded(step, wide, begins, near)
    mean = step.write("AveragePool", around, kernel_shape=at.kernel, strides=[1] * len(at.kernel))
    summed = step.scaled(mean, float(math.prod(at.kernel)))
    return [padded(step, summed, [0] * len(ends), [end - most for end, most in zip(ends, near, strict=True)])]


def _counts(
    step: Step,
    x: Sequence[int],
    made: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    begins: Sequence[int],
    ends: Sequence[int],
) -> np.ndarray:
    """How many places each window counts: [1, 1, …]."""
    with_padding, found = bool(step.attribute("count_include_pad", 0)), np.ones((), np.float32)
    for size, count, taps, stride, begin, end in zip(x, made, kernel, strides, begins, ends, strict=True):
        first = np.arange(count) * stride - begin
        low, high = (-begin, size + end) if with_padding else (0, size)
        along = np.minimum(first + taps, high) - np.maximum(first, low)
        found = found[..., None] * along.astype(np.float32)
    return found[None, None]


def _apart(step: Step, tensor: str, shape: Sequence[int], strides: Sequence[int]) -> str:
    """Zeros between the places, stride - 1 of them."""
    if all(stride == 1 for stride in strides):
        return tensor
    write, rank = step.write, len(strides)
    alone = [size for place in shape[2:] for size in (place, 1)]
    cells = write("Reshape", tensor, write.ints([-1, shape[1], *alone]))
    ends = [0, 0, *(end for stride in strides for end in (0, stride - 1))]
    filled = write("Pad", cells, write.ints([0] * (2 + 2 * rank) + ends))
    sizes = [size * stride for size, stride in zip(shape[2:], strides, strict=True)]
    wide = write("Reshape", filled, write.ints([-1, shape[1], *sizes]))
    return padded(step, wide, [0] * rank, [1 - stride for stride in strides])


def _global_mean(step: Step) -> Gradients:
    axes = range(2, len(step.shape(step.x)))
    return [step.spread(step.scaled(step.gradient, 1 / step.elements(step.x, axes)), step.x)]


def _global_maximum(step: Step) -> Gradients:
    """Equal ones share it."""
    write, axes = step.write, step.write.ints(range(2, len(step.shape(step.x))))
    ties = write("Cast", write("Equal", step.x, step.y), to=1)  # float32
    share = write("Div", step.gradient, write("ReduceSum", ties, axes, keepdims=1))
    return [write("Mul", ties, share)]


TABLE: dict[str, Backward] = {
    "MaxPool": _maxima,
    "AveragePool": _means,
    "GlobalAveragePool": _global_mean,
    "GlobalMaxPool": _global_maximum,
}
