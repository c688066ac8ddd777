"""Images made larger or smaller."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..expression import evaluate
from ..layer_writer import LayerWriter

_LARGEST = 1 << 16  # pixels a side
_MODES = {1: "nearest", 2: "linear", 3: "cubic"}


def interp(layer: LayerWriter) -> None:
    """To a size, by factors, or to the size of another blob; a list of channels fills an image of that size."""
    mode = layer.choice(0, _MODES, "way to resize", 1)
    image, target, scales = _image(layer), _target(layer), _factors(layer)
    sides = layer.graph.shape(image)[2:]
    if target:
        scales = [_scale(side, want) for side, want in zip(layer.sizes(sides), target, strict=True)]
    if mode == "nearest" and all(isinstance(side, int) for side in sides) and _gathered(layer, image, target, scales):
        return
    inputs = [image, "", layer.constant("scales", [1, 1, *scales])]
    _emit(layer, "Resize", inputs, **_attributes(mode, align=bool(layer.whole(6))))


def _image(layer: LayerWriter) -> str:
    """The input with four axes: a list is one pixel of so many channels, rows are an image one pixel high."""
    rank = len(layer.blob_shape())
    if rank > 3:
        raise layer.error("expected an input of at most three dimensions")
    if rank == 3:
        return layer.inputs[0]
    axes = layer.ints("image_axes", [2, 3] if rank == 1 else [2])
    return layer.add("image", "Unsqueeze", [layer.inputs[0], axes])


def _emit(layer: LayerWriter, op: str, inputs: Sequence[str], **attributes: Any) -> None:
    """The node that makes the output; rows are rows again."""
    if len(layer.blob_shape()) != 2:
        layer.emit(op, inputs, **attributes)
        return
    made = layer.first(op, inputs, then="rows", **attributes)
    layer.emit("Squeeze", [made, layer.ints("axes", [2])])


def _target(layer: LayerWriter) -> list[int]:
    """[height, width] that the layer names; empty where it has factors. Rows stay one pixel high."""
    expression = layer.text(9)
    if expression:
        found = evaluate(layer, expression)
        if len(found) not in (1, 2):
            raise layer.error(f"expected a width and a height, found {len(found)} sizes")
        height, width = (found[1] if len(found) == 2 else layer.blob_sizes()[-2]), found[0]
    elif layer.whole(5):
        height, width = layer.blob_sizes(1)[-2:]
    else:
        height, width = layer.whole(3), layer.whole(4)
        if not (height and width):
            return []
    target = [1 if len(layer.blob_shape()) == 2 else height, width]
    if not 1 <= min(target) <= max(target) <= _LARGEST:
        raise layer.error(f"cannot make an image of {height}x{width}")
    return target


def _factors(layer: LayerWriter) -> list[float]:
    """Of height and width. Raises InputError for those that are not above 0."""
    factors = [1.0 if len(layer.blob_shape()) == 2 else layer.number(1, 1.0), layer.number(2, 1.0)]
    if min(factors) <= 0:
        raise layer.error(f"expected factors above 0, found {factors}")
    return factors


def _scale(side: int, wanted: int) -> float:
    """A float32 of which side * scale, rounded down, is what is wanted."""
    scale = np.float32(wanted / side)
    while int(side * float(scale)) < wanted:
        scale = np.nextafter(scale, np.float32(np.inf))
    return float(scale)


def _gathered(layer: LayerWriter, image: str, target: Sequence[int], scales: Sequence[float]) -> bool:
    """Take the nearest pixels one by one where NCNN, rounding otherwise, takes others than Resize does."""
    sides = layer.sizes(layer.graph.shape(image)[2:])
    wanted = target or [int(side * scale) for side, scale in zip(sides, scales, strict=True)]
    if not 1 <= min(wanted) <= max(wanted) <= _LARGEST:
        raise layer.error(f"cannot make an image of {wanted[0]}x{wanted[1]}")
    axes = list(zip(sides, wanted, scales, strict=True))
    steps = [side / want if target else 1 / scale for side, want, scale in axes]
    places = [
        _places(np.arange(want) * np.float32(step), side) for (side, want, _), step in zip(axes, steps, strict=True)
    ]
    if places == [_places(np.arange(want) / np.float32(scale), side) for side, want, scale in axes]:
        return False
    rows = layer.add("rows_taken", "Gather", [image, layer.ints("row_places", places[0])], axis=2)
    _emit(layer, "Gather", [rows, layer.ints("column_places", places[1])], axis=3)
    return True


def _places(exact: np.ndarray, side: int) -> list[int]:
    found: list[int] = np.minimum(exact.astype(np.float32).astype(np.int64), side - 1).tolist()
    return found


def _attributes(mode: str, *, align: bool) -> dict[str, Any]:
    if mode == "nearest":
        return {"mode": mode, "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    transformation = "align_corners" if align else "half_pixel"
    return {"mode": mode, "coordinate_transformation_mode": transformation, "cubic_coeff_a": -0.75}


LAYERS: dict[str, Callable[[LayerWriter], None]] = {"Interp": interp}
