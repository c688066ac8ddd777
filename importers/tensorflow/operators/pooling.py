"""Pooling; padding never counts in an average."""

from __future__ import annotations

from functools import partial

from ...tflite.operator_writer import OperatorWriter
from ..windows import Image, window


def pool(op: OperatorWriter, onnx_op: str) -> None:
    """Of two or three dimensions."""
    image = Image(op)
    where = window(image, image.per_side("ksize"))
    del where["dilations"]
    image.emit(onnx_op, [image.tensor], **where)


OPERATORS = {
    "AvgPool": partial(pool, onnx_op="AveragePool"),
    "AvgPool3D": partial(pool, onnx_op="AveragePool"),
    "MaxPool": partial(pool, onnx_op="MaxPool"),
    "MaxPool3D": partial(pool, onnx_op="MaxPool"),
}
