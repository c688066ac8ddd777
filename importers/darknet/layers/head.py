"""Heads: the layers that make boxes. Darknet computes boxes behind them; here they describe how, and write no node."""

from __future__ import annotations

from typing import Any

from ...heads import Head
from ..layer_writer import NO_TENSOR, LayerWriter

_BOX = 5  # numbers of a box beside its classes: x, y, width, height, whether something is there


def yolo(layer: LayerWriter) -> str:
    """YOLOv3 and later: [N, masks * (5 + classes), H, W]; anchors in pixels of the network's input."""
    section = layer.section
    total = layer.positive("num")
    mask = section.integers("mask") if "mask" in section.options else list(range(total))
    anchors = _anchors(layer, total)
    if not mask or not all(0 <= index < total for index in mask):
        raise layer.error(f"mask expects numbers from 0 to {total - 1}, found {section.text('mask')!r}")
    return _describe(
        layer,
        layer.map(layer.input),
        len(mask),
        anchors=[anchors[index] for index in mask],
        scale_x_y=section.number("scale_x_y", 1),
        new_coords=bool(section.integer("new_coords")),
        image=list(layer.network.shape[1:]),
    )


def region(layer: LayerWriter) -> str:
    """YOLOv2: [N, num * (5 + classes), H, W]; anchors in places of the map."""
    section, count = layer.section, layer.positive("num")
    if section.integer("coords", 4) != 4:
        raise layer.error(f"coords expects 4, found {section.text('coords')}")
    return _describe(
        layer,
        layer.map(layer.input),
        count,
        anchors=_anchors(layer, count),
        softmax=bool(section.integer("softmax")),
    )


def _anchors(layer: LayerWriter, count: int) -> list[list[float]]:
    """[width, height] of each anchor; Darknet takes one half where none are given."""
    given = layer.section.numbers("anchors") or [0.5] * (2 * count)
    if len(given) < 2 * count:
        raise layer.error(f"expected {2 * count} anchors, two numbers each of {count}, found {len(given)}")
    return [given[2 * index : 2 * index + 2] for index in range(count)]


def _describe(layer: LayerWriter, value: str, boxes: int, **options: Any) -> str:
    """Remember the head. Raises InputError when its input has other channels than it reads."""
    classes = layer.positive("classes", 20)
    expected, found = boxes * (_BOX + classes), layer.extent(value)[0]
    if found != expected:
        raise layer.error(f"{boxes} boxes of {classes} classes take {expected} channels, found {found}")
    return _end(layer, value, classes, **options)


def _end(layer: LayerWriter, value: str, classes: int, **options: Any) -> str:
    layer.network.heads.append(Head(layer.section.type, (value,), classes, options))
    return NO_TENSOR


def detection(layer: LayerWriter) -> str:
    """YOLOv1: a row of classes a cell, then certainties of its boxes, then the boxes."""
    section, value = layer.section, layer.row(layer.input)
    side, boxes, classes = layer.positive("side", 7), layer.positive("num"), layer.positive("classes")
    coords = section.integer("coords", 1)
    expected, found = side * side * (boxes * (1 + coords) + classes), layer.graph.shape(value)[1]
    if coords != 4 or found != expected:
        raise layer.error(
            f"{side}x{side} cells of {boxes} boxes of {coords} numbers and {classes} classes take {expected}, "
            f"found {found}"
        )
    flags = {key: bool(section.integer(key)) for key in ("softmax", "sqrt")}
    return _end(layer, value, classes, side=side, boxes=boxes, **flags)


LAYERS = {"detection": detection, "region": region, "yolo": yolo}
