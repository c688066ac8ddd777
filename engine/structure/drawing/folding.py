"""Values that a graph computes from constants and shapes only (pads, slice ends, target shapes)."""

from __future__ import annotations

from math import prod

import numpy as np
import onnx
from onnx import helper

from ..graph import Graph, Node

_SMALL = 1 << 16  # elements; larger results are weights, not shapes


class Folder:
    """Works out small constant tensors of one graph; each once."""

    def __init__(self, graph: Graph, constant: frozenset[str]) -> None:
        self.graph = graph
        self.constant = constant
        self._known: dict[str, np.ndarray | None] = {}

    def value(self, tensor: str) -> np.ndarray | None:
        """The tensor's value, or None when it depends on the image, is large or cannot be worked out."""
        if tensor not in self._known:
            self._known[tensor] = None  # a cycle cannot be; this also stops a second attempt after a failure
            self._known[tensor] = self._work_out(tensor)
        return self._known[tensor]

    def _work_out(self, tensor: str) -> np.ndarray | None:
        stored = self.graph.constant(tensor)
        maker = self.graph.producers.get(tensor)
        if stored is not None or maker is None or tensor not in self.constant:
            return stored
        if maker.op in ("Shape", "Size"):
            return self._shape(maker)
        known = self.graph.types[tensor].elements
        inputs = {name: self.value(name) for name in maker.inputs if name}
        if known is None or known > _SMALL or any(value is None for value in inputs.values()):
            return None
        return _run(maker, inputs, self.graph.opset)[maker.outputs.index(tensor)]

    def _shape(self, node: Node) -> np.ndarray | None:
        shape = self.graph.shape(node.inputs[0])
        if shape is None or None in shape:
            return None
        if node.op == "Size":
            return np.array(prod(known for known in shape if known is not None), np.int64)
        return np.array(shape, np.int64)[node.attribute("start", 0) : node.attribute("end")]


def _run(node: Node, inputs: dict[str, np.ndarray | None], opset: int) -> list[np.ndarray | None]:
    """One node alone, by ONNX's own definition of the operators."""
    from onnx.reference import ReferenceEvaluator

    domain, _, op = node.op.rpartition(".")
    proto = helper.make_node(op, node.inputs, node.outputs, domain=domain, **node.attributes)
    values = [onnx.ValueInfoProto(name=name) for name in inputs]
    graph = helper.make_graph([proto], "one", values, [onnx.ValueInfoProto(name=name) for name in node.outputs if name])
    model = helper.make_model_gen_version(graph, opset_imports=[helper.make_opsetid("", opset)])
    try:
        found = iter(ReferenceEvaluator(model).run(None, inputs))
    except Exception:  # an operator the definition does not cover: the value stays unknown
        return [None] * len(node.outputs)
    return [next(found) if name else None for name in node.outputs]
