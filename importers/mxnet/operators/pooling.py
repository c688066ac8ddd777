"""Pooling, with the window arithmetic of MXNet."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..operator_writer import OperatorWriter

_LARGEST_MATRIX = 1 << 22  # numbers


def pooling(writer: OperatorWriter) -> None:
    """Maximum, average, sum or norm of a window, or of the whole image."""
    writer.require_channels_first()
    kind = writer.one_of("pool_type", ("max", "avg", "sum", "lp"))
    if kind == "lp":
        power = writer.attributes.whole("p_value")
        if power not in (1, 2):
            raise writer.error(f"p_value {power} is not supported; expected 1 or 2")
        kind = "sum" if power == 1 else kind  # MXNet adds up the numbers as they are, not their sizes
    if len(writer.shape()) < 3:
        raise writer.error(f"expected an image, found an input of shape {list(writer.shape())}")
    if writer.attributes.flag("global_pool"):
        _pool_globally(writer, kind)
        return
    attributes = _window(writer)
    if kind == "max":
        writer.emit("MaxPool", [writer.input()], **attributes)
    elif kind == "avg":
        counts = writer.attributes.flag("count_include_pad", True) and any(attributes["pads"])
        writer.emit("AveragePool", [writer.input()], count_include_pad=int(counts), **attributes)
    elif attributes.pop("ceil_mode"):
        raise writer.error(f"pool_type {kind} with a window that overhangs the image is not supported")
    elif kind == "sum":
        mean = writer.add("mean", "AveragePool", [writer.input()], count_include_pad=1, **attributes)
        writer.emit("Mul", [mean, writer.constant("places", math.prod(attributes["kernel_shape"]))])
    else:
        writer.emit("LpPool", [writer.input()], p=2, **attributes)


def _window(writer: OperatorWriter) -> dict[str, Any]:
    """The window's ONNX attributes, with ceil_mode where a window may overhang the image.

    Raises InputError when a window lies wholly outside: it would have no maximum.
    """
    axes = len(writer.shape()) - 2
    kernels, strides, pads = (writer.per_axis(name, axes, least) for name, least in _SIZES.items())
    if min(*kernels, *strides) < 1:
        raise writer.error("kernel and stride have to be at least 1")
    attributes = {"kernel_shape": kernels, "strides": strides, "pads": pads * 2}
    full = writer.one_of("pooling_convention", ("valid", "full")) == "full"
    dims = writer.shape()[2:]
    for side, kernel, pad in zip(dims, kernels, pads, strict=True):
        if pad >= kernel or (isinstance(side, int) and side + 2 * pad < kernel):
            raise writer.error(f"its window {kernels} with padding {pads} does not fit its input {list(dims)}")
    if not full or not all(isinstance(dim, int) for dim in dims):
        return {**attributes, "ceil_mode": int(full)}
    sizes = writer.sizes(dims)
    behind = [  # how far the last window reaches over the padded image
        -(side + 2 * pad - kernel) % stride
        for side, kernel, stride, pad in zip(sizes, kernels, strides, pads, strict=True)
    ]
    if any(pad + over >= kernel for kernel, pad, over in zip(kernels, pads, behind, strict=True)):
        raise writer.error(f"its last window lies outside its input of {'x'.join(map(str, sizes))}")
    return {**attributes, "ceil_mode": int(any(behind))}


_SIZES = {"kernel": 0, "stride": 1, "pad": 0}  # an attribute -> what it is where the node does not say


def _pool_globally(writer: OperatorWriter, kind: str) -> None:
    if kind == "max":
        writer.emit("GlobalMaxPool", [writer.input()])
    elif kind == "avg":
        writer.emit("GlobalAveragePool", [writer.input()])
    elif kind == "sum":
        axes = writer.ints("axes", range(2, len(writer.shape())))
        writer.emit("ReduceSum", [writer.input(), axes])
    else:
        writer.emit("GlobalLpPool", [writer.input()], p=2)


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
    if max(height * target[0], width * target[1]) > _LARGEST_MATRIX:
        raise writer.error(f"output_size is {target} for an image of {height}x{width}; expected smaller ones")
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
