"""Graph: a read-only view of an ONNX graph in the words of the field: nodes, tensors, shapes, who feeds whom."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ...importers.errors import InputError, nearest_names
from ...importers.opset import refusal_reason
from ...importers.tensors import read_tensor, shape_text
from .shapes import TensorType, believe_file, infer_tensor_types
from .traced_run import traced_types

_SMALL = 1 << 16  # elements: constants up to this size are read as values (shapes, axes, scales)


@dataclass(frozen=True, eq=False)
class Node:
    """One operator of the graph."""

    index: int  # position in topological order
    name: str
    op: str  # "Conv"; other domains as "com.microsoft.Gelu"
    inputs: tuple[str, ...]  # tensor names, "" for an omitted optional one
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(repr=False)

    def attribute(self, name: str, default: Any = None) -> Any:
        """The attribute's value as plain Python, or `default`."""
        return self.attributes.get(name, default)


class Graph:
    """Nodes in topological order and the type of every tensor, for one set of input shapes.

    `types` has an entry for every tensor; `shape_note` says why some shapes are unknown or may be wrong ("": none).
    """

    def __init__(
        self,
        proto: onnx.ModelProto,
        input_shapes: Mapping[str, tuple[int, ...]],
        folder: Path | None = None,  # where the weights lie that are not in `proto`
    ) -> None:
        self.nodes = tuple(_node(index, node) for index, node in enumerate(proto.graph.node))
        self.initializers = {tensor.name: tensor for tensor in proto.graph.initializer}
        self.inputs = tuple(input_shapes)
        self.outputs = tuple(value.name for value in proto.graph.output)
        self.opset = next((entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")), 1)
        self.folder = folder
        self.types: dict[str, TensorType] = infer_tensor_types(proto, input_shapes)
        self.shape_note = self._trace(proto, input_shapes)

    def _trace(self, proto: onnx.ModelProto, input_shapes: Mapping[str, tuple[int, ...]]) -> str:
        """Find the types that inference left open. Returns why some stay open, or ""."""
        unknown = [name for node in self.nodes for name in node.outputs if name and not self.types[name].is_known]
        if not unknown:
            return ""
        inputs = {name: self.types[name] for name in self.inputs if name in self.types}
        try:
            self.types |= traced_types(proto, inputs, self.types, unknown, self.folder)
        except Exception as error:  # custom operators, data it cannot take …: onnxruntime exports none of its types
            self.types |= believe_file(proto, input_shapes, self.types)
            sizes = ", ".join(f"{name} {shape_text(shape)}" for name, shape in input_shapes.items())
            why = refusal_reason(str(error))
            return f"the network does not run with {sizes} ({why}): some shapes are unknown or the file's own"
        still = [name for name in unknown if not self.types[name].is_known]
        return f"shapes that depend on the image: {', '.join(still)}" if still else ""

    @cached_property
    def producers(self) -> dict[str, Node]:
        """Tensor name -> the node that makes it."""
        return {name: node for node in self.nodes for name in node.outputs if name}

    @cached_property
    def consumers(self) -> dict[str, tuple[Node, ...]]:
        """Tensor name -> the nodes that read it."""
        readers: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                if name:
                    readers.setdefault(name, []).append(node)
        return {name: tuple(nodes) for name, nodes in readers.items()}

    def shape(self, tensor: str) -> tuple[int | None, ...] | None:
        """The tensor's shape; None in place of an unknown dimension, None for an unknown rank."""
        known = self.types.get(tensor)
        return None if known is None else known.shape

    def constant(self, tensor: str) -> np.ndarray | None:
        """The value of a small constant tensor (initializer or Constant node), or None when it is not one."""
        stored = self.initializers.get(tensor)
        if stored is not None:
            return self.weight(tensor) if math.prod(stored.dims) <= _SMALL else None
        maker = self.producers.get(tensor)
        if maker is None or maker.op != "Constant":
            return None
        return _constant_value(maker)

    def weight(self, tensor: str) -> np.ndarray:
        """The value of an initializer of any size; one that lies in its own file is mapped, not copied.

        Raises InputError when there is no such initializer or its file cannot be used.
        """
        if tensor not in self.initializers:
            raise InputError(f"no weight is called {tensor}; {nearest_names(tensor, self.initializers)}")
        return read_tensor(self.initializers[tensor], self.folder)


def _node(index: int, proto: onnx.NodeProto) -> Node:
    op = proto.op_type if proto.domain in ("", "ai.onnx") else f"{proto.domain}.{proto.op_type}"
    attributes = {entry.name: _attribute(entry) for entry in proto.attribute}
    return Node(index, proto.name, op, tuple(proto.input), tuple(proto.output), attributes)


def _attribute(entry: onnx.AttributeProto) -> Any:
    value = helper.get_attribute_value(entry)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value


def _constant_value(node: Node) -> np.ndarray | None:
    for name, value in node.attributes.items():
        if name == "value":
            return numpy_helper.to_array(value)
        if name in ("value_float", "value_int", "value_floats", "value_ints"):
            return np.asarray(value)
    return None
