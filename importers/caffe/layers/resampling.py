"""Layers that change the image size: interpolation, and unpooling by the mask of an earlier pooling."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...graph_builder import Dim
from ..layer_writer import LayerWriter
from ..wire_schema import enum_name
from .pooling import window_of


def interp(layer: LayerWriter) -> None:
    """Bilinear to a size, or by shrink and zoom factors; corner pixels stay in the corners."""
    param = layer.param("interp_param")
    value, sizes = layer.inputs[0], list(layer.sizes(layer.shape()[2:]))
    begin, end = -param.pad_beg, -param.pad_end
    if min(begin, end) < 0:
        raise layer.error("pads its input; only cropping (pad_beg and pad_end of 0 and below) is defined")
    if begin or end:
        ends = [size - end for size in sizes]
        sizes = [size - begin - end for size in sizes]
        cuts = (layer.ints("starts", [begin] * 2), layer.ints("ends", ends), layer.ints("axes", [2, 3]))
        value = layer.add("cropped", "Slice", [value, *cuts])
    target = _interp_sizes(layer, sizes)
    _resize(layer, value, target, mode="linear", coordinate_transformation_mode="align_corners")


def _interp_sizes(layer: LayerWriter, sizes: list[int]) -> list[int]:
    param = layer.param("interp_param")
    if len(layer.inputs) > 1:
        return list(layer.sizes(layer.shape(1)[2:]))
    if not (param.HasField("shrink_factor") or param.HasField("zoom_factor")):
        if not (param.height and param.width):
            raise layer.error("neither height and width nor a factor is given")
        return [param.height, param.width]
    shrunk = [(size - 1) // param.shrink_factor + 1 for size in sizes]
    return [size + (size - 1) * (param.zoom_factor - 1) for size in shrunk]


def _resize(layer: LayerWriter, value: str, target: list[int], **attributes: Any) -> None:
    """Resize the two image axes; opset 17 wants the sizes of all four, of which the batch may be dynamic."""
    shape: list[Dim] = [*layer.graph.shape(value)[:2], *target]
    if all(isinstance(dim, int) for dim in shape):
        sizes = layer.ints("sizes", layer.sizes(shape))
    else:
        kept = layer.add("kept_sizes", "Shape", [value], end=2)
        sizes = layer.add("sizes", "Concat", [kept, layer.ints("image_sizes", target)], axis=0)
    layer.emit("Resize", [value, "", "", sizes], shape=shape, **attributes)


def upsample(layer: LayerWriter) -> None:
    """SegNet's: numbers put back where the mask of maxima says. Without a mask: each pixel repeated."""
    param = layer.param("upsample_param")
    sizes = layer.sizes(layer.shape()[2:])
    factors = [param.scale_h, param.scale_w] if param.HasField("scale_h") else [param.scale] * 2
    trims = (param.pad_out_h, param.pad_out_w)
    target = [size * factor - trim for size, factor, trim in zip(sizes, factors, trims, strict=True)]
    if param.upsample_h and param.upsample_w:
        target = [param.upsample_h, param.upsample_w]
    if len(layer.inputs) > 1:
        _unpool(layer, factors, target)
    else:
        scales = layer.constant("scales", np.array([1, 1, *factors]))
        inputs = [layer.inputs[0], "", scales]
        layer.emit("Resize", inputs, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")


def unpooling(layer: LayerWriter) -> None:
    """The reverse of a max pooling, by its mask (Noh et al. 2015)."""
    param = layer.param("unpooling_param")
    if enum_name("PoolMethod", param.unpool) != "MAX" or len(layer.inputs) < 2:
        raise layer.error("expected unpool: MAX with the mask of a pooling layer as its second input")
    sizes = layer.sizes(layer.shape()[2:])
    if param.HasField("scale"):
        stride = [param.scale] * 2
        target = [size * param.scale for size in sizes]
    else:
        window = window_of(layer, param)
        stride = window.stride
        steps = zip(sizes, window.stride, window.kernel, window.pad, strict=True)
        target = [(size - 1) * step + kernel - 2 * pad for size, step, kernel, pad in steps]
    given = (param.output_h or param.unpool_h, param.output_w or param.unpool_w)
    if param.unpool_size:
        given = (param.unpool_size, param.unpool_size)
    _unpool(layer, stride, list(given) if all(given) else target)


def _unpool(layer: LayerWriter, stride: list[int], target: list[int]) -> None:
    """MaxUnpool to exactly the target: where windows overhang it, they are trimmed; where they fall short, enlarged."""
    indices = layer.masks.get(layer.inputs[1])
    if indices is None:
        raise layer.error("its mask must be the second top of a MAX pooling layer")
    sizes = layer.sizes(layer.shape()[2:])
    remaining = [total - (size - 1) * step for total, size, step in zip(target, sizes, stride, strict=True)]
    kernel = [max(step, left) for step, left in zip(stride, remaining, strict=True)]
    trims = [side - left for side, left in zip(kernel, remaining, strict=True)]
    layer.emit("MaxUnpool", [layer.inputs[0], indices], kernel_shape=kernel, strides=stride, pads=[0, 0, *trims])


LAYERS = {"Interp": interp, "Upsample": upsample, "Unpooling": unpooling}
