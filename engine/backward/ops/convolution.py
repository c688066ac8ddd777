"""Convolutions, transposed where the forward one is plain and plain where that is transposed.

A plain convolution by the turned weights is faster than a transposed one on onnxruntime, so it is used where strides
allow. Weights stay as they are in the file; what turns them is folded away when onnxruntime loads the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...structure.window_pads import window_pads
from ..step import Backward, Gradients, Step, Unsupported


@dataclass(frozen=True)
class Geometry:
    """Of a convolution, along its axes of places."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    begins: tuple[int, ...]  # padding
    ends: tuple[int, ...]
    group: int

    @property
    def reach(self) -> tuple[int, ...]:
        return tuple(dilation * (size - 1) for dilation, size in zip(self.dilations, self.kernel, strict=True))

    def attributes(self) -> dict[str, Any]:
        return {
            "strides": self.strides,
            "dilations": self.dilations,
            "pads": [*self.begins, *self.ends],
            "group": self.group,
        }


def geometry(step: Step, places: Sequence[int], kernel: Sequence[int]) -> Geometry:
    """Of a node that slides over so many places."""
    ones = [1] * len(kernel)
    strides, dilations = (step.attribute(name) or ones for name in ("strides", "dilations"))
    auto = step.attribute("auto_pad", "NOTSET")
    pads = window_pads(places, kernel, strides, dilations, step.attribute("pads"), auto)
    begins, ends = zip(*pads, strict=True)
    return Geometry(tuple(kernel), tuple(strides), tuple(dilations), begins, ends, step.attribute("group", 1))


def _convolution(step: Step) -> Gradients:
    if any(step.wanted[1:]):
        raise Unsupported("weights that depend on the image")
    x, made = step.shape(step.x)[2:], step.shape(step.y)[2:]
    weight = step.node.inputs[1]
    at = geometry(step, x, step.shape(weight)[2:])
    taken = [reach - begin for reach, begin in zip(at.reach, at.begins, strict=True)]
    if all(stride == 1 for stride in at.strides) and min(taken) >= 0:
        sizes = zip(x, made, taken, at.reach, strict=True)
        ends = [size - (count + begin - reach) for size, count, begin, reach in sizes]
        if min(ends) >= 0:
            turned = _turned(step, weight, at)
            return [
                step.write("Conv", step.gradient, turned, dilations=at.dilations, group=at.group, pads=[*taken, *ends])
            ]
    return [_transposed(step, step.gradient, weight, at, x, made)]


def _transposed(step: Step, gradient: str, weight: str, at: Geometry, x: Sequence[int], made: Sequence[int]) -> str:
    """By ONNX's own operator; what lies behind the last window is padded with zeros."""
    whole = [
        (count - 1) * stride + reach + 1 - begin
        for count, stride, reach, begin in zip(made, at.strides, at.reach, at.begins, strict=True)
    ]
    cut = [max(0, size - most) for size, most in zip(whole, x, strict=True)]
    missing = [max(0, most - size) for size, most in zip(whole, x, strict=True)]
    y = step.write(
        "ConvTranspose",
        gradient,
        weight,
        strides=at.strides,
        dilations=at.dilations,
        group=at.group,
        pads=[*at.begins, *cut],
    )
    return padded(step, y, [0] * len(x), missing)


def padded(step: Step, tensor: str, begins: Sequence[int], ends: Sequence[int]) -> str:
    """Zeros around the places; below 0: places cut off."""
    if not any((*begins, *ends)):
        return tensor
    return step.write("Pad", tensor, step.write.ints([0, 0, *begins, 0, 0, *ends]))


def _turned(step: Step, weight: str, at: Geometry) -> str:
    """[M, C / groups, …] -> [C, M / groups, …], each kernel from its end."""
    write, rank = step.write, len(at.kernel)
    outputs, inputs = step.shape(weight)[:2]
    if max(at.kernel) > 1:
        axes, most = range(2, 2 + rank), np.iinfo(np.int64)
        begin, end, back = ([value] * rank for value in (-1, most.min, -1))
        weight = write("Slice", weight, *(write.ints(values) for values in (begin, end, list(axes), back)))
    places = list(range(2, 2 + rank))
    if at.group == 1:
        return write("Transpose", weight, perm=[1, 0, *places])
    if at.group == outputs and inputs == 1:
        return weight
    apart = write("Reshape", weight, write.ints([at.group, outputs // at.group, inputs, *at.kernel]))
    swapped = write("Transpose", apart, perm=[0, 2, 1, *(axis + 1 for axis in places)])
    return write("Reshape", swapped, write.ints([at.group * inputs, outputs // at.group, *at.kernel]))


def _of_transposed(step: Step) -> Gradients:
    """A plain convolution with the same weights."""
    if any(step.wanted[1:]):
        raise Unsupported("weights that depend on the image")
    x, made, weight = step.shape(step.x)[2:], step.shape(step.y)[2:], step.node.inputs[1]
    kernel = step.shape(weight)[2:]
    ones = [1] * len(kernel)
    strides, dilations = (step.attribute(name) or ones for name in ("strides", "dilations"))
    auto, pads = step.attribute("auto_pad", "NOTSET"), step.attribute("pads") or [0] * 2 * len(kernel)
    if auto not in ("NOTSET", "VALID") or step.attribute("output_shape"):
        raise Unsupported("auto_pad and output_shape")
    begins = pads[: len(kernel)]
    needed = [
        (size - 1) * stride + dilation * (taps - 1) + 1 - begin - count
        for size, stride, dilation, taps, begin, count in zip(x, strides, dilations, kernel, begins, made, strict=True)
    ]
    around = padded(step, step.gradient, begins, needed)
    return [step.write("Conv", around, weight, strides=strides, dilations=dilations, group=step.attribute("group", 1))]


TABLE: dict[str, Backward] = {"Conv": _convolution, "ConvTranspose": _of_transposed}
