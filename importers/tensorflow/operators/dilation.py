"""BatchToSpaceND; behind SpaceToBatchND and a convolution it is how TensorFlow wrote a dilated convolution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...tflite.operator_writer import OperatorWriter
from ...tflite.operators import shape as same
from ...tflite.reader import Operator
from ..layout import NodeLayout
from ..rewriting import rewritten
from .convolution import convolution, depthwise

_CONVOLUTIONS: dict[str, Callable[..., Any]] = {"Conv2D": convolution, "DepthwiseConv2dNative": depthwise}


def batch_to_space(op: OperatorWriter) -> None:
    """One convolution where the three are one; what stands before it in the graph is left out when nothing reads it."""
    between = _convolution(op)
    if between is None:
        same.batch_to_space(op)
        return
    middle, first, edges, apart = between
    image = rewritten(op, kind=middle.kind, inputs=[first.inputs[0], *middle.inputs[1:]], **middle.options)
    _CONVOLUTIONS[middle.kind](image, edges, apart)


def _convolution(op: OperatorWriter) -> tuple[Operator, Operator, list[int], list[int]] | None:
    """The convolution, SpaceToBatchND before it, and what its borders (before and after, a side) and dilations are."""
    makers = op.layout.makers if isinstance(op.layout, NodeLayout) else {}
    middle = makers.get(op.inputs[0])
    first = makers.get(middle.inputs[0]) if middle is not None and middle.kind in _CONVOLUTIONS else None
    if middle is None or first is None or first.kind != "SpaceToBatchND" or not _is_plain(middle):
        return None
    blocks, pads = (_numbers(op, name) for name in first.inputs[1:3])
    again, crops = (_numbers(op, name) for name in op.inputs[1:3])
    if not (len(blocks) == 2 and blocks == again and len(pads) == len(crops) == 4 and min(blocks) > 0):
        return None
    edges = [pad - crop for pad, crop in zip(pads, crops, strict=True)]  # what is cropped need not be padded
    return (middle, first, edges, blocks) if min(*edges, *crops) >= 0 else None


def _is_plain(convolution: Operator) -> bool:
    options = convolution.options
    ones = all(value == 1 for name in ("strides", "dilations") for value in options[name])
    return ones and options["padding"] == "VALID" and options["data_format"] == "NHWC"


def _numbers(op: OperatorWriter, name: str) -> list[int]:
    value = op.tensors.value(name)
    return [] if value is None else [int(number) for number in value.ravel()]


OPERATORS = {"BatchToSpaceND": batch_to_space}
