"""Pooling over windows, and over everything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from onnx import TensorProto

from ..layer_writer import LayerWriter
from .windows import window


def _pooling(op: str, axes: int, **attributes: Any) -> Callable[[LayerWriter], None]:
    def write(layer: LayerWriter) -> None:
        x = layer.spatial()
        kernel = layer.per_axis("pool_size", axes, 2)
        strides = layer.per_axis("strides", axes) if layer.option("strides") is not None else kernel
        layer.emit(op, [x], **window(layer, layer.graph.shape(x)[2:], kernel, strides), **attributes)

    return write


def _global_pooling(op: str) -> Callable[[LayerWriter], None]:
    def write(layer: LayerWriter) -> None:
        mask = layer.mask() if layer.type == "GlobalAveragePooling1D" else None
        if mask is not None:
            _mean_of_steps(layer, mask)
            return
        x = layer.spatial()
        if layer.flag("keepdims"):
            layer.emit(op, [x])
        else:
            layer.emit("Flatten", [layer.add("pooled", op, [x])], axis=1)

    return write


def _mean_of_steps(layer: LayerWriter, mask: str) -> None:
    """The mean of those steps of a sequence that count."""
    x, last = layer.source(), layer.channels_last
    share = layer.add("mask_floats", "Cast", [mask], to=TensorProto.FLOAT)
    wide = layer.add("mask_wide", "Unsqueeze", [share, layer.ints("mask_axes", [2 if last else 1])])
    keep, steps = int(layer.flag("keepdims")), layer.ints("steps", [1 if last else 2])
    kept = layer.add("kept", "Mul", [x, wide])
    total = layer.add("sum", "ReduceSum", [kept, steps], keepdims=keep)
    layer.emit("Div", [total, layer.add("count", "ReduceSum", [wide, steps], keepdims=keep)])


# The zeros of padding are no part of a mean.
LAYERS = {
    **{f"MaxPooling{axes}D": _pooling("MaxPool", axes) for axes in (1, 2, 3)},
    **{f"AveragePooling{axes}D": _pooling("AveragePool", axes, count_include_pad=0) for axes in (1, 2, 3)},
    **{f"GlobalMaxPooling{axes}D": _global_pooling("GlobalMaxPool") for axes in (1, 2, 3)},
    **{f"GlobalAveragePooling{axes}D": _global_pooling("GlobalAveragePool") for axes in (1, 2, 3)},
}
