"""Windows of an image: the largest or the mean of each."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...graph_builder import Dim
from ..operator_writer import OperatorWriter
from .convolution import FIRST, borders

_KINDS = {"max": "MaxPool", "avg": "AveragePool"}
_MOST_WINDOWS = 64  # of an adaptive pooling, a side, where they are not all of one size


def pool(op: OperatorWriter) -> None:
    """The kind is an attribute."""
    op.choice("data_format", "NCHW", *FIRST)
    kind = op.choice("pooling_type", "", *_KINDS)
    if kind == "max" and op.attribute("adaptive", False):
        raise op.error(
            "adaptive maxima are supported as max_pool2d_with_index, as PaddlePaddle's own layers write them"
        )
    _pool(op, kind)


def max_with_index(op: OperatorWriter) -> None:
    """The largest of each window; where it was is not supported."""
    _pool(op, "max")


def _pool(op: OperatorWriter, kind: str) -> None:
    """Of the whole image, of a number of windows ("adaptive"), or of windows of a size."""
    sides, kernel = list(op.shape()[2:]), op.ints("ksize")
    whole, adaptive = op.attribute("global_pooling", False), op.attribute("adaptive", False)
    if not whole and (len(kernel) != len(sides) or min(kernel, default=0) < 1):
        raise op.error(f"its window {kernel} does not fit an input of {len(sides) + 2} dimensions")
    if whole or (adaptive and set(kernel) == {1}):
        op.emit(f"Global{_KINDS[kind]}", [op.tensor()])
    elif adaptive:
        _adaptive(op, kind, op.sizes(sides), kernel)
    else:
        _windows(op, kind, sides, kernel)


def _windows(op: OperatorWriter, kind: str, sides: list[Dim], kernel: list[int]) -> None:
    strides = op.ints("strides", [1] * len(kernel))
    if len(strides) != len(kernel) or min(strides) < 1:
        raise op.error(f"its strides {strides} do not fit {len(kernel)} axes")
    pads = borders(op, sides, kernel, strides)
    attributes: dict[str, Any] = {"auto_pad": "SAME_UPPER"} if pads is None else {"pads": pads}
    if pads is not None and op.attribute("ceil_mode", False):
        _check_last_windows(op, sides, kernel, strides, pads)
        attributes["ceil_mode"] = 1
    if kind == "avg":
        attributes["count_include_pad"] = int(not op.attribute("exclusive", True))
    op.emit(_KINDS[kind], [op.tensor()], kernel_shape=kernel, strides=strides, **attributes)


def _check_last_windows(
    op: OperatorWriter, sides: list[Dim], kernel: list[int], strides: list[int], pads: list[int]
) -> None:
    """Raise InputError where a last window may lie outside of the image: PaddlePaddle has it, ONNX leaves it out."""
    for side, reach, stride, before, behind in zip(
        sides, kernel, strides, pads[: len(sides)], pads[len(sides) :], strict=True
    ):
        if behind + stride <= reach:
            continue
        if not isinstance(side, int):
            raise op.error("whether its last window lies outside of the image depends on sides that are open")
        last = -(-(side + before + behind - reach) // stride) * stride
        if last >= side + before:
            raise op.error("its last window lies outside of the image (ceil_mode), which ONNX does not have")


def _adaptive(op: OperatorWriter, kind: str, sides: list[int], counts: list[int]) -> None:
    """So many windows a side, each from floor(i side / count) to ceil((i + 1) side / count)."""
    if all(side % count == 0 for side, count in zip(sides, counts, strict=True)):
        kernel = [side // count for side, count in zip(sides, counts, strict=True)]
        op.emit(_KINDS[kind], [op.tensor()], kernel_shape=kernel, strides=kernel)
        return
    if max(counts) > _MOST_WINDOWS:
        raise op.error(f"it makes {max(counts)} windows of different sizes a side; at most {_MOST_WINDOWS} are written")
    tensor = op.tensor()
    for axis, (side, count) in enumerate(zip(sides, counts, strict=True), 2):
        starts = np.arange(count) * side // count
        ends = -(-(np.arange(count) + 1) * side // count)
        parts = [_part(op, kind, tensor, axis, int(at), int(end)) for at, end in zip(starts, ends, strict=True)]
        if axis == len(sides) + 1:
            op.emit("Concat", parts, axis=axis)
        else:
            tensor = op.add(f"axis{axis}", "Concat", parts, axis=axis)


def _part(op: OperatorWriter, kind: str, tensor: str, axis: int, start: int, end: int) -> str:
    role = f"axis{axis}/from{start}"
    bounds = [op.int_array(f"{role}/{word}", [at]) for word, at in (("start", start), ("end", end), ("axis", axis))]
    cut = op.add(f"{role}/slice", "Slice", [tensor, *bounds])
    return op.add(role, "ReduceMax" if kind == "max" else "ReduceMean", [cut], axes=[axis], keepdims=1)


OPERATORS = {"pool2d": pool, "pool3d": pool, "max_pool2d_with_index": max_with_index}
