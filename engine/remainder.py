"""The rest of a network from one tensor on, as a network of its own: what would it say if that tensor were another?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import helper

from ..importers.errors import InputError
from .model import Model
from .structure.semantics import RANDOM, operands

if TYPE_CHECKING:
    from .structure.graph import Graph, Node


@dataclass(frozen=True)
class Remainder:
    """A network that begins at a tensor of another one, and gives one tensor of it."""

    model: Model  # its first input is the tensor
    beside: tuple[str, ...]  # its other inputs: what it reads of the part that does not depend on the tensor
    rows: frozenset[str]  # those of them that have a row an image; the others are the same for any number
    at_once: int | None  # how many values of the tensor go into one run; None: any number

    def run(self, versions: np.ndarray, beside: Mapping[str, np.ndarray]) -> np.ndarray:  # [n, …] -> [n, …]
        """What the network makes of n versions of the tensor, for one image, whose values `beside` are."""
        size = self.at_once or len(versions)
        feeds = {name: np.repeat(beside[name], size, 0) if name in self.rows else beside[name] for name in self.beside}
        begin, (end,) = next(iter(self.model.input_shapes)), self.model.graph.outputs
        parts = []
        for start in range(0, len(versions), size):
            rows = np.minimum(np.arange(start, start + size), len(versions) - 1)  # a fixed batch is filled up
            parts.append(self.model.session().run({begin: versions[rows], **feeds})[end])
        return np.concatenate(parts)[: len(versions)]


def remainder(model: Model, tensor: str, wanted: str) -> Remainder:
    """The network from `tensor` to `wanted`.

    Raises InputError when `wanted` does not depend on `tensor`.
    """
    graph, batching = model.graph, model.session().batching
    nodes = _between(graph, tensor, wanted)
    if not nodes:
        raise InputError(f"{wanted} does not depend on {tensor}: choose a layer before {wanted}")
    stored = _stored(graph)
    nodes += _makers(graph, [name for name in _read(nodes) if name in stored])
    made = {tensor, *(name for node in nodes for name in node.outputs)}
    read = [name for name in _read(nodes) if name not in made]
    beside = tuple(name for name in read if name not in stored)
    rows = frozenset(name for name in beside if batching.has_batch_axis(name) and _has_rows(model, name))
    at_once = batching.fixed or (None if rows.issuperset(beside) else 1)
    free = {tensor, *rows} if at_once is None else set()
    proto = onnx.ModelProto(ir_version=model.proto.ir_version)
    proto.opset_import.extend(model.proto.opset_import)
    proto.functions.extend(model.proto.functions)
    proto.graph.name = f"{model.proto.graph.name} from {tensor}"
    proto.graph.node.extend(model.proto.graph.node[node.index] for node in _in_order(nodes))
    proto.graph.initializer.extend(graph.initializers[name] for name in read if name in graph.initializers)
    proto.graph.input.extend(_declared(graph, name, name in free) for name in (tensor, *beside))
    proto.graph.output.append(onnx.ValueInfoProto(name=wanted))
    return Remainder(Model(proto, model.path), beside, rows, at_once)


def _has_rows(model: Model, tensor: str) -> bool:
    batch = next((shape[0] for shape in model.input_shapes.values() if shape), 1)
    return (model.graph.shape(tensor) or ())[:1] == (batch,)


def _read(nodes: Iterable[Node]) -> dict[str, None]:
    return dict.fromkeys(name for node in nodes for name in operands(node))


def _stored(graph: Graph) -> set[str]:
    """The tensors that follow from the file alone, whatever the image and the number of images."""
    stored = set(graph.initializers)
    for node in graph.nodes:
        if node.op not in RANDOM and stored.issuperset(operands(node)):
            stored.update(node.outputs)
    return stored


def _makers(graph: Graph, tensors: list[str]) -> list[Node]:
    """The nodes that make these of what is stored."""
    found: dict[Node, None] = {}
    while tensors:
        node = graph.producers.get(tensors.pop())
        if node is not None and node not in found:
            found[node] = None
            tensors += operands(node)
    return list(found)


def _in_order(nodes: Iterable[Node]) -> list[Node]:
    return sorted(dict.fromkeys(nodes), key=lambda node: node.index)


def _declared(graph: Graph, tensor: str, any_batch: bool) -> onnx.ValueInfoProto:
    shape = graph.shape(tensor)
    sizes = ["N", *shape[1:]] if any_batch and shape is not None else shape
    return helper.make_tensor_value_info(
        tensor, helper.np_dtype_to_tensor_dtype(np.dtype(graph.types[tensor].dtype)), sizes
    )


def _between(graph: Graph, tensor: str, wanted: str) -> list[Node]:
    """The nodes that depend on `tensor` and that `wanted` depends on."""
    after: set[str] = {tensor}
    for node in graph.nodes:
        if tensor not in node.outputs and not after.isdisjoint(operands(node)):
            after.update(node.outputs)
    needed, nodes = {wanted}, []
    for node in reversed(graph.nodes):
        is_asked_for = tensor not in node.outputs and not needed.isdisjoint(node.outputs)
        if is_asked_for and not after.isdisjoint(operands(node)):
            nodes.append(node)
            needed.update(operands(node))
    return nodes
