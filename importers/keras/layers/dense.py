"""Layers that multiply the last axis by a matrix, or look rows up in one."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from ..layer_writer import OTHER_MASK, LayerWriter
from .activation import end_in_activation

_MOST_AXES = 5  # of a tensor that a convolution takes


def dense(layer: LayerWriter) -> None:
    """x @ kernel + bias over the last axis, kernel [in, out]."""
    kernel = layer.array("kernel")
    if kernel.ndim != 2:
        raise layer.error(f"expected a kernel of two axes, found {list(kernel.shape)}")
    shape = layer.shape()
    if isinstance(shape[-1], int) and shape[-1] != kernel.shape[0]:
        raise layer.error(f"its weights are for {kernel.shape[0]} numbers, the input has {shape[-1]}")
    x = layer.either()
    bias = [layer.weight("bias", lambda: layer.array("bias").reshape(kernel.shape[1]))] if layer.has("bias") else []
    end_in_activation(layer)
    if len(shape) == 2:
        layer.emit("Gemm", [x, _matrix(layer, kernel), *bias])
    elif layer.first and len(shape) <= _MOST_AXES:
        sides = [1] * (len(shape) - 2)
        weight = layer.weight("kernel_as_convolution", lambda: kernel.T.reshape(*kernel.T.shape, *sides))
        layer.emit("Conv", [x, weight, *bias], kernel_shape=sides)
    else:
        operands = [layer.source(), layer.weight("kernel", lambda: kernel)]
        if bias:
            layer.emit("Add", [layer.add("product", "MatMul", operands), *bias])
        else:
            layer.emit("MatMul", operands)


def _matrix(layer: LayerWriter, kernel: np.ndarray) -> str:
    """The kernel; after a Flatten that kept channels first, its rows are in that order too."""
    sides = layer.scope.flattened.get(layer.inputs[0])
    if sides is None:
        return layer.weight("kernel", lambda: kernel)
    rows = kernel.reshape(*sides, -1)
    return layer.weight("kernel_channels_first", lambda: np.moveaxis(rows, len(sides) - 1, 0), kernel.shape)


def embedding(layer: LayerWriter) -> None:
    """A row of the matrix for each number."""
    x = layer.source()
    index = layer.add("index", "Cast", [x], to=TensorProto.INT64)
    result = layer.emit("Gather", [layer.weight("embeddings", lambda: layer.array("embeddings")), index], axis=0)
    if layer.flag("mask_zero"):
        steps = layer.add("mask", "Cast", [index], to=TensorProto.BOOL)
        layer.scope.masks[result] = steps if len(layer.shape()) == 2 else OTHER_MASK


def einsum_dense(layer: LayerWriter) -> None:
    """x and the kernel multiplied and summed as an equation says, plus a bias that broadcasts to the result."""
    equation = str(layer.option("equation", "")).replace(" ", "")
    operands = [layer.source(), layer.weight("kernel", lambda: layer.array("kernel"))]
    end_in_activation(layer)
    if not layer.has("bias"):
        layer.emit("Einsum", operands, equation=equation)
        return
    bias = layer.weight("bias", lambda: layer.array("bias"))
    layer.emit("Add", [layer.add("product", "Einsum", operands, equation=equation), bias])


LAYERS = {"Dense": dense, "EinsumDense": einsum_dense, "Embedding": embedding}
