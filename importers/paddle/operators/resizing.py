"""Images in another size."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from ...graph_builder import Dim
from ..operator_writer import OperatorWriter
from .convolution import FIRST

_OUT = ("out_d", "out_h", "out_w")


def resize(op: OperatorWriter, mode: str, second: bool) -> None:
    """To a size or by factors. `second`: the later version, whose pixels lie as the factor says, not the sizes."""
    op.choice("data_layout", "NCHW", *FIRST)
    count = len(op.shape()) - 2
    attributes = {"mode": mode, **_coordinates(op, mode)}
    factors = _factors(op, count)
    if op.has("SizeTensor") or op.has("OutSize"):
        _to_sizes(op, op.size_tensor("SizeTensor", "OutSize", "sizes"), attributes)
    elif factors:
        sides = op.shape()[2:]
        if second or all(by == int(by) for by in factors):
            made = [int(side * by) if isinstance(side, int) else None for side, by in zip(sides, factors, strict=True)]
            _check_middle(op, made, attributes)
            op.emit("Resize", [op.tensor(), "", op.array("scales", [1, 1, *factors])], **attributes)
        else:
            sizes = [int(side * by) for side, by in zip(op.sizes(sides), factors, strict=True)]
            _to_sizes(op, op.int_array("sizes", sizes), attributes)
    else:
        sizes = [op.attribute(name, -1) for name in _OUT[-count:]]
        if min(sizes) < 1:
            raise op.error(f"it neither has a size nor factors: {sizes}")
        _to_sizes(op, op.int_array("sizes", sizes), attributes)


def _factors(op: OperatorWriter, count: int) -> list[float]:
    """One for each axis of the image; none where sizes are given."""
    value: Any = op.operator.attributes.get("scale", 0.0)
    if op.has("Scale"):
        held = op.value("Scale")
        if held is None:
            raise op.error("its factors are computed, which is not supported")
        value = [float(number) for number in held.ravel()]
    factors = [float(number) for number in (value if isinstance(value, list) else [value])]
    factors = factors * count if len(factors) == 1 else factors
    if len(factors) not in (0, count):
        raise op.error(f"it has {len(factors)} factors for {count} axes")
    return factors if min(factors, default=0) > 0 else []


def _coordinates(op: OperatorWriter, mode: str) -> dict[str, Any]:
    """Where a pixel of the result lies in the input."""
    corners = op.attribute("align_corners", True)
    if mode == "nearest":
        where = "align_corners" if corners else "asymmetric"
        return {"coordinate_transformation_mode": where, "nearest_mode": "round_prefer_ceil" if corners else "floor"}
    half = mode == "cubic" or op.attribute("align_mode", 1) == 0
    where = "align_corners" if corners else "half_pixel" if half else "asymmetric"
    return {"coordinate_transformation_mode": where}


def _check_middle(op: OperatorWriter, sides: Sequence[Dim], attributes: dict[str, Any]) -> None:
    """Raise InputError where one pixel is made of several: PaddlePaddle's is at the edge, ONNX's in the middle."""
    if attributes["coordinate_transformation_mode"] != "half_pixel":
        return
    if any(made == 1 and side != 1 for made, side in zip(sides, op.shape()[2:], strict=True)):
        raise op.error("it makes one pixel of several, which ONNX does otherwise than PaddlePaddle")


def _to_sizes(op: OperatorWriter, sizes: str, attributes: dict[str, Any]) -> None:
    """Sizes of the image's axes; ONNX wants those of images and channels, too."""
    x, value = op.tensor(), op.graph.value(sizes)
    sides: list[Dim] = [None] * (len(op.shape()) - 2) if value is None else [int(side) for side in np.ravel(value)]
    shape = [*op.shape()[:2], *sides]
    if len(shape) != len(op.shape()):
        raise op.error(f"it has {len(sides)} sizes for {len(op.shape()) - 2} axes")
    _check_middle(op, sides, attributes)
    whole = op.add("shape", "Concat", [op.add("kept", "Shape", [x], end=2), sizes], axis=0)
    op.emit("Resize", [x, "", "", whole], shape=shape, **attributes)


_MODES = {"nearest": "nearest", "linear": "linear", "bilinear": "linear", "trilinear": "linear", "bicubic": "cubic"}

OPERATORS = {
    **{f"{kind}_interp": partial(resize, mode=mode, second=False) for kind, mode in _MODES.items()},
    **{f"{kind}_interp_v2": partial(resize, mode=mode, second=True) for kind, mode in _MODES.items()},
}
