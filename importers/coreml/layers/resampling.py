"""Layers that change the image size."""

from __future__ import annotations

import math
from typing import Any

from ..layer_writer import LayerWriter
from ..windows import listed
from ..wire_schema import enum_name

# How places of the result are found in the image, in ONNX's words.
_LINEAR = {"DEFAULT": "asymmetric", "ALIGN_CORNERS_TRUE": "align_corners", "ALIGN_CORNERS_FALSE": "half_pixel"}
_SAMPLING = {
    "STRICT_ALIGN_ENDPOINTS_MODE": "align_corners",
    "ALIGN_ENDPOINTS_MODE": "align_corners",
    "UPSAMPLE_MODE": "asymmetric",
}


def upsample(layer: LayerWriter) -> None:
    """By factors, nearest or bilinear."""
    param = layer.param
    sizes = layer.sizes(layer.images()[2:])
    bilinear = enum_name("InterpolationMode", param.mode) == "BILINEAR"
    factors = _factors(layer, bilinear)
    target = [math.floor(size * factor) for size, factor in zip(sizes, factors, strict=True)]
    if bilinear:
        mode = enum_name("LinearUpsampleMode", param.linearUpsampleMode)
        _resize(layer, target, mode="linear", coordinate=_LINEAR[mode])
    else:
        _resize(layer, target, mode="nearest", coordinate="asymmetric", nearest_mode="floor")


def _factors(layer: LayerWriter, bilinear: bool) -> list[float]:
    if not layer.param.fractionalScalingFactor:
        return [float(factor) for factor in listed(layer, "scalingFactor", 1)]
    factors = list(layer.param.fractionalScalingFactor)
    if len(factors) != 2 or not all(math.isfinite(factor) and factor > 0 for factor in factors):
        raise layer.error(f"expected two factors above 0, found {factors}")
    if not bilinear and any(factor % 1 for factor in factors):
        raise layer.error(f"expected whole factors for nearest neighbours, found {factors}")
    return factors


def resize_bilinear(layer: LayerWriter) -> None:
    """To a size."""
    target = listed(layer, "targetSize", 1)
    method = enum_name("SamplingMethod", layer.param.mode.samplingMethod)
    if method not in _SAMPLING or (method == "ALIGN_ENDPOINTS_MODE" and 1 in target):
        raise layer.error(f"the sampling {method} to {target[0]}x{target[1]} is not supported")
    layer.images()
    _resize(layer, target, mode="linear", coordinate=_SAMPLING[method])


_LARGEST = 1 << 14  # rows or columns


def _resize(layer: LayerWriter, target: list[int], *, coordinate: str, **attributes: Any) -> None:
    """Resize of opset 17 wants the sizes of all four axes, of which the first may be open."""
    if not all(1 <= side <= _LARGEST for side in target):
        raise layer.error(f"expected 1 to {_LARGEST} rows and columns, found {target[0]}x{target[1]}")
    batch, channels = layer.shape()[:2]
    if isinstance(batch, int) and isinstance(channels, int):
        sizes = layer.ints("sizes", [batch, channels, *target])
    else:
        kept = layer.add("kept_sizes", "Shape", layer.inputs, end=2)
        sizes = layer.add("sizes", "Concat", [kept, layer.ints("image_sizes", target)], axis=0)
    layer.emit(
        "Resize",
        [layer.inputs[0], "", "", sizes],
        shape=[batch, channels, *target],
        coordinate_transformation_mode=coordinate,
        **attributes,
    )


LAYERS = {"upsample": upsample, "resizeBilinear": resize_bilinear}
