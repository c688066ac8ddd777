"""Pooling, and borders round images."""

from __future__ import annotations

from typing import Any

from ..operator_writer import OperatorWriter
from ..windows import pads, sides, stated_pads

_GLOBAL = {"MaxPool": "GlobalMaxPool", "AveragePool": "GlobalAveragePool"}


def maximum(operator: OperatorWriter) -> None:
    """The largest number of a window or of the whole image."""
    _pool(operator, "MaxPool", {})


def average(operator: OperatorWriter) -> None:
    """The mean of the pixels in a window; padding counts only where the file says so."""
    _pool(operator, "AveragePool", {"count_include_pad": operator.integer("count_include_pad")})


def _pool(operator: OperatorWriter, op: str, attributes: dict[str, Any]) -> None:
    shape = operator.images()
    axes = len(shape) - 2
    if operator.integer("global_pooling"):
        operator.emit(_GLOBAL[op], [operator.image(0)])
        return
    if any(step != 1 for step in sides(operator, "dilation", axes, 1)):
        raise operator.error("dilated pooling is not supported")
    kernel, stride = sides(operator, "kernel", axes, 0), sides(operator, "stride", axes, 1)
    padding = pads(operator, shape[2:], kernel, stride, [1] * axes)
    if any(amount >= side for amount, side in zip(padding, (*kernel, *kernel), strict=True)):
        raise operator.error(f"padding {padding} is as large as the window {kernel}: some windows have no pixel")
    operator.emit(op, [operator.image(0)], kernel_shape=kernel, strides=stride, pads=padding, **attributes)


def pad_image(operator: OperatorWriter) -> None:
    """Rows and columns added: of one number, reflected, or those at the border."""
    operator.images(4)
    top, left, bottom, right = stated_pads(operator, 2)
    mode = operator.text("mode", "constant")
    if mode not in ("constant", "reflect", "edge"):
        raise operator.error(f"expected the mode constant, reflect or edge, found {mode}")
    inputs = [operator.image(0), operator.ints("amounts", [0, 0, top, left, 0, 0, bottom, right])]
    if mode == "constant":
        inputs.append(operator.constant("value", operator.number("value")))
    operator.emit("Pad", inputs, mode=mode)


OPERATORS = {
    **{f"MaxPool{axes}": maximum for axes in ("", "1D", "2D", "3D")},
    **{f"AveragePool{axes}": average for axes in ("", "1D", "2D", "3D")},
    "PadImage": pad_image,
}
