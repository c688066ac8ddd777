"""GraphBuilder: writes an ONNX graph node by node, keeps names unique and knows every tensor's shape as it goes.

Shared by the importers that translate layer by layer. Shapes are inferred by ONNX itself, one node at a time, so a
layer function can ask for the shape of what it reads; the finished model is checked as a whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, defs, helper, numpy_helper, shape_inference

OPSET = 17
IR_VERSION = 8

Dim = int | str | None  # a size, the name of a dynamic size, or unknown


class GraphBuilder:
    """Collects nodes, initializers and their types; `finish` gives the checked model."""

    def __init__(self, name: str, reserved: Iterable[str] = ()) -> None:
        """`reserved`: tensor names that only an explicit `output` may take."""
        self._model = onnx.ModelProto(ir_version=IR_VERSION, opset_import=[helper.make_opsetid("", OPSET)])
        self._model.graph.name = name or "graph"
        self._reserved = set(reserved)
        self._nodes: list[onnx.NodeProto] = []
        self._node_names: set[str] = set()
        self._inputs: list[str] = []
        self._initializers: dict[str, TensorProto] = {}  # those of the model itself: weights are copied only once
        self._types: dict[str, onnx.TypeProto] = {}

    def input(self, name: str, shape: Sequence[Dim], dtype: int = TensorProto.FLOAT) -> str:
        """Declare a graph input."""
        self._declare(name, helper.make_tensor_type_proto(dtype, shape))
        self._inputs.append(name)
        return name

    def constant(self, name: str, value: np.ndarray, shape: Sequence[int] | None = None) -> str:
        """Store an array as an initializer, in this shape where it is not its own; returns its name, made unique.

        A view will do, whatever the order of its axes: this puts its numbers in order as it copies them.
        """
        name = self._free(name, {*self._types, *self._reserved})
        dims = value.shape if shape is None else shape
        dtype = helper.np_dtype_to_tensor_dtype(value.dtype)
        tensor = self._model.graph.initializer.add(name=name, data_type=dtype, dims=dims)
        tensor.raw_data = value.astype(value.dtype.newbyteorder("<"), copy=False).tobytes()
        self._initializers[name] = tensor
        self._declare(name, helper.make_tensor_type_proto(dtype, dims))
        return name

    def node(
        self,
        op: str,
        inputs: Sequence[str],
        outputs: str | Sequence[str],
        *,
        name: str,
        shape: Sequence[Dim] | None = None,  # of the first output, where inference cannot know it
        **attributes: Any,
    ) -> str:
        """Append a node; returns its first output. The node's name is made unique, its outputs must be.

        Raises ValueError when the operator does not take these inputs.
        """
        outputs = [outputs] if isinstance(outputs, str) else list(outputs)
        name = self._free(name, self._node_names)
        self._node_names.add(name)
        node = helper.make_node(op, inputs, outputs, name=name, **attributes)
        self._nodes.append(node)
        types = self._infer(node)
        if shape is not None:
            element = types[outputs[0]].tensor_type.elem_type if outputs[0] in types else TensorProto.FLOAT
            types[outputs[0]] = helper.make_tensor_type_proto(element, shape)
        for output in filter(None, outputs):
            self._declare(output, types.get(output, onnx.TypeProto()))
        return outputs[0]

    def temporary(self, name: str) -> str:
        """A free tensor name like `name`."""
        return self._free(name, {*self._types, *self._reserved})

    def shape(self, tensor: str) -> tuple[Dim, ...]:
        """The shape of a tensor written so far. Raises ValueError when its rank is unknown."""
        declared = self._types[tensor].tensor_type
        if not declared.HasField("shape"):
            raise ValueError(f"the shape of {tensor} is unknown")
        return tuple(
            dim.dim_value if dim.HasField("dim_value") else (dim.dim_param or None) for dim in declared.shape.dim
        )

    def element(self, tensor: str) -> int:
        """The type of a tensor's numbers, as `TensorProto.FLOAT`."""
        return int(self._types[tensor].tensor_type.elem_type)

    def value(self, tensor: str) -> np.ndarray | None:
        """The value of an initializer, else None."""
        stored = self._initializers.get(tensor)
        return None if stored is None else numpy_helper.to_array(stored)

    def __contains__(self, tensor: object) -> bool:
        return tensor in self._types

    def finish(self, outputs: Sequence[str], producer: str = "onnxray") -> onnx.ModelProto:
        """The model with these outputs: nothing unused in it, checked, every shape inferred again as a whole.

        The builder has given away its graph and is done. Raises ValueError when ONNX finds it inconsistent.
        """
        missing = next((name for name in outputs if name not in self), None)
        if missing is not None:
            raise ValueError(f"nothing makes its output {missing}")
        model, graph = self._model, self._model.graph
        model.producer_name = producer
        nodes = self._live(outputs)
        read = {name for node in nodes for name in node.input} | set(outputs)
        for index in reversed(range(len(graph.initializer))):
            if graph.initializer[index].name not in read:
                del graph.initializer[index]
        graph.node.extend(nodes)
        graph.input.extend(self._value_info(name) for name in self._inputs)
        graph.output.extend(self._value_info(name) for name in outputs)
        inner = [name for node in nodes for name in node.output if name and name not in outputs]
        graph.value_info.extend(self._value_info(name) for name in inner if self._types[name].WhichOneof("value"))
        _check(model)
        return model

    def _live(self, outputs: Sequence[str]) -> list[onnx.NodeProto]:
        needed, nodes = set(outputs), []
        for node in reversed(self._nodes):
            if needed & set(node.output):
                needed.update(node.input)
                nodes.append(node)
        return nodes[::-1]

    def _infer(self, node: onnx.NodeProto) -> dict[str, onnx.TypeProto]:
        schema = defs.get_schema(node.op_type, OPSET)
        types = {name: self._types[name] for name in node.input if name}
        data = {name: tensor for name in node.input if (tensor := self._initializers.get(name)) and _is_small(tensor)}
        opset = [helper.make_opsetid("", OPSET)]
        try:
            return dict(shape_inference.infer_node_outputs(schema, node, types, data, None, opset, IR_VERSION))
        except (onnx.checker.ValidationError, shape_inference.InferenceError) as error:
            raise ValueError(str(error)) from error

    def _declare(self, name: str, kind: onnx.TypeProto) -> None:
        if name in self._types:
            raise ValueError(f"two tensors are called {name}")
        self._types[name] = kind

    def _value_info(self, name: str) -> onnx.ValueInfoProto:
        return helper.make_value_info(name, self._types[name])

    @staticmethod
    def _free(name: str, taken: Iterable[str] | Mapping[str, Any]) -> str:
        candidate, number = name, 1
        while candidate in taken:
            number += 1
            candidate = f"{name}_{number}"
        return candidate


def _check(model: onnx.ModelProto) -> None:
    bare = _without_weights(model)  # they play no part in either check, and would be copied by both
    try:
        onnx.checker.check_model(bare)
        shape_inference.infer_shapes(bare, check_type=True, strict_mode=True, data_prop=not _has_long_list(bare))
    except (onnx.checker.ValidationError, shape_inference.InferenceError) as error:
        raise ValueError(f"the graph is not valid ONNX: {error}") from error


_SMALL = 1 << 12  # elements: shapes, axes and the like, which inference reads


def _is_small(tensor: TensorProto) -> bool:
    return math.prod(tensor.dims) <= _SMALL


def _has_long_list(model: onnx.ModelProto) -> bool:
    """Whether a list is too long to be a shape: inference would follow each of its numbers, whatever their type."""
    graph = model.graph
    shapes = [value.type.tensor_type.shape.dim for value in (*graph.input, *graph.value_info, *graph.output)]
    return any(len(dims) == 1 and dims[0].dim_value > _SMALL for dims in shapes)


def _without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which large initializers are graph inputs of the same type."""
    bare = onnx.ModelProto()
    bare.ir_version = model.ir_version
    bare.opset_import.extend(model.opset_import)
    for field in ("node", "input", "output", "value_info"):
        getattr(bare.graph, field).extend(getattr(model.graph, field))
    bare.graph.name = model.graph.name
    for tensor in model.graph.initializer:
        if _is_small(tensor):
            bare.graph.initializer.add().CopyFrom(tensor)
        else:
            bare.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    return bare
