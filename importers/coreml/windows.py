"""Padding as Core ML states it, as ONNX's pads: all starts, then all ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..same_padding import same_padding
from .layer_writer import LayerWriter
from .wire_schema import enum_name


def listed(layer: LayerWriter, name: str, default: int, count: int = 2) -> list[int]:
    """A number a spatial axis; `default` for all where none are given. Raises InputError for a wrong count or 0."""
    values = [int(value) for value in getattr(layer.param, name)] or [default] * count
    if len(values) != count or min(values) < 1:
        raise layer.error(f"{name}: expected {count} numbers above 0, found {values}")
    return values


def borders(layer: LayerWriter, message: Any) -> list[int]:
    """What a `BorderAmounts` says: top, left, bottom, right."""
    edges = list(message.borderAmounts)
    if len(edges) not in (0, 2):
        raise layer.error(f"expected amounts for two axes, found {len(edges)}")
    return [int(edge.startEdgeSize) for edge in edges] + [int(edge.endEdgeSize) for edge in edges] or [0] * 4


def pads(layer: LayerWriter, stride: Sequence[int], reach: Sequence[int], sizes: Sequence[int]) -> list[int]:
    """Of a convolution or pooling; `reach`: the places a window spans."""
    if not layer.param.HasField("same"):
        return borders(layer, layer.param.valid.paddingAmounts)
    pairs = [same_padding(*side) for side in zip(sizes, stride, reach, strict=True)]
    return in_order(layer, pairs)


def in_order(layer: LayerWriter, pairs: Sequence[tuple[int, int]]) -> list[int]:
    """Pairs whose larger half lies behind, turned round where the layer has it in front."""
    if enum_name("SamePaddingMode", layer.param.same.asymmetryMode) == "TOP_LEFT_HEAVY":
        pairs = [(end, start) for start, end in pairs]
    return [start for start, _ in pairs] + [end for _, end in pairs]


def spans(kernel: Sequence[int], dilation: Sequence[int]) -> list[int]:
    """The places that dilated windows reach over."""
    return [(side - 1) * step + 1 for side, step in zip(kernel, dilation, strict=True)]


_SIDES = ("Depth", "Height", "Width")
_BEFORE, _BEHIND = ("Front", "Top", "Left"), ("Back", "Bottom", "Right")


def volume(layer: LayerWriter, what: str) -> list[int]:
    """kernelDepth, kernelHeight, kernelWidth, or the like. Raises InputError for one below 1."""
    values = [getattr(layer.param, f"{what}{side}") for side in _SIDES]
    if min(values) < 1:
        raise layer.error(f"{what}: expected numbers above 0, found {values}")
    return values


def volume_pads(layer: LayerWriter, stride: Sequence[int], reach: Sequence[int], sizes: Sequence[int]) -> list[int]:
    """As `pads`, of three spatial axes."""
    mode = enum_name("PaddingType", layer.param.paddingType)
    if mode == "SAME":
        pairs = [same_padding(*side) for side in zip(sizes, stride, reach, strict=True)]
        return [start for start, _ in pairs] + [end for _, end in pairs]
    if mode == "VALID":
        return [0] * 6
    return [getattr(layer.param, f"customPadding{side}") for side in (*_BEFORE, *_BEHIND)]
