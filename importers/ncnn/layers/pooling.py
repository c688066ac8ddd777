"""Pooling along one, two and three axes: windows, the whole image, or a fixed number of results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from ..layer_writer import LayerWriter
from ..windows import POOLING, Window, same_pads, window

_MAX, _AVERAGE = 0, 1
_FULL, _VALID, _SAME_UPPER, _SAME_LOWER = range(4)
_LARGEST = 1 << 16  # places an axis
_KEPT = -233  # instead of a number of results: as many as enter


def pooling(layer: LayerWriter, axes: int) -> None:
    """The largest or the mean of each window."""
    method = layer.choice(0, {_MAX: "Max", _AVERAGE: "Average"}, "pooling")
    if layer.whole(4):
        pooled = layer.first(f"Global{method}Pool", layer.inputs, then="flat")
        layer.emit("Flatten", [pooled], axis=1)
    elif layer.whole(7):
        _adaptive(layer, axes, method)
    else:
        _windowed(layer, axes, method)


def _windowed(layer: LayerWriter, axes: int, method: str) -> None:
    view = window(layer, axes, POOLING)
    mode = layer.choice(5, {mode: mode for mode in range(4)}, "padding mode")
    around, ceil = _pads(layer, view, mode)
    attributes = {**view.attributes, "ceil_mode": int(ceil)}
    if method == "Average":
        # A window that NCNN lets begin or end in the padding of "SAME" counts all its places.
        counts = layer.whole(6) or mode in (_SAME_UPPER, _SAME_LOWER)
        attributes["count_include_pad"] = int(bool(counts) and bool(any(around)))
    tensor = layer.inputs[0]
    if any(pad >= side for pad, side in zip(around, [*view.kernel, *view.kernel], strict=True)):  # ONNX takes less
        if method == "Average" and not attributes["count_include_pad"]:
            raise layer.error(f"averages nothing where its padding {around} is as large as its window {view.kernel}")
        tensor, around = _padded(layer, method, around), [0] * len(around)
    layer.emit(f"{method}Pool", [tensor], pads=around, **attributes)


def _padded(layer: LayerWriter, method: str, around: list[int]) -> str:
    """The input, padded by a node of its own with what changes no result."""
    axes = len(around) // 2
    places = layer.ints("pads", [0, 0, *around[:axes], 0, 0, *around[axes:]])
    value = layer.constant("pad_value", np.finfo(np.float32).min if method == "Max" else 0)
    return layer.add("padded", "Pad", [layer.inputs[0], places, value])


def _pads(layer: LayerWriter, view: Window, mode: int) -> tuple[list[int], bool]:
    """The padding in ONNX's order, and whether a last window that is not full counts, too.

    Where the sizes are known that window's missing places are padding. Raises InputError where they are not, and the
    window might lie in the padding alone.
    """
    if mode in (_SAME_UPPER, _SAME_LOWER):
        if any((*view.before, *view.after)):
            raise layer.error("it has a padding of its own beside that of its padding mode")
        return same_pads(layer, view, lower=mode == _SAME_LOWER), False
    if min(*view.before, *view.after) < 0:
        raise layer.error(f"padding of {[*view.before, *view.after]} is not known")
    steps = list(zip(layer.blob_shape()[1:], view.kernel, view.stride, view.before, view.after, strict=True))
    if mode == _VALID or all(stride == 1 for stride in view.stride):
        return [*view.before, *view.after], False
    if not all(isinstance(step[0], int) for step in steps):
        if any(stride + after > side for _, side, stride, _, after in steps):
            layer.blob_sizes()
        return [*view.before, *view.after], True
    sides = layer.blob_sizes()[1:]
    tails = [
        -(side + first + last - reach) % stride
        for side, (_, reach, stride, first, last) in zip(sides, steps, strict=True)
    ]
    return [*view.before, *(after + tail for after, tail in zip(view.after, tails, strict=True))], False


def _adaptive(layer: LayerWriter, axes: int, method: str) -> None:
    """As many windows as asked for, that together cover the image."""
    keys = [8, 18, 28][:axes]
    wanted = [layer.whole(key, layer.whole(8)) for key in keys[::-1]]
    if all(count == 1 for count in wanted):
        layer.emit(f"Global{method}Pool", layer.inputs)
        return
    sides = layer.blob_sizes()[1:]
    wanted = [side if count == _KEPT else count for side, count in zip(sides, wanted, strict=True)]
    if not 1 <= min(wanted) <= max(*wanted, *sides) <= _LARGEST:
        raise layer.error(f"cannot make {wanted} results of {sides}")
    if all(side % count == 0 for side, count in zip(sides, wanted, strict=True)):
        kernel = [side // count for side, count in zip(sides, wanted, strict=True)]
        layer.emit(f"{method}Pool", layer.inputs, kernel_shape=kernel, strides=kernel)
        return
    tensor = layer.inputs[0]
    for axis, (side, count) in enumerate(zip(sides, wanted, strict=True), 2):
        tensor = tensor if side == count else _adapted(layer, tensor, axis, _edges(side, count), method)
    layer.emit("Identity", [tensor])


def _edges(side: int, count: int) -> list[tuple[int, int]]:
    """Where each of so many windows begins and ends; they may overlap."""
    return [(side * index // count, -(-side * (index + 1) // count)) for index in range(count)]


def _adapted(layer: LayerWriter, tensor: str, axis: int, edges: Sequence[tuple[int, int]], method: str) -> str:
    """Pool along one axis: gather each window's places, the last one again where it is shorter than others."""
    longest = max(end - start for start, end in edges)
    places = np.array([[min(start + step, end - 1) for step in range(longest)] for start, end in edges])
    gathered = layer.add(
        f"windows{axis}", "Gather", [tensor, layer.constant(f"places{axis}", places, np.int64)], axis=axis
    )
    if method == "Max":
        return layer.add(f"max{axis}", "ReduceMax", [gathered], axes=[axis + 1], keepdims=0)
    shares = np.array([[(start + step < end) / (end - start) for step in range(longest)] for start, end in edges])
    trailing = len(layer.blob_shape()) - axis
    weights = layer.constant(f"shares{axis}", shares.reshape(*shares.shape, *[1] * trailing))
    weighted = layer.add(f"weighted{axis}", "Mul", [gathered, weights])
    axes = layer.ints(f"sum_axes{axis}", [axis + 1])
    return layer.add(f"mean{axis}", "ReduceSum", [weighted, axes], keepdims=0)


LAYERS: dict[str, Callable[[LayerWriter], None]] = {
    "Pooling1D": partial(pooling, axes=1),
    "Pooling": partial(pooling, axes=2),
    "Pooling3D": partial(pooling, axes=3),
}
