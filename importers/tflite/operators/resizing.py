"""Images in another size."""

from __future__ import annotations

from typing import Any

from ..operator_writer import OperatorWriter


def bilinear(op: OperatorWriter) -> None:
    """Where a pixel lies depends on two options: corner on corner, centre on centre, or neither."""
    _resize(op, mode="linear", coordinate_transformation_mode=_coordinates(op))


def nearest(op: OperatorWriter) -> None:
    """Rounded down, but to the nearest with corners on corners."""
    coordinates = _coordinates(op)
    rounded = "floor" if coordinates == "asymmetric" else "round_prefer_ceil"
    _resize(op, mode="nearest", coordinate_transformation_mode=coordinates, nearest_mode=rounded)


def _coordinates(op: OperatorWriter) -> str:
    corners, centres = op.option("align_corners"), op.option("half_pixel_centers")
    if corners and centres:
        raise op.error("align_corners and half_pixel_centers contradict each other")
    return "align_corners" if corners else "half_pixel" if centres else "asymmetric"


def _resize(op: OperatorWriter, mode: str, **attributes: str) -> None:
    shape, size = op.shape(), op.ints(1)
    if len(shape) != 4 or len(size) != 2 or min(size) < 1:
        raise op.error(f"an image of shape {list(shape)} cannot be resized to {size}")
    sizes = op.int_list("sizes", [shape[0], shape[3], *size])
    more: dict[str, Any] = {"mode": mode, **attributes}
    op.emit("Resize", [op.first(), "", "", sizes], first=True, moved=mode == "nearest", **more)


OPERATORS = {"RESIZE_BILINEAR": bilinear, "RESIZE_NEAREST_NEIGHBOR": nearest}
