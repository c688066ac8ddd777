"""Images made larger or smaller."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..expression import evaluate
from ..layer_writer import LayerWriter

_MODES = {1: "nearest", 2: "linear", 3: "cubic"}


def interp(layer: LayerWriter) -> None:
    """To a size, by factors, or to the size of another blob; a list of channels fills an image of that size."""
    mode = layer.choice(0, _MODES, "way to resize", 1)
    shape = layer.shape()
    if len(shape) > 3:
        raise layer.error("expected an input of at most three dimensions")
    tensor = layer.inputs[0]
    if len(shape) == 1:
        tensor = layer.add("pixel", "Unsqueeze", [tensor, layer.ints("pixel_axes", [2, 3])])
    elif len(shape) == 2:
        tensor = layer.add("row", "Unsqueeze", [tensor, layer.ints("row_axis", [2])])
    sides = layer.graph.shape(tensor)[2:]
    factors = [layer.number(1, 1.0), layer.number(2, 1.0)]
    if not _target(layer) and not all(isinstance(side, int) for side in sides):
        if layer.whole(6):
            layer.known(sides)
        scales = factors
    else:
        numbers = layer.known(sides)
        target = _target(layer) or [int(side * factor) for side, factor in zip(numbers, factors, strict=True)]
        if len(shape) == 2:
            target[0] = 1
        if min(target) < 1:
            raise layer.error(f"cannot make an image of {target[0]}x{target[1]}")
        scales = [_factor(side, want) for side, want in zip(numbers, target, strict=True)]
    attributes = _attributes(mode, align=bool(layer.whole(6)))
    inputs = [tensor, "", layer.constant("scales", [1, 1, *scales])]
    if len(shape) == 2:
        resized = layer.linear("Resize", inputs, **attributes)
        layer.emit("Squeeze", [resized, layer.ints("row_axis", [2])])
    else:
        layer.emit("Resize", inputs, **attributes)


def _target(layer: LayerWriter) -> list[int]:
    """[height, width] that the layer names; empty where it has factors."""
    expression = layer.text(9)
    if expression:
        found = evaluate(layer, expression)
        if len(found) not in (1, 2):
            raise layer.error(f"expected a width and a height, found {len(found)} sizes")
        return [*found, 1][:2][::-1]
    if layer.whole(5):
        return layer.sizes(1)[-2:]
    height, width = layer.whole(3), layer.whole(4)
    return [height, width] if height and width else []


def _factor(side: int, wanted: int) -> float:
    """A float32 of which side * factor, rounded down, is what is wanted."""
    factor = np.float32(wanted / side)
    while int(side * float(factor)) < wanted:
        factor = np.nextafter(factor, np.float32(np.inf))
    return float(factor)


def _attributes(mode: str, *, align: bool) -> dict[str, Any]:
    if mode == "nearest":
        return {"mode": mode, "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    transformation = "align_corners" if align else "half_pixel"
    return {"mode": mode, "coordinate_transformation_mode": transformation, "cubic_coeff_a": -0.75}


LAYERS: dict[str, Callable[[LayerWriter], None]] = {"Interp": interp}
