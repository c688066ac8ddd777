"""Layers with a weight matrix, and products of matrices."""

from __future__ import annotations

import math

from onnx import TensorProto

from ..layer_writer import LayerWriter


def inner_product(layer: LayerWriter) -> None:
    """Fully connected: all channels, rows and columns of an image, or the last axis of anything smaller."""
    param, shape = layer.param, layer.shape()
    if param.int8DynamicQuantize:
        raise layer.error("rounding its input to 8 bits at run time is not supported")
    if len(shape) > 4:
        raise layer.error(f"expected an input of 1 to 4 axes, found {len(shape)}")
    width = math.prod(layer.sizes(shape[1:] if len(shape) == 4 else shape[-1:]))
    weights = [layer.stored("weights", param.weights, (param.outputChannels, width))]
    if param.hasBias:
        weights.append(layer.stored("bias", param.bias, (param.outputChannels,)))
    if len(shape) == 4:
        layer.flat = True
        flat = layer.add("flat", "Flatten", layer.inputs, axis=1)
        layer.emit("Gemm", [flat, *weights], transB=1)
    elif len(shape) == 2:
        layer.emit("Gemm", [*layer.inputs, *weights], transB=1)
    else:
        _product(layer, layer.add("transposed", "Transpose", weights[:1], perm=[1, 0]), weights[1:])


def _product(layer: LayerWriter, matrix: str, bias: list[str]) -> None:
    """The last axis times a matrix [in, out]."""
    if not bias:
        layer.emit("MatMul", [layer.inputs[0], matrix])
        return
    layer.emit("Add", [layer.add("product", "MatMul", [layer.inputs[0], matrix]), *bias])


def batched_matmul(layer: LayerWriter) -> None:
    """Of two inputs' last two axes, or of one and a stored matrix, which is stored a column after another."""
    param = layer.param
    if param.int8DynamicQuantize:
        raise layer.error("rounding its input to 8 bits at run time is not supported")
    if len(layer.inputs) == 1:
        rows, columns = param.weightMatrixFirstDimension, param.weightMatrixSecondDimension
        matrix = layer.constant("weights", layer.weights("weights", param.weights, (columns, rows)).T)
        _product(layer, matrix, [layer.stored("bias", param.bias, (columns,))] if param.hasBias else [])
        return
    terms = [_turned(layer, index, flag) for index, flag in enumerate((param.transposeA, param.transposeB))]
    layer.emit("MatMul", terms)


def _turned(layer: LayerWriter, index: int, flag: bool) -> str:
    rank = len(layer.shape(index))
    if rank < 2:
        raise layer.error("expected two inputs of two axes or more")
    if not flag:
        return layer.inputs[index]
    perm = [*range(rank - 2), rank - 1, rank - 2]
    return layer.add(f"turned{index}", "Transpose", [layer.inputs[index]], perm=perm)


def embedding_nd(layer: LayerWriter) -> None:
    """A column of the weights [size, words] for each index; the indices have a last axis of one."""
    param, rank = layer.param, len(layer.shape())
    table = layer.weights("weights", param.weights, (param.embeddingSize, param.vocabSize)).T
    flat = layer.add("flat", "Squeeze", [layer.inputs[0], layer.ints("last_axis", [rank - 1])])
    index = layer.add("index", "Cast", [flat], to=TensorProto.INT64)
    rows = [layer.constant("weights", table), index]
    if not param.hasBias:
        layer.emit("Gather", rows)
        return
    bias = layer.stored("bias", param.bias, (param.embeddingSize,))
    layer.emit("Add", [layer.add("rows", "Gather", rows), bias])


def gather(layer: LayerWriter) -> None:
    """Slices of the first input picked by the second."""
    index = layer.add("index", "Cast", layer.inputs[1:2], to=TensorProto.INT64)
    layer.emit("Gather", [layer.inputs[0], index], axis=layer.axis(layer.param.axis))


LAYERS = {
    "innerProduct": inner_product,
    "batchedMatmul": batched_matmul,
    "embeddingND": embedding_nd,
    "gather": gather,
}
