"""Resize: along each axis what it does is a matrix, which onnxruntime itself is asked for."""

from __future__ import annotations

import math

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from ...providers import open_session
from ..step import Backward, Gradients, Step, Unsupported
from .movement import along_axis

_ROWS, _COLUMNS = 2, 3


def _resized(step: Step) -> Gradients:
    x, made = step.shape(step.x), step.shape(step.y)
    if len(x) != 4 or x[1] != made[1] or step.attribute("coordinate_transformation_mode") == "tf_crop_and_resize":
        raise Unsupported("other axes than rows and columns, and regions of interest")
    matrices = {axis: _matrix(step, axis, x[axis]) for axis in (_ROWS, _COLUMNS)}
    factors = [_block(matrix) for matrix in matrices.values()]
    if None not in factors:
        blocks = [factor or 1 for factor in factors]
        mean = step.write("AveragePool", step.gradient, kernel_shape=blocks, strides=blocks)
        return [step.scaled(mean, float(math.prod(blocks)))]
    gradient = step.gradient
    for axis, matrix in matrices.items():
        gradient = along_axis(step, gradient, axis, matrix)
    return [gradient]


def _block(matrix: np.ndarray) -> int | None:
    """How many places each one was repeated to, where that is all that happened."""
    made, given = matrix.shape
    factor = made // given
    if factor * given < made or factor == 0:
        return None
    return factor if np.array_equal(matrix, np.eye(matrix.shape[1]).repeat(factor, 0)) else None


def _matrix(step: Step, axis: int, size: int) -> np.ndarray:  # [made, given]
    """What becomes of images that are 1 at one place along the axis."""
    images = np.expand_dims(np.eye(size, dtype=np.float32), (0, 5 - axis))  # [1, size, size, 1] or [1, size, 1, size]
    stored = [numpy_helper.from_array(values, name) for name, values in _sizes(step, axis, size).items()]
    inputs = ["x", "", *(tensor.name if tensor.dims[0] else "" for tensor in stored)]
    node = helper.make_node("Resize", inputs, ["y"], **step.node.attributes)
    declared = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * 4) for name in ("x", "y")]
    graph = helper.make_graph([node], "resize", declared[:1], declared[1:], stored)
    opset = helper.make_opsetid("", step.graph.opset)
    session = open_session(helper.make_model(graph, opset_imports=[opset], ir_version=8), [], ["CPUExecutionProvider"])
    (made,) = session.run(None, {"x": images})
    matrix: np.ndarray = made[0].reshape(size, -1).T
    return matrix


def _sizes(step: Step, axis: int, size: int) -> dict[str, np.ndarray]:
    """The node's scales or sizes for these images."""
    scales, sizes = (step.constant(number) for number in (2, 3))
    if step.attribute("axes"):
        raise Unsupported("the attribute axes")
    if sizes is not None and sizes.size:
        found = np.ones(4, np.int64)
        found[1], found[axis] = size, sizes[axis]
        return {"scales": np.zeros(0, np.float32), "sizes": found}
    assert scales is not None
    factors = np.ones(4, np.float32)
    factors[axis] = scales[axis]
    return {"scales": factors}


TABLE: dict[str, Backward] = {"Resize": _resized}
