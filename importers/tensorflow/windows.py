"""Images in either order of axes, and windows that slide over them, of any number of dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..same_padding import same_padding
from ..tflite.operator_writer import OperatorWriter
from .lowering import spatial

_FORMATS = ("NHWC", "NCHW", "NDHWC", "NCDHW")


class Image:
    """An input as ONNX wants it, [N, C, H, W] or [N, C, D, H, W], whichever way the file has it."""

    def __init__(self, op: OperatorWriter, index: int = 0) -> None:
        """Raises InputError when its axes are not those of the operator's data format."""
        self.op = op
        self.format = str(op.option("data_format"))
        shape = op.shape(index)
        if self.format not in _FORMATS or len(shape) != len(self.format):
            raise op.error(f"expected an image {self.format}, found the shape {list(shape)}")
        self.is_last = self.format.endswith("C")
        self.images = shape[0]
        self.sides = shape[1:-1] if self.is_last else shape[2:]
        self.channels = shape[-1] if self.is_last else shape[1]
        self._index = index

    @property
    def tensor(self) -> str:
        """Channels first."""
        return self.op.first(self._index) if self.is_last else self.op.last(self._index)

    def emit(self, onnx_op: str, inputs: Sequence[str], **attributes: Any) -> None:
        """A node whose output is an image of the same format."""
        self.op.emit(onnx_op, inputs, first=self.is_last, **attributes)

    def per_side(self, option: str) -> list[int]:
        """An option that has a number for every axis: those for height, width (and depth), 1 where it is left out."""
        values = spatial(self.op.option(option), self.format, f"{self.op.operator.kind} {self.op.name}")
        values = values or [1] * len(self.sides)
        if min(values) < 1:
            raise self.op.error(f"{option} is {values}, expected positive numbers")
        return values


def window(image: Image, kernel: Sequence[int], edges: Sequence[int] = (), apart: Sequence[int] = ()) -> dict[str, Any]:
    """ONNX's kernel_shape, strides, dilations and pads. `edges`, `apart`: explicit paddings (before and after, a side)
    and dilations of a convolution that was three operators.
    """
    op, sides = image.op, image.sides
    strides = image.per_side("strides")
    dilations = list(apart) or image.per_side("dilations")
    if min(kernel) < 1:
        raise op.error(f"its window is {list(kernel)}, expected positive numbers")
    reaches = [(size - 1) * step + 1 for size, step in zip(kernel, dilations, strict=True)]
    padding = op.option("padding")
    if padding == "EXPLICIT" and not edges:
        edges = _explicit(image)
    if edges:
        before, after = list(edges[::2]), list(edges[1::2])
    elif padding == "SAME":
        before, after = same_pads(sides, strides, reaches)
    elif padding == "VALID":
        before = after = [0] * len(sides)
    else:
        raise op.error(f"its padding is {padding}, expected SAME, VALID or EXPLICIT")
    for side, start, end, reach in zip(sides, before, after, reaches, strict=True):
        if start + side + end < reach:
            raise op.error(f"its window reaches over {reach} pixels of an image of {side}")
    return {"kernel_shape": list(kernel), "strides": strides, "pads": [*before, *after], "dilations": dilations}


def same_pads(sides: Sequence[int], strides: Sequence[int], reaches: Sequence[int]) -> tuple[list[int], list[int]]:
    """Before and behind every side."""
    pads = [same_padding(*along) for along in zip(sides, strides, reaches, strict=True)]
    return [before for before, _ in pads], [after for _, after in pads]


def _explicit(image: Image) -> list[int]:
    listed = [int(number) for number in image.op.option("explicit_paddings")]
    at = 1 if image.is_last else 2
    edges = listed[2 * at : 2 * (at + len(image.sides))]
    if len(listed) != 2 * len(image.format) or sum(edges) != sum(listed) or min(listed) < 0:
        raise image.op.error(f"its explicit paddings {listed} do not fit {image.format}")
    return edges
