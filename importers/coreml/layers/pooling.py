"""Pooling of images and of volumes."""

from __future__ import annotations

from typing import Any

from ...caffe.layers.pooling import Window
from ..layer_writer import LayerWriter
from ..windows import listed, pads, volume, volume_pads
from ..wire_schema import enum_name

_GLOBAL = {"MAX": "GlobalMaxPool", "AVERAGE": "GlobalAveragePool"}
_OPERATORS = {"MAX": "MaxPool", "AVERAGE": "AveragePool", "L2": "LpPool"}


def pooling(layer: LayerWriter) -> None:
    """The largest number, the mean or the root of the squares' sum, of a window or of the whole image."""
    kind = enum_name("PoolingType", layer.param.type)
    if kind not in _OPERATORS:
        raise layer.error(f"expected one of {', '.join(_OPERATORS)}, found {kind}")
    sizes = layer.sizes(layer.images()[2:])
    if layer.param.globalPooling:
        if kind == "L2":
            layer.emit("GlobalLpPool", layer.inputs, p=2)
        else:
            layer.emit(_GLOBAL[kind], layer.inputs)
        return
    kernel, stride = listed(layer, "kernelSize", 3), listed(layer, "stride", 1)
    attributes: dict[str, Any] = {"kernel_shape": kernel, "strides": stride}
    if layer.param.HasField("includeLastPixel"):
        attributes |= _up_to_the_last(layer, Window(kernel, stride, _both_sides(layer), ceil=True), sizes, kind)
    else:
        attributes["pads"] = pads(layer, stride, kernel, sizes)
    if kind == "AVERAGE":
        attributes["count_include_pad"] = int(not layer.param.avgPoolExcludePadding)
    elif kind == "L2":
        attributes["p"] = 2
    layer.emit(_OPERATORS[kind], layer.inputs, **attributes)


def _both_sides(layer: LayerWriter) -> list[int]:
    amounts = [int(amount) for amount in layer.param.includeLastPixel.paddingAmounts]
    if len(amounts) not in (0, 2):
        raise layer.error(f"expected amounts for two axes, found {len(amounts)}")
    return amounts or [0, 0]


def _up_to_the_last(layer: LayerWriter, window: Window, sizes: tuple[int, ...], kind: str) -> dict[str, Any]:
    """Caffe's windows: they go on until every pixel is in one."""
    if kind == "L2" and not window.is_exact(sizes):
        raise layer.error("L2 pooling whose last window overhangs the image is not supported")
    counts = zip(window.outputs(sizes), window.stride, sizes, window.pad, strict=True)
    if any((count - 1) * stride >= size + pad for count, stride, size, pad in counts):
        raise layer.error(f"the last window lies outside its input of {'x'.join(map(str, sizes))}")
    rounding = {} if window.is_exact(sizes) else {"ceil_mode": 1}
    return {"pads": [*window.pad, *window.pad], **rounding}


def pooling_3d(layer: LayerWriter) -> None:
    """Of a volume's windows."""
    sizes = layer.sizes(layer.ranked(5, "[N, C, D, H, W]")[2:])
    kernel, stride = volume(layer, "kernel"), volume(layer, "stride")
    attributes: dict[str, Any] = {"kernel_shape": kernel, "strides": stride}
    attributes["pads"] = volume_pads(layer, stride, kernel, sizes)
    if enum_name("PoolingType3D", layer.param.type) == "MAX":
        layer.emit("MaxPool", layer.inputs, **attributes)
    else:
        included = int(not layer.param.countExcludePadding)
        layer.emit("AveragePool", layer.inputs, count_include_pad=included, **attributes)


def global_pooling_3d(layer: LayerWriter) -> None:
    """Of the whole volume."""
    layer.ranked(5, "[N, C, D, H, W]")
    layer.emit(_GLOBAL[enum_name("PoolingType3D", layer.param.type)], layer.inputs)


LAYERS = {"pooling": pooling, "pooling3d": pooling_3d, "globalPooling3d": global_pooling_3d}
