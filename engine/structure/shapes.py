"""Shape and dtype of every tensor: onnx's own inference on a copy of the graph without its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, shape_inference

_LARGE = 1024  # elements: larger initializers are weights, whose values say nothing about shapes


@dataclass(frozen=True)
class TensorType:
    """Element type and shape of a tensor."""

    dtype: str  # NumPy's name, or "bfloat16", "int4" …
    shape: tuple[int | None, ...] | None

    @property
    def elements(self) -> int | None:
        """Number of elements, or None when a dimension is unknown."""
        if self.shape is None or None in self.shape:
            return None
        return int(np.prod([n for n in self.shape if n is not None], dtype=np.int64))


def infer_tensor_types(proto: onnx.ModelProto, input_shapes: Mapping[str, tuple[int, ...]]) -> dict[str, TensorType]:
    """Tensor name -> type, for every tensor of the main graph that can be known."""
    skeleton = without_weights(proto)
    for value in skeleton.graph.input:
        if value.name in input_shapes:
            _set_shape(value, input_shapes[value.name])
    inferred = shape_inference.infer_shapes(skeleton, data_prop=True)
    graph = inferred.graph
    types = {value.name: _type(value) for value in (*graph.input, *graph.value_info, *graph.output)}
    for tensor in proto.graph.initializer:
        types[tensor.name] = TensorType(dtype_name(tensor.data_type), tuple(tensor.dims))
    return types


def without_weights(proto: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which every large initializer has become a graph input of the same type."""
    copy = onnx.ModelProto(
        ir_version=max(proto.ir_version, 4), opset_import=proto.opset_import, functions=proto.functions
    )
    graph = copy.graph
    graph.name = proto.graph.name or "graph"
    graph.node.extend(proto.graph.node)
    graph.output.extend(proto.graph.output)
    graph.value_info.extend(proto.graph.value_info)
    stored = {tensor.name for tensor in proto.graph.initializer}
    graph.input.extend(value for value in proto.graph.input if value.name not in stored)
    for tensor in proto.graph.initializer:
        if np.prod(tensor.dims, dtype=float) <= _LARGE:
            graph.initializer.append(tensor)
        else:
            graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    return copy


_DTYPE_NAMES = {
    number: {"DOUBLE": "float64", "FLOAT": "float32"}.get(name, name.lower())
    for name, number in onnx.TensorProto.DataType.items()
}


def dtype_name(data_type: int) -> str:
    """ONNX element type number -> "float32", "int8", "bfloat16" …"""
    return _DTYPE_NAMES.get(data_type, f"type {data_type}")


def _set_shape(value: onnx.ValueInfoProto, shape: tuple[int, ...]) -> None:
    dims = value.type.tensor_type.shape.dim
    del dims[:]
    for size in shape:
        dims.add(dim_value=size)


def _type(value: onnx.ValueInfoProto) -> TensorType:
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return TensorType(dtype_name(tensor.elem_type), None)
    dims = tuple(d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim)
    return TensorType(dtype_name(tensor.elem_type), dims)
