"""Pooling over windows, and over everything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..layer_writer import LayerWriter
from .windows import window


def _pooling(op: str, axes: int, **attributes: Any) -> Callable[[LayerWriter], None]:
    def write(layer: LayerWriter) -> None:
        x = layer.spatial()
        kernel = layer.per_axis("pool_size", axes, 2)
        strides = layer.per_axis("strides", axes) if layer.option("strides") is not None else kernel
        options = window(layer, layer.graph.shape(x)[2:], kernel, strides)
        if x in layer.scope.padded:
            # onnxruntime would make one node of the two, whose padding is no zeros any more; not with `auto_pad`.
            options["auto_pad"] = "SAME_UPPER" if any(options.pop("pads", ())) else options.get("auto_pad", "VALID")
        layer.emit(op, [x], **options, **attributes)

    return write


def _global_pooling(op: str) -> Callable[[LayerWriter], None]:
    def write(layer: LayerWriter) -> None:
        x = layer.spatial()
        if layer.flag("keepdims"):
            layer.emit(op, [x])
        else:
            layer.emit("Flatten", [layer.add("pooled", op, [x])], axis=1)

    return write


# The zeros of padding are no part of a mean.
LAYERS = {
    **{f"MaxPooling{axes}D": _pooling("MaxPool", axes) for axes in (1, 2, 3)},
    **{f"AveragePooling{axes}D": _pooling("AveragePool", axes, count_include_pad=0) for axes in (1, 2, 3)},
    **{f"GlobalMaxPooling{axes}D": _global_pooling("GlobalMaxPool") for axes in (1, 2, 3)},
    **{f"GlobalAveragePooling{axes}D": _global_pooling("GlobalAveragePool") for axes in (1, 2, 3)},
}
