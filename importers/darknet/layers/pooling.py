"""Pooling, with Darknet's windows: `padding` counts both sides together, the odd place lies behind."""

from __future__ import annotations

from typing import Any

from ..layer_writer import LayerWriter


def maxpool(layer: LayerWriter) -> str:
    """The largest of each window; places outside the image do not count."""
    value = layer.map(layer.input)
    return layer.emit("MaxPool", [value], **_window(layer, value))


def local_avgpool(layer: LayerWriter) -> str:
    """The mean of each window; places outside the image do not count."""
    value = layer.map(layer.input)
    return layer.emit("AveragePool", [value], count_include_pad=0, **_window(layer, value))


def _window(layer: LayerWriter, value: str) -> dict[str, Any]:
    """The window in ONNX's words. Raises InputError where one could lie wholly outside the image."""
    stride = layer.positive("stride")
    side = layer.positive("size", stride)
    padding = layer.section.integer("padding", side - 1)
    before, behind = padding // 2, padding - padding // 2
    if not 0 <= behind < side:
        raise layer.error(f"padding expects a number from 0 to {2 * side - 2}, found {padding}")
    return {
        "kernel_shape": [side, side],
        "strides": [layer.positive("stride_y", stride), layer.positive("stride_x", stride)],
        "pads": [before, before, behind, behind],
    }


def avgpool(layer: LayerWriter) -> str:
    """The mean of each channel."""
    return layer.emit("GlobalAveragePool", [layer.map(layer.input)])


LAYERS = {"avgpool": avgpool, "local_avgpool": local_avgpool, "maxpool": maxpool}
