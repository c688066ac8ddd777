"""Images in another size."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from ...tflite.operator_writer import OperatorWriter
from ...tflite.operators import resizing

_TABLE = 1024  # TensorFlow's cubic weights come from a table of so many steps a pixel
_LARGEST = 1 << 26  # numbers of a matrix
_LONGEST = 1 << 16  # pixels of a side


def bilinear(op: OperatorWriter) -> None:
    """As in TensorFlow Lite; the result is float whatever the image is."""
    if op.tensor(0).type != "FLOAT32":
        floats = op.operator.outputs[0] + "/floats"
        _as_floats(op, floats)
        op.operator.inputs[0] = floats
    resizing.bilinear(op)


def _as_floats(op: OperatorWriter, name: str) -> None:
    (tensor,), first = op.aligned(0)
    made = op.add("floats", "Cast", [tensor], to=1)
    (op.tensors.made_first if first else op.tensors.made_last)(name, made)
    op.layout.network.tensors[name] = type(op.tensor(0))(name, (), "FLOAT32")


def nearest(op: OperatorWriter) -> None:
    """One node where ONNX surely picks the same pixels, else the pixels that TensorFlow picks, a node each axis."""
    shape, size = op.shape(), op.ints(1)
    if len(shape) != 4 or len(size) != 2 or not 0 < min(size) <= max(size) <= _LONGEST:
        raise op.error(f"an image of shape {list(shape)} cannot be resized to {size}")
    picked = [_pixels(op, side, new) for side, new in zip(shape[1:3], size, strict=True)]
    toss_ups = [_is_a_toss_up(op, *found) for found in zip(shape[1:3], size, picked, strict=True)]
    if not any(toss_ups):
        resizing.nearest(op)
        return
    rows = op.add("rows", "Gather", [op.first(), op.int_list("down", picked[0])], axis=2)
    op.emit("Gather", [rows, op.int_list("right", picked[1])], first=True, axis=3)


def _pixels(op: OperatorWriter, side: int, size: int) -> list[int]:
    """Which pixel of `side` each of `size` is, in the 32-bit floats that TensorFlow computes with."""
    corners, centres = op.option("align_corners"), op.option("half_pixel_centers")
    step = np.float32((side - 1) / (size - 1) if corners and size > 1 else side / size)
    places = np.arange(size, dtype=np.float32)
    half = np.float32(0.5)
    at = (places + half) * step if centres else places * step
    whole = np.floor(at + half) if corners else np.floor(at)
    return [int(number) for number in np.clip(whole, 0, side - 1)]


def _is_a_toss_up(op: OperatorWriter, side: int, size: int, picked: list[int]) -> bool:
    """Whether rounding decides somewhere: two pixels are equally near, and the scale is no whole number."""
    corners, centres = op.option("align_corners"), op.option("half_pixel_centers")
    step = Fraction(side - 1, size - 1) if corners and size > 1 else Fraction(side, size)
    shift, more = Fraction(int(bool(centres)), 2), Fraction(int(bool(corners)), 2)
    exact = [(place + shift) * step + more for place in range(size)]
    if [min(math.floor(at), side - 1) for at in exact] != picked:
        return True
    return bool(size % side) and any(at.denominator == 1 and at for at in exact)


def bicubic(op: OperatorWriter) -> None:
    """Each axis is a product with a matrix of cubic weights, rounded as TensorFlow's table of them is."""
    shape, size = op.shape(), op.ints(1)
    sides = list(zip(shape[1:3], size, strict=False))
    if len(shape) != 4 or len(size) != 2 or min(size) < 1 or any(a * b > _LARGEST for a, b in sides):
        raise op.error(f"an image of shape {list(shape)} cannot be resized to {size}")
    down, right = (_matrix(op, *pair) for pair in sides)
    image = op.first() if op.tensor(0).type == "FLOAT32" else op.add("floats", "Cast", [op.first()], to=1)
    rows = op.add("rows", "MatMul", [op.array("down", down), image])
    op.emit("MatMul", [rows, op.array("right", right.T)], first=True)


def _matrix(op: OperatorWriter, side: int, size: int) -> np.ndarray:  # [size, side] float32
    """Keys' cubic kernel: -0.75, borders repeated; with half_pixel_centers -0.5, what lies outside left out."""
    corners, centres = op.option("align_corners"), op.option("half_pixel_centers")
    bend = -0.5 if centres else -0.75
    step = np.float32((side - 1) / (size - 1) if corners and size > 1 else side / size)
    places = np.arange(size, dtype=np.float32)
    at = (places + np.float32(0.5)) * step - np.float32(0.5) if centres else places * step
    whole = np.floor(at).astype(np.int64)
    part = np.rint((at - whole) * _TABLE) / _TABLE
    matrix = np.zeros((size, side))
    for offset in (-1, 0, 1, 2):
        distance = np.abs(part - offset)
        near = ((bend + 2) * distance - (bend + 3)) * distance**2 + 1
        far = ((bend * distance - 5 * bend) * distance + 8 * bend) * distance - 4 * bend
        weight = np.where(distance <= 1, near, far)
        where = whole + offset
        inside = (where >= 0) & (where < side)
        weight = np.where(inside | (not centres), weight, 0)
        np.add.at(matrix, (np.arange(size), np.clip(where, 0, side - 1)), weight)
    if centres:
        matrix /= matrix.sum(1, keepdims=True)
    return matrix.astype(np.float32)


OPERATORS = {
    "ResizeBilinear": bilinear,
    "ResizeBicubic": bicubic,
    "ResizeNearestNeighbor": nearest,
}
