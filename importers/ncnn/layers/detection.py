"""Boxes: where a network has them as constants, and where it leaves the decoding of them to NCNN."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..layer_writer import LayerWriter

# They decode boxes and suppress those that overlap: the graph ends in what they read.
ENDS = frozenset({"DetectionOutput", "YoloDetectionOutput", "Yolov3DetectionOutput"})
_UNSET = -233
_LARGEST = 1 << 24  # numbers


def prior_box(layer: LayerWriter) -> None:
    """[2, boxes * 4]: corners in units of the image, then variances; they depend on sizes alone."""
    rows, columns = layer.sizes(0)[-2:]
    height, width = layer.whole(10, _UNSET), layer.whole(9, _UNSET)
    if _UNSET in (height, width) or not (height and width):
        height, width = layer.sizes(1)[-2:]
    step_x, step_y = (
        size / count if step in (_UNSET, 0) else step
        for step, size, count in ((layer.number(11, _UNSET), width, columns), (layer.number(12, _UNSET), height, rows))
    )
    sizes = _sizes(layer)
    if rows * columns * len(sizes) * 8 > _LARGEST:
        raise layer.error(f"expected fewer boxes than {rows}x{columns} times {len(sizes)}")
    offset = layer.number(13)
    corners = np.empty((rows, columns, len(sizes), 4))
    for place, (box_width, box_height) in enumerate(sizes):
        centre_x = (np.arange(columns) + offset) * step_x
        centre_y = (np.arange(rows) + offset) * step_y
        corners[:, :, place, 0::2] = centre_x[None, :, None] + np.array([-0.5, 0.5]) * box_width
        corners[:, :, place, 1::2] = centre_y[:, None, None] + np.array([-0.5, 0.5]) * box_height
    corners /= [width, height, width, height]
    if layer.whole(8):
        corners = corners.clip(0, 1)
    variances = np.tile(
        [layer.number(key, value) for key, value in zip(range(3, 7), (0.1, 0.1, 0.2, 0.2), strict=True)],
        corners.size // 4,
    )
    layer.alias(layer.constant("boxes", np.stack([corners.ravel(), variances])[None]))


def _sizes(layer: LayerWriter) -> list[tuple[float, float]]:
    """(width, height) in pixels of the boxes at each place."""
    small, large, ratios = layer.numbers(0), layer.numbers(1), layer.numbers(2)
    if not small or (large and len(large) != len(small)):
        raise layer.error(f"expected as many largest sizes as smallest, found {len(large)} and {len(small)}")
    sizes = []
    for place, side in enumerate(small):
        sizes.append((side, side))
        if large:
            between = math.sqrt(side * large[place])
            sizes.append((between, between))
        for ratio in ratios:
            wide, high = side * math.sqrt(ratio), side / math.sqrt(ratio)
            sizes.append((wide, high))
            if layer.whole(7, 1):
                sizes.append((high, wide))
    return sizes


LAYERS: dict[str, Callable[[LayerWriter], None]] = {"PriorBox": prior_box}
