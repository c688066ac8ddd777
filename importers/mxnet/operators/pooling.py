"""Pooling, with the window arithmetic of MXNet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..operator_writer import OperatorWriter


@dataclass(frozen=True)
class Window:
    """A pooling window along each spatial axis."""

    kernel: list[int]
    stride: list[int]
    pad: list[int]
    convention: str  # valid, full or same

    def count(self, axis: int, size: int) -> int:
        """How many windows there are."""
        kernel, stride, pad = self.kernel[axis], self.stride[axis], self.pad[axis]
        if self.convention == "same":
            return math.ceil((size + 2 * pad) / stride)
        steps = (size + 2 * pad - kernel) / stride
        return (math.ceil(steps) if self.convention == "full" else math.floor(steps)) + 1

    def ends(self, sizes: Sequence[int]) -> list[int]:
        """Padding at the end of each axis that makes every window a whole one."""
        return [
            max((self.count(axis, size) - 1) * self.stride[axis] + self.kernel[axis] - size - self.pad[axis], 0)
            for axis, size in enumerate(sizes)
        ]


def pooling(writer: OperatorWriter) -> None:
    """Maximum, average, sum or norm of a window, or of the whole image."""
    writer.require_channels_first()
    kind = writer.one_of("pool_type", ("max", "avg", "sum", "lp"))
    if len(writer.shape()) < 3:
        raise writer.error(f"expected an image, found an input of shape {list(writer.shape())}")
    if writer.attributes.flag("global_pool"):
        _pool_globally(writer, kind)
        return
    axes = len(writer.shape()) - 2
    window = Window(
        writer.per_axis("kernel", axes, 0),
        writer.per_axis("stride", axes, 1),
        writer.per_axis("pad", axes, 0),
        writer.one_of("pooling_convention", ("valid", "full", "same")),
    )
    if min(*window.kernel, *window.stride) < 1:
        raise writer.error("kernel and stride have to be at least 1")
    attributes = _rounded(writer, window)
    if kind == "max":
        writer.emit("MaxPool", [writer.input()], **attributes)
    elif kind == "avg":
        counts = writer.attributes.flag("count_include_pad", True) and any(window.pad)
        writer.emit("AveragePool", [writer.input()], count_include_pad=int(counts), **attributes)
    elif attributes.pop("ceil_mode"):
        raise writer.error(f"pool_type {kind} with a window that overhangs the image is not supported")
    elif kind == "sum":
        mean = writer.add("mean", "AveragePool", [writer.input()], count_include_pad=1, **attributes)
        writer.emit("Mul", [mean, writer.constant("places", math.prod(window.kernel))])
    else:
        writer.emit("LpPool", [writer.input()], p=writer.attributes.whole("p_value", 2), **attributes)


def _rounded(writer: OperatorWriter, window: Window) -> dict[str, Any]:
    """The window's ONNX attributes, with ceil_mode where a window overhangs the image.

    Raises InputError when a window lies wholly outside: it would have no maximum.
    """
    attributes = {"kernel_shape": window.kernel, "strides": window.stride}
    dims = writer.shape()[2:]
    if window.convention == "valid":
        return {**attributes, "pads": window.pad * 2, "ceil_mode": 0}
    if window.convention == "full" and not all(isinstance(dim, int) for dim in dims):
        return {**attributes, "pads": window.pad * 2, "ceil_mode": 1}
    sizes = writer.sizes(dims)
    ends = window.ends(sizes)
    if ends == window.pad:
        return {**attributes, "pads": window.pad * 2, "ceil_mode": 0}
    if any(end >= kernel for end, kernel in zip(ends, window.kernel, strict=True)):
        raise writer.error(f"its last window lies outside its input of {'x'.join(map(str, sizes))}")
    if window.convention == "same":
        if writer.attributes.text("pool_type", "max") != "max":
            raise writer.error("pooling_convention same is supported for pool_type max alone")
        return {**attributes, "pads": [*window.pad, *ends], "ceil_mode": 0}
    return {**attributes, "pads": window.pad * 2, "ceil_mode": 1}


def _pool_globally(writer: OperatorWriter, kind: str) -> None:
    if kind == "max":
        writer.emit("GlobalMaxPool", [writer.input()])
    elif kind == "avg":
        writer.emit("GlobalAveragePool", [writer.input()])
    elif kind == "sum":
        axes = writer.ints("axes", range(2, len(writer.shape())))
        writer.emit("ReduceSum", [writer.input(), axes])
    else:
        writer.emit("GlobalLpPool", [writer.input()], p=writer.attributes.whole("p_value", 2))


def adaptive_average(writer: OperatorWriter) -> None:
    """The average of as many places as the output has, which may overlap; a matrix for each axis."""
    target = list(writer.attributes.wholes("output_size")) or [1]
    target = target * 2 if len(target) == 1 else target
    if target == [1, 1]:
        writer.emit("GlobalAveragePool", [writer.input()])
        return
    if len(target) != 2 or min(target) < 1 or len(writer.shape()) != 4:
        raise writer.error(f"output_size is {target}; expected two sizes of an image")
    height, width = writer.sizes(writer.shape()[2:])
    columns = writer.constant("columns", _averages(width, target[1]).T)
    narrow = writer.add("narrow", "MatMul", [writer.input(), columns])
    writer.emit("MatMul", [writer.constant("rows", _averages(height, target[0])), narrow])


def _averages(size: int, count: int) -> np.ndarray:  # [count, size]
    """Each row averages from floor(i * size / count) to ceil((i + 1) * size / count)."""
    matrix = np.zeros((count, size))
    for place in range(count):
        start, end = place * size // count, -(-(place + 1) * size // count)
        matrix[place, start:end] = 1 / (end - start)
    return matrix


OPERATORS = {
    "Pooling": pooling,
    "Pooling_v1": pooling,
    "_contrib_AdaptiveAvgPooling2D": adaptive_average,
}
