"""Operators with kernels or a weight matrix."""

from __future__ import annotations

import math
from typing import Any

from ..operator_writer import OperatorWriter
from ..windows import pads, sides, stated_pads


def convolution(operator: OperatorWriter) -> None:
    """Over any number of spatial axes, grouped and dilated; kernels [M, C / group, …], of NHWC [M, …, C / group]."""
    shape = operator.images()
    axes = len(shape) - 2
    kernels = operator.graph.shape(operator.image(1))
    kernel, stride = sides(operator, "kernel", axes, 0), sides(operator, "stride", axes, 1)
    dilation = sides(operator, "dilation", axes, 1)
    group = operator.integer("group", 1)
    channels = operator.sizes(shape[1:2])[0]
    if group < 1 or channels % group or list(kernels[1:]) != [channels // group, *kernel]:
        raise operator.error(
            f"kernels {list(kernels)} do not fit {channels} channels in {group} groups, sides {kernel}"
        )
    operator.emit(
        "Conv",
        _with_bias(operator, kernels[0]),
        kernel_shape=kernel,
        strides=stride,
        pads=pads(operator, shape[2:], kernel, stride, dilation),
        dilations=dilation,
        group=group,
    )


def _with_bias(operator: OperatorWriter, count: object) -> list[str]:
    bias = [operator.vector(2, count)] if len(operator.inputs) > 2 else []
    return [operator.image(0), operator.image(1), *bias]


def transposed(operator: OperatorWriter) -> None:
    """Transposed; kernels [C, M / group, h, w], of NHWC [C, h, w, M / group]."""
    shape, kernels = operator.images(4), operator.graph.shape(operator.image(1))
    if operator.integer("legacy_pad"):
        raise operator.error("legacy_pad is not supported for transposed convolutions")
    kernel, stride = sides(operator, "kernel", 2, 0), sides(operator, "stride", 2, 1)
    group = operator.integer("group", 1)
    if group < 1 or len(kernels) != 4 or kernels[0] != shape[1] or list(kernels[2:]) != kernel:
        raise operator.error(f"kernels {list(kernels)} do not fit {shape[1]} channels, sides {kernel}")
    beyond = [operator.integer(f"adj_{side}", operator.integer("adj")) for side in "hw"]
    attributes: dict[str, Any] = {"output_padding": beyond} if any(beyond) else {}
    operator.emit(
        "ConvTranspose",
        _with_bias(operator, operator.sizes(kernels[1:2])[0] * group),
        kernel_shape=kernel,
        strides=stride,
        pads=stated_pads(operator, 2),
        group=group,
        **attributes,
    )


def fully_connected(operator: OperatorWriter) -> None:
    """Everything from an axis on, in the file's order, times a matrix [out, in]."""
    _dense(operator, transposed=False)


def fully_connected_transposed(operator: OperatorWriter) -> None:
    """As `fully_connected`, the matrix [in, out]."""
    _dense(operator, transposed=True)


def _dense(operator: OperatorWriter, *, transposed: bool) -> None:
    shape, axis, axis_w = operator.shape(), operator.axis(operator.integer("axis", 1)), operator.integer("axis_w", 1)
    matrix = operator.shape(1)
    if axis_w != 1 or len(matrix) < 2:
        raise operator.error(f"expected a matrix flattened from axis 1 on, found {list(matrix)} from axis {axis_w} on")
    rows, columns = operator.sizes(matrix[:1])[0], math.prod(operator.sizes(matrix[1:]))
    inside, outside = (rows, columns) if transposed else (columns, rows)
    known = [dim for dim in shape[axis:] if isinstance(dim, int)]
    if len(known) == len(shape) - axis and math.prod(known) != inside:
        raise operator.error(f"the matrix {rows}x{columns} does not fit its input {list(shape)}")
    weights = operator.plain(1)
    if len(matrix) > 2:
        weights = operator.reshaped("matrix", weights, [rows, columns])
    bias = [operator.vector(2, outside)] if len(operator.inputs) > 2 else []
    flat = operator.plain(0)
    if len(shape) > 2 or axis != 1:
        flat = operator.add("flat", "Flatten", [flat], axis=axis)
    inputs = [flat, weights, *bias]
    if axis == 1:
        operator.emit("Gemm", inputs, transB=int(not transposed))
        return
    product = operator.add("product", "Gemm", inputs, transB=int(not transposed))
    operator.emit("Reshape", [product, operator.ints("shape", [*operator.sizes(shape[:axis]), outside])])


def matmul(operator: OperatorWriter) -> None:
    """Of the last two axes, either of them turned first."""
    terms = []
    for index, flag in enumerate(("trans_a", "trans_b")):
        rank, term = len(operator.shape(index)), operator.plain(index)
        if rank < 2:
            raise operator.error("expected two inputs of two axes or more")
        if operator.integer(flag):
            perm = [*range(rank - 2), rank - 1, rank - 2]
            term = operator.add(f"turned{index}", "Transpose", [term], perm=perm)
        terms.append(term)
    operator.emit("MatMul", terms)


OPERATORS = {
    "Conv": convolution,
    "Conv1D": convolution,
    "Conv2D": convolution,
    "Conv3D": convolution,
    "ConvTranspose": transposed,
    "FC": fully_connected,
    "FCTransposed": fully_connected_transposed,
    "MatMul": matmul,
    "BatchMatMul": matmul,
}
