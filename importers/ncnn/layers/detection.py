"""Boxes: where a network has them as constants, and where it leaves the decoding of them to NCNN."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ...heads import Head
from ..layer_writer import LayerWriter

_UNSET = -233
_LARGEST = 1 << 24  # numbers


def prior_box(layer: LayerWriter) -> None:
    """[2, boxes * 4]: corners in units of the image, then variances; they depend on sizes alone."""
    rows, columns = layer.blob_sizes(0)[-2:]
    height, width = layer.whole(10, _UNSET), layer.whole(9, _UNSET)
    if _UNSET in (height, width) or not (height and width):
        height, width = layer.blob_sizes(1)[-2:]
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


def yolo_heads(layer: LayerWriter) -> list[Head]:
    """Of YOLOv3 and later: a map each, with some of the anchors, in pixels of the network's input."""
    classes, count = layer.whole(0, 20), layer.whole(1, 5)
    anchors, scales = _anchors(layer), layer.numbers(6)
    masks = [int(number) for number in layer.numbers(5)]
    if not len(scales) * count == len(masks) == len(layer.inputs) * count or not set(masks) <= set(range(len(anchors))):
        raise layer.error(f"expected {count} anchors and a scale for each of {len(layer.inputs)} maps")
    heads = []
    for place, blob in enumerate(layer.layer.bottoms):
        _check_channels(layer, place, count * (5 + classes))
        sides = layer.blob_shape(place)[1:]
        if not all(isinstance(side, int) for side in sides):
            return []  # its anchors have no measure without the image's size
        image = [int(side * scales[place]) for side in layer.sizes(sides)]
        chosen = [anchors[number] for number in masks[place * count : (place + 1) * count]]
        options = {"anchors": chosen, "scale_x_y": 1.0, "new_coords": False, "image": image}
        heads.append(Head("yolo", (blob,), classes, options))
    return heads


def region_heads(layer: LayerWriter) -> list[Head]:
    """Of YOLOv2: one map, anchors in its places."""
    classes, count = layer.whole(0, 20), layer.whole(1, 5)
    anchors = _anchors(layer)
    if len(anchors) < count:
        raise layer.error(f"expected {count} anchors, found {len(anchors)}")
    _check_channels(layer, 0, count * (5 + classes))
    options = {"anchors": anchors[:count], "softmax": True, "background": False}
    return [Head("region", (layer.layer.bottoms[0],), classes, options)]


def _anchors(layer: LayerWriter) -> list[list[float]]:
    given = layer.numbers(4)
    return [given[place : place + 2] for place in range(0, len(given) - 1, 2)]


def _check_channels(layer: LayerWriter, place: int, wanted: int) -> None:
    shape = layer.blob_shape(place)
    if len(shape) != 3 or shape[0] != wanted or layer.whole(0, 20) < 1:
        raise layer.error(f"expected maps of {wanted} channels, found the shape {list(shape)}")


# They decode boxes and suppress those that overlap: the graph ends in what they read, and its heads are described.
ENDS: dict[str, Callable[[LayerWriter], list[Head]]] = {
    "DetectionOutput": lambda layer: [],  # SSD's, whose boxes are another of its inputs
    "YoloDetectionOutput": region_heads,
    "Yolov3DetectionOutput": yolo_heads,
}
LAYERS: dict[str, Callable[[LayerWriter], None]] = {"PriorBox": prior_box}
