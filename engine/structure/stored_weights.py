"""Which tensors of a file are weights, which node uses each and how, and their values as that node sees them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from ...importers.errors import InputError, nearest_names
from .cost import QUANTISED_WEIGHT, Costs
from .graph import Graph, Node
from .semantics import read_by_bodies

_NORM = {1: "scale", 2: "bias"}
_LINEAR = {1: "weight", 2: "bias"}
_PRODUCT = {0: "weight", 1: "weight"}
_RECURRENT = {1: "weight", 2: "recurrence", 3: "bias"}
_QUANTISED = {3: "weight", 8: "bias", 6: "bias", 0: "weight"}
_ROLES: dict[str, dict[int, str]] = {
    "BatchNormalization": {**_NORM, 3: "mean", 4: "variance"},
    "DeformConv": {1: "weight", 3: "bias"},
    "Gather": {0: "embedding"},
    "PRelu": {1: "slope"},
    **dict.fromkeys(("InstanceNormalization", "GroupNormalization", "LayerNormalization", "RMSNormalization"), _NORM),
    "Gemm": {0: "weight", **_LINEAR},
    **dict.fromkeys(("Conv", "ConvTranspose", "ConvInteger", "com.microsoft.FusedConv"), _LINEAR),
    **dict.fromkeys(("MatMul", "MatMulInteger"), _PRODUCT),
    **dict.fromkeys(("QLinearConv", "QLinearMatMul", "com.microsoft.QGemm"), _QUANTISED),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), _RECURRENT),
}
_ROLES_BY_NAME = {"weight": "scale", "bias": "bias", "running_mean": "mean", "running_var": "variance"}
_STATISTICS = {("BatchNormalization", 3), ("BatchNormalization", 4)}
CONVOLUTIONS = frozenset({"Conv", "ConvInteger", "DeformConv", "QLinearConv", "com.microsoft.FusedConv"})
_DEQUANTISES = 19  # opset


@dataclass(frozen=True)
class Weight:
    """A stored tensor and its first use."""

    name: str  # of the stored tensor
    role: str  # "weight", "bias", "scale" …; "constant" for a tensor that is not learned
    node: Node | None = None  # who uses it first
    position: int = 0  # as which input
    layers: tuple[str, ...] = ()  # names of all nodes that use it


def stored_weights(graph: Graph) -> tuple[Weight, ...]:
    """Every learned tensor and every running statistic once, in the order in which the nodes use them; without nodes,
    in the file's.
    """
    if not graph.nodes:
        return tuple(_unread(graph))
    found: dict[str, Weight] = {}
    for weight in _uses(graph):
        first = found.get(weight.name, weight)
        layers = tuple(dict.fromkeys((*first.layers, *weight.layers)))
        found[weight.name] = Weight(first.name, first.role, first.node, first.position, layers)
    return tuple(found.values())


def _unread(graph: Graph) -> Iterator[Weight]:
    """Weights without their network: what a tensor is shows in its name and shape, as PyTorch's layers have them."""
    for name in graph.initializers:
        kind = graph.types[name]
        if "float" in kind.dtype:
            own = name.rpartition(".")[2]
            yield Weight(name, "weight" if len(kind.shape or ()) > 1 else _ROLES_BY_NAME.get(own, "operand"))


def _uses(graph: Graph) -> Iterator[Weight]:
    costs = Costs(graph)
    for node, cost in zip(graph.nodes, costs.nodes, strict=True):
        learned = {parameter.name for parameter in cost.weights}
        for position, name in enumerate((*node.inputs, *read_by_bodies(node))):
            root = _root(graph, name, learned)
            statistic = (node.op, position) in _STATISTICS and name in graph.initializers
            if root in learned or statistic:
                role = _ROLES.get(node.op, {}).get(position, "operand")
                yield Weight(root, role, node, position, (node.name,))


def _root(graph: Graph, name: str, learned: set[str]) -> str:
    """The learned tensor behind a node's input: up through casts, reshapes and dequantisation."""
    while learned and name not in learned:
        maker = graph.producers.get(name)
        if maker is None or not maker.inputs:
            break
        name = maker.inputs[0]
    return name


def find_weights(graph: Graph, layer: str) -> tuple[Weight, ...]:
    """The weights that `layer` means: a node's name, its output's, a weight's, or that of any stored tensor.

    Raises InputError when nothing with weights is called so.
    """
    weights = stored_weights(graph)
    made_by = {name: node.name for node in graph.nodes for name in node.outputs}
    found = tuple(w for w in weights if w.name == layer) or tuple(
        w for w in weights if layer in w.layers or made_by.get(layer) in w.layers
    )
    if found:
        return found
    if layer in graph.initializers:
        return (Weight(layer, "constant", next(iter(graph.consumers.get(layer, ())), None)),)
    if layer in made_by or any(node.name == layer for node in graph.nodes):
        raise InputError(f"layer {layer} has no weights; {nearest_names(layer, _names(weights))}")
    raise InputError(f"no layer or weight is called {layer}; {nearest_names(layer, _names(weights))}")


def _names(weights: tuple[Weight, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*(layer for w in weights for layer in w.layers), *(w.name for w in weights))))


def read_weight(graph: Graph, weight: Weight) -> np.ndarray:
    """The values as the node computes with them: quantised ones as real numbers, casts and transposes applied. Those
    of ConvInteger and MatMulInteger, whose scale later nodes apply, lack that scale, but not the zero point.

    A stored float tensor that the node reads directly comes as it is, mapped from its file where it lies outside.
    """
    if weight.role == "constant" or weight.node is None:
        return _numeric(weight.name, graph.weight(weight.name))
    name = (*weight.node.inputs, *read_by_bodies(weight.node))[weight.position]
    values = graph.weight(name) if name in graph.initializers else computed(graph, name)
    scales = QUANTISED_WEIGHT.get(weight.node.op)
    if scales is not None and weight.position == scales[0]:
        values = _dequantised(graph, weight.node, values, *scales[1:])
    return _numeric(weight.name, values)


def _numeric(name: str, values: np.ndarray) -> np.ndarray:
    if values.dtype.kind in "OSUc":
        raise InputError(f"tensor {name} holds {values.dtype} values, which are no weights")
    return values


def _dequantised(graph: Graph, node: Node, values: np.ndarray, scale_at: int | None, zero_at: int) -> np.ndarray:
    scale = np.ones(1, np.float32) if scale_at is None else graph.constant(node.inputs[scale_at])
    zero = graph.constant(node.inputs[zero_at]) if zero_at < len(node.inputs) else None
    if scale is None:
        return values
    outputs = 0 if node.op in CONVOLUTIONS or node.attribute("transB", 0) else values.ndim - 1
    along = [-1 if axis == outputs else 1 for axis in range(values.ndim)]
    centred = values.astype(np.float32)
    if zero is not None:
        centred = centred - zero.astype(np.float32).reshape(along if zero.size > 1 else ())
    return centred * scale.astype(np.float32).reshape(along if scale.size > 1 else ())


def computed(graph: Graph, name: str) -> np.ndarray:
    """The value of a tensor that nodes make from stored ones only, by ONNX's own reference implementation.

    Raises InputError when it uses an operator that has none.
    """
    nodes, stored = _history(graph, name)
    inner = [
        helper.make_node(node.op.rpartition(".")[2], node.inputs, node.outputs, node.name, **dict(node.attributes))
        for node in nodes
    ]
    tensors = [numpy_helper.from_array(graph.weight(entry), entry) for entry in stored]
    output = helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None)
    body = helper.make_graph(inner, "weight", [], [output], tensors)
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", _evaluated_opset(graph, nodes))])
    try:
        outputs: Any = ReferenceEvaluator(model).run([name], {})
    except (NotImplementedError, RuntimeError, TypeError) as error:
        operators = ", ".join(sorted({node.op for node in nodes}))
        raise InputError(f"weight {name} is computed by {operators}, which cannot be evaluated: {error}") from error
    return np.asarray(outputs[0])


def _evaluated_opset(graph: Graph, nodes: list[Node]) -> int:
    """The reference implementation dequantises from opset 19 on only, with the meaning that opset 13 gave it."""
    return max(graph.opset, _DEQUANTISES) if any(node.op == "DequantizeLinear" for node in nodes) else graph.opset


def _history(graph: Graph, name: str) -> tuple[list[Node], list[str]]:
    """The nodes that a constant tensor comes from, in order, and the stored tensors they read."""
    nodes: dict[int, Node] = {}
    stored: dict[str, None] = {}
    waiting = [name]
    while waiting:
        tensor = waiting.pop()
        maker = graph.producers.get(tensor)
        if tensor in graph.initializers:
            stored[tensor] = None
        elif maker is not None and maker.index not in nodes:
            nodes[maker.index] = maker
            waiting.extend(entry for entry in maker.inputs if entry)
    return [nodes[index] for index in sorted(nodes)], list(stored)


def as_filters(weight: Weight, values: np.ndarray) -> np.ndarray | None:  # [out, in, *kernel]
    """The weight as one filter an output channel or unit, or None when it is no such thing (a bias, a scale …).

    One that no node reads is taken for that of a convolution or a dense layer of PyTorch: outputs first.
    """
    node = weight.node
    if weight.role != "weight" or values.ndim < 2:
        return None
    if node is None or node.op in CONVOLUTIONS:
        return values
    if node.op == "ConvTranspose":
        groups = node.attribute("group", 1)
        parts = values.reshape(groups, -1, *values.shape[1:])  # [G, C/G, M/G, *kernel]
        return np.moveaxis(parts, 2, 1).reshape(-1, parts.shape[1], *values.shape[2:])
    return _dense_filters(node, weight.position, values)


def _dense_filters(node: Node, position: int, values: np.ndarray) -> np.ndarray | None:
    if values.ndim != 2 or node.op in ("LSTM", "GRU", "RNN"):
        return None
    if node.op in ("Gemm", "com.microsoft.QGemm"):
        flipped = bool(node.attribute("transB", 0)) if position else not node.attribute("transA", 0)
        return values if flipped else values.T
    return values if position == 0 and node.op in ("MatMul", "MatMulInteger", "QLinearMatMul") else values.T
