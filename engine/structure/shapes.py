"""Shape and dtype of every tensor: onnx's own inference on a copy of the graph without its weights.

What a file states about its inner tensors may be stale (another input size, an edited graph), so it is not believed:
shapes are inferred from the inputs. For what inference cannot tell the network is run once (`traced_run`); the file's
own statements come last.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper

from ...importers.errors import InputError
from ...importers.tensors import is_external
from ...importers.walk import subgraphs
from .inference import survivable_inference

_LARGE = 1024  # elements: larger initializers are weights, whose values say nothing about shapes


@dataclass(frozen=True)
class TensorType:
    """Element type and shape of a tensor."""

    dtype: str  # NumPy's name, or "bfloat16", "int4" …; "unknown"; "sequence" and the like for what is no tensor
    shape: tuple[int | None, ...] | None

    @property
    def elements(self) -> int | None:
        """Number of elements, or None when a dimension is unknown."""
        if self.shape is None or None in self.shape:
            return None
        return int(np.prod([n for n in self.shape if n is not None], dtype=object))

    @property
    def is_known(self) -> bool:
        """Whether nothing is left to find out."""
        return self.dtype != UNKNOWN.dtype and (self.elements is not None or self.dtype in _NO_TENSOR)


UNKNOWN = TensorType("unknown", None)
_NO_TENSOR = ("sequence", "map", "optional")


def infer_tensor_types(proto: onnx.ModelProto, input_shapes: Mapping[str, tuple[int, ...]]) -> dict[str, TensorType]:
    """Tensor name -> type, for every tensor of the main graph; UNKNOWN where inference cannot tell."""
    skeleton = without_weights(proto)
    for value in skeleton.graph.input:
        if value.name in input_shapes:
            _set_shape(value, input_shapes[value.name])
    types = dict.fromkeys((name for node in proto.graph.node for name in node.output if name), UNKNOWN)
    types.update(_infer(skeleton))
    for tensor in proto.graph.initializer:
        types[tensor.name] = TensorType(dtype_name(tensor.data_type), tuple(tensor.dims))
    return types


def believe_file(
    proto: onnx.ModelProto, input_shapes: Mapping[str, tuple[int, ...]], known: Mapping[str, TensorType]
) -> dict[str, TensorType]:
    """Types of the tensors not in full `known`, with the file's own statements about them believed."""
    stated = {value.name: value for value in (*proto.graph.value_info, *proto.graph.output)}
    hinted = without_weights(proto)
    for value in hinted.graph.input:
        if value.name in input_shapes:
            _set_shape(value, input_shapes[value.name])
    hinted.graph.value_info.extend(stated[name] for name in known if name in stated and not known[name].is_known)
    found = _infer(hinted)
    found = {name: _type(stated[name]) for name in known if name in stated} | found
    return {name: kind for name, kind in found.items() if name in known and not known[name].is_known}


def _infer(skeleton: onnx.ModelProto) -> dict[str, TensorType]:
    try:
        graph = survivable_inference(skeleton).graph
    except InputError:
        raise
    except Exception:  # C++: a contradiction, a type or an opset it does not know; each arrives as another type
        graph = skeleton.graph
    values = (*graph.input, *graph.value_info, *graph.output)
    return {value.name: _type(value) for value in values if value.type.WhichOneof("value")}


def without_weights(proto: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which every large initializer has become a graph input of the same type, and nothing is stated about
    the tensors that nodes make."""
    copy = onnx.ModelProto(
        ir_version=max(proto.ir_version, 4), opset_import=proto.opset_import, functions=proto.functions
    )
    graph = copy.graph
    graph.name = "graph"
    graph.node.extend(proto.graph.node)
    for node in graph.node:
        _forget(node)
    graph.output.extend(onnx.ValueInfoProto(name=value.name) for value in proto.graph.output)
    stored = {tensor.name for tensor in proto.graph.initializer}
    graph.input.extend(value for value in proto.graph.input if value.name not in stored)
    for tensor in proto.graph.initializer:
        if math.prod(tensor.dims) <= _LARGE and not is_external(tensor):
            graph.initializer.append(tensor)
        else:
            graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    return copy


def _forget(node: onnx.NodeProto) -> None:
    """Drop what subgraphs state about their inner tensors."""
    for attribute in node.attribute:
        for graph in subgraphs(attribute):
            del graph.value_info[:]
            for inner in graph.node:
                _forget(inner)


_DTYPE_NAMES = {
    number: {"DOUBLE": "float64", "FLOAT": "float32"}.get(name, name.lower())
    for name, number in onnx.TensorProto.DataType.items()
}
_DTYPE_NAMES[onnx.TensorProto.UNDEFINED] = UNKNOWN.dtype


def dtype_name(data_type: int) -> str:
    """ONNX element type number -> "float32", "int8", "bfloat16" …"""
    return _DTYPE_NAMES.get(data_type, f"type {data_type}")


def _set_shape(value: onnx.ValueInfoProto, shape: tuple[int, ...]) -> None:
    dims = value.type.tensor_type.shape.dim
    del dims[:]
    for size in shape:
        dims.add(dim_value=size)


def _type(value: onnx.ValueInfoProto) -> TensorType:
    kind = value.type.WhichOneof("value") or ""
    if kind not in ("tensor_type", "sparse_tensor_type"):
        return TensorType(kind.removesuffix("_type"), None) if kind else UNKNOWN
    tensor = getattr(value.type, kind)
    if not tensor.HasField("shape"):
        return TensorType(dtype_name(tensor.elem_type), None)
    dims = tuple(d.dim_value if d.HasField("dim_value") and d.dim_value >= 0 else None for d in tensor.shape.dim)
    return TensorType(dtype_name(tensor.elem_type), dims)
