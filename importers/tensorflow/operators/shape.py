"""The same numbers in another shape or order; borders; shapes themselves, which are known now."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from ...tflite.operator_writer import OperatorWriter
from ...tflite.operators import padding, quantising
from ...tflite.operators import shape as same
from ...tflite.reader import NUMPY_TYPES
from ..windows import Image

_LARGEST = 1 << 22  # numbers that are written out


def size_of(op: OperatorWriter) -> None:
    """How many numbers the input has."""
    op.store(np.array(math.prod(op.shape()), NUMPY_TYPES[op.output().type]))


def shapes_of(op: OperatorWriter) -> None:
    """Of every input."""
    for index in range(len(op.inputs)):
        op.store(np.array(op.shape(index), np.int32), output=index)


def ones_like(op: OperatorWriter) -> None:
    """Ones in the shape of the input."""
    shape = op.shape()
    if math.prod(shape) > _LARGEST:
        raise op.error(f"its result of shape {list(shape)} is too large")
    op.store(np.ones(shape, NUMPY_TYPES[op.output().type]))


def blocks(op: OperatorWriter, onnx_op: str) -> None:
    """Blocks of pixels as channels, or channels as blocks of pixels, block first."""
    image, size = Image(op), int(op.option("block_size"))
    if size < 1:
        raise op.error(f"blocks of {size} pixels; expected a positive number")
    more = {"mode": "DCR"} if onnx_op == "DepthToSpace" else {}
    image.emit(onnx_op, [image.tensor], blocksize=size, moved=True, **more)


OPERATORS = {
    "Reshape": same.reshape,
    "Squeeze": same.squeeze,
    "ExpandDims": same.expand_dims,
    "Transpose": same.transpose,
    "Pack": same.pack,
    "Unpack": same.unpack,
    "Tile": same.tile,
    "BroadcastTo": same.broadcast_to,
    "BroadcastArgs": same.broadcast_args,
    "Fill": same.fill,
    "ZerosLike": same.zeros_like,
    "OnesLike": ones_like,
    "Shape": same.shape_of,
    "ShapeN": shapes_of,
    "Size": size_of,
    "Rank": same.rank_of,
    "Range": same.range_of,
    "Cast": quantising.cast,
    "Pad": padding.pad,
    "PadV2": padding.pad,
    "MirrorPad": padding.mirror,
    "SpaceToDepth": partial(blocks, onnx_op="SpaceToDepth"),
    "DepthToSpace": partial(blocks, onnx_op="DepthToSpace"),
    "SpaceToBatchND": same.space_to_batch,
}
