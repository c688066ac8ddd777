"""Pooling, with the window arithmetic of Caffe."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..layer_writer import LayerWriter
from ..wire_schema import enum_name
from .convolution import spatial


@dataclass(frozen=True)
class Window:
    """A pooling window along each spatial axis."""

    kernel: list[int]
    stride: list[int]
    pad: list[int]
    ceil: bool

    def outputs(self, sizes: Sequence[int]) -> list[int]:
        """Output sizes as Caffe computes them: rounded up, and with padding the last window must start inside it."""
        counts = []
        for size, kernel, stride, pad in zip(sizes, self.kernel, self.stride, self.pad, strict=True):
            span = (size + 2 * pad - kernel) / stride
            count = (math.ceil(span) if self.ceil else math.floor(span)) + 1
            if any(self.pad) and (count - 1) * stride >= size + pad:
                count -= 1
            counts.append(count)
        return counts

    def is_exact(self, sizes: Sequence[int]) -> bool:
        """Whether the windows end exactly at the padded border, so that rounding plays no part."""
        steps = zip(sizes, self.kernel, self.stride, self.pad, strict=True)
        return all((size + 2 * pad - kernel) % stride == 0 for size, kernel, stride, pad in steps)

    @property
    def attributes(self) -> dict[str, Any]:
        """The same in ONNX's words, but for the rounding."""
        return {"kernel_shape": self.kernel, "strides": self.stride, "pads": [*self.pad, *self.pad]}


def pooling(layer: LayerWriter) -> None:
    """Max or average pooling, of a window or of the whole image; a second top is the mask of maxima."""
    param = layer.param("pooling_param")
    method = enum_name("PoolMethod", param.pool)
    if method == "STOCHASTIC":
        raise layer.error("stochastic pooling draws at random; expected MAX or AVE")
    if param.global_pooling:
        _pool_globally(layer, method)
        return
    window = window_of(layer, param)
    attributes = rounded(layer, window)
    if method == "MAX":
        emit_max(layer, attributes)
    else:
        # Caffe divides by the window clipped at the padded border: padding counts, what lies beyond does not.
        layer.emit("AveragePool", layer.inputs, count_include_pad=int(any(window.pad)), **attributes)


def window_of(layer: LayerWriter, param: Any) -> Window:
    """The window that a pooling_param or an unpooling_param describes."""
    axes = len(layer.shape()) - 2
    names = param.DESCRIPTOR.fields_by_name
    ceil = True
    if "round_mode" in names:
        ceil = enum_name("RoundMode", param.round_mode) == "CEIL" and param.ceil_mode
    sizes = {what: spatial(layer, param, what, axes, default) for what, default in _DEFAULTS.items()}
    return Window(sizes["kernel"], sizes["stride"], sizes["pad"], ceil)


_DEFAULTS = {"kernel": None, "stride": 1, "pad": 0}


def rounded(layer: LayerWriter, window: Window) -> dict[str, Any]:
    """The window's ONNX attributes, with ceil_mode where it matters.

    Raises InputError when a window lies wholly outside the image: Caffe then writes the lowest float, ONNX nothing.
    """
    dims = layer.shape()[2:]
    if not all(isinstance(dim, int) for dim in dims):
        return {**window.attributes, "ceil_mode": int(window.ceil)}
    sizes = layer.sizes(dims)
    counts = zip(window.outputs(sizes), window.stride, sizes, window.pad, strict=True)
    if any((count - 1) * stride >= size + pad for count, stride, size, pad in counts):
        raise layer.error(f"the last window lies outside its input of {'x'.join(map(str, sizes))}: it has no maximum")
    return {**window.attributes, "ceil_mode": int(window.ceil and not window.is_exact(sizes))}


def _pool_globally(layer: LayerWriter, method: str) -> None:
    if method == "AVE":
        layer.emit("GlobalAveragePool", layer.inputs)
    elif len(layer.outputs) == 1:
        layer.emit("GlobalMaxPool", layer.inputs)
    else:
        emit_max(layer, {"kernel_shape": list(layer.sizes(layer.shape()[2:]))})


def emit_max(layer: LayerWriter, attributes: dict[str, Any]) -> None:
    """MaxPool; the mask of Caffe counts within each plane, in floats, that of ONNX over the whole tensor."""
    if len(layer.outputs) == 1:
        layer.emit("MaxPool", layer.inputs, **attributes)
        return
    indices = layer.graph.temporary(f"{layer.name}/indices")
    layer.graph.node("MaxPool", layer.inputs, [layer.outputs[0], indices], name=layer.name, **attributes)
    layer.masks[layer.outputs[1]] = indices
    plane = math.prod(layer.sizes(layer.shape()[2:]))
    within = layer.add("mask", "Mod", [indices, layer.ints("plane", [plane])])
    layer.graph.node("Cast", [within], layer.outputs[1], name=f"{layer.name}/mask_as_float", to=1)


def pyramid(layer: LayerWriter) -> None:
    """Spatial pyramid pooling (He et al. 2014): grids of 1, 2, 4 … bins a side, flattened one after another."""
    param = layer.param("spp_param")
    method = enum_name("PoolMethod", param.pool)
    if method == "STOCHASTIC":
        raise layer.error("stochastic pooling draws at random; expected MAX or AVE")
    levels = [_pyramid_level(layer, 2**level, method) for level in range(param.pyramid_height)]
    layer.emit("Concat", levels, axis=1)


def _pyramid_level(layer: LayerWriter, bins: int, method: str) -> str:
    sizes = layer.sizes(layer.shape()[2:])
    kernel = [math.ceil(size / bins) for size in sizes]
    pad = [(side * bins - size + 1) // 2 for side, size in zip(kernel, sizes, strict=True)]
    window = Window(kernel, kernel, pad, ceil=True)
    attributes = rounded(layer, window)
    if method == "AVE":
        attributes["count_include_pad"] = int(any(pad))
    pooled = layer.add(f"pool{bins}", "MaxPool" if method == "MAX" else "AveragePool", layer.inputs, **attributes)
    return layer.add(f"flat{bins}", "Flatten", [pooled], axis=1)


LAYERS = {"Pooling": pooling, "SPP": pyramid}
