"""Operators that change the size of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..operator_writer import OperatorWriter

_EVEN_OR_ODD = {"to_even_down": (0, -1), "to_even_up": (0, 1), "to_odd_down": (1, -1), "to_odd_up": (1, 1)}
_MODES = ("size", "like", "odd_scale", *_EVEN_OR_ODD)


def upsampling(writer: OperatorWriter) -> None:
    """Every pixel repeated; several inputs to the size of the first, then joined or added; or by a learned kernel."""
    scale = writer.attributes.whole("scale")
    if scale < 1:
        raise writer.error(f"scale is {scale}; expected at least 1")
    if writer.one_of("sample_type", ("nearest", "bilinear")) == "bilinear":
        _by_kernel(writer, scale)
        return
    if len(writer.inputs) == 1:
        writer.emit("Resize", _repeated(writer, writer.input(), [scale, scale]), **_NEAREST)
        return
    target = [side * scale for side in writer.sizes(writer.shape()[2:])]
    parts = []
    for index, value in enumerate(writer.inputs):
        sides = writer.sizes(writer.shape(index)[2:])
        factors = [wanted // side for wanted, side in zip(target, sides, strict=True)]
        parts.append(writer.add(f"part{index}", "Resize", _repeated(writer, value, factors), **_NEAREST))
    if writer.one_of("multi_input_mode", ("concat", "sum")) == "sum":
        writer.chain("Add", parts)
    else:
        writer.emit("Concat", parts, axis=1)


_NEAREST: dict[str, Any] = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}


def _repeated(writer: OperatorWriter, value: str, factors: Sequence[int]) -> list[str]:
    return [value, "", writer.constant("scales", np.array([1, 1, *factors]))]


def _by_kernel(writer: OperatorWriter, scale: int) -> None:
    """A transposed convolution of each channel, as its weights are initialised and then learned."""
    count = writer.channels()
    kernel, pad = 2 * scale - scale % 2, scale // 2
    weight = writer.weight(1, (count, 1, kernel, kernel), "weight")
    window: dict[str, Any] = {"kernel_shape": [kernel] * 2, "strides": [scale] * 2, "pads": [pad] * 4}
    writer.emit("ConvTranspose", [writer.input(), weight], group=count, **window)


def bilinear_resize(writer: OperatorWriter) -> None:
    """Bilinear to a size, by a factor, to that of the second input, or to the next even or odd one."""
    if len(writer.shape()) != 4:
        raise writer.error(f"expected an image, found an input of shape {list(writer.shape())}")
    target = [_side(writer, axis) for axis in (0, 1)]
    shape = [*writer.shape()[:2], *target]
    if min(target) < 1:
        raise writer.error(f"its output would be {target[0]}x{target[1]}")
    kept = writer.add("kept_sizes", "Shape", [writer.input()], end=2)
    sizes = writer.add("sizes", "Concat", [kept, writer.ints("image_sizes", target)], axis=0)
    corners = writer.attributes.flag("align_corners", True)
    transformation = "align_corners" if corners else "pytorch_half_pixel"
    inputs = [writer.input(), "", "", sizes]
    writer.emit("Resize", inputs, shape=shape, mode="linear", coordinate_transformation_mode=transformation)


def _side(writer: OperatorWriter, axis: int) -> int:
    """The height (0) or width (1) of the output."""
    name, mode = ("height", "width")[axis], writer.one_of("mode", _MODES)
    factor = writer.attributes.real(f"scale_{name}", 0.0)
    if mode == "size" and not factor:
        return writer.attributes.whole(name, 1)
    if mode == "like":
        return writer.sizes(writer.shape(1)[2:])[axis]
    side = writer.sizes(writer.shape()[2:])[axis]
    if mode == "size":
        return int(factor * side)
    if mode == "odd_scale":
        return int(side * factor) if side % 2 == 0 else int((side - 1) * factor) + 1
    remainder, step = _EVEN_OR_ODD[mode]
    return side if side % 2 == remainder else side + step


def space_to_depth(writer: OperatorWriter) -> None:
    """Blocks of an image side by side as channels."""
    writer.emit("SpaceToDepth", [writer.input()], blocksize=writer.attributes.whole("block_size"))


def depth_to_space(writer: OperatorWriter) -> None:
    """Channels laid out as blocks of an image."""
    writer.emit("DepthToSpace", [writer.input()], blocksize=writer.attributes.whole("block_size"), mode="DCR")


OPERATORS = {
    "UpSampling": upsampling,
    "_contrib_BilinearResize2D": bilinear_resize,
    "space_to_depth": space_to_depth,
    "depth_to_space": depth_to_space,
}
