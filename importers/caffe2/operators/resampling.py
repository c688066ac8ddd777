"""Operators that change the image size, and those that deal channels out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..operator_writer import OperatorWriter

_LARGEST = 64  # times as many rows or columns


def resize_nearest(operator: OperatorWriter) -> None:
    """By factors of height and width: the pixel at or before each place."""
    _resize(operator, _factors(operator), _NEAREST)


def upsample_nearest(operator: OperatorWriter) -> None:
    """By one whole factor."""
    _resize(operator, [float(operator.integer("scale", 2))] * 2, _NEAREST)


def upsample_bilinear(operator: OperatorWriter) -> None:
    """By factors; corner pixels stay in the corners."""
    _resize(operator, _factors(operator), {"mode": "linear", "coordinate_transformation_mode": "align_corners"})


_NEAREST = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}


def _factors(operator: OperatorWriter) -> list[float]:
    if len(operator.inputs) > 1:
        raise operator.error("factors that are another blob's are not supported")
    return [operator.number("height_scale", 1.0), operator.number("width_scale", 1.0)]


def _resize(operator: OperatorWriter, factors: list[float], attributes: Mapping[str, Any]) -> None:
    operator.images(4)
    if not all(math.isfinite(factor) and 0 < factor <= _LARGEST for factor in factors):
        raise operator.error(f"expected factors above 0 and up to {_LARGEST}, found {factors}")
    scales = operator.constant("scales", [1, 1, *factors])
    operator.emit("Resize", [operator.image(0), "", scales], **attributes)


def channel_shuffle(operator: OperatorWriter) -> None:
    """Channels of `group` groups dealt out in turn (ShuffleNet, Zhang et al. 2018)."""
    _, channels, *space = operator.images()
    group, (count, *sides) = operator.integer("group", 1), operator.sizes([channels, *space])
    if group < 1 or count % group:
        raise operator.error(f"{count} channels do not divide into {group} groups")
    grouped = operator.reshaped("grouped", operator.image(0), [0, group, count // group, *sides])
    order = [0, 2, 1, *range(3, 3 + len(sides))]
    swapped = operator.add("swapped", "Transpose", [grouped], perm=order)
    operator.reshape(swapped, [0, count, *sides])


OPERATORS = {
    "ResizeNearest": resize_nearest,
    "UpsampleNearest": upsample_nearest,
    "UpsampleBilinear": upsample_bilinear,
    "ChannelShuffle": channel_shuffle,
}
