"""composites: activations that a file writes as chains of simple operators, recognised by what they compute.

x * Sigmoid(x), x * Clip(x + 3, 0, 6) / 6, 0.5 * x * (1 + Erf(x / sqrt(2))) … come in many algebraic orders: a chain of
elementwise operators from one tensor to one tensor whose values agree with an activation's is that activation.
(engine/gradient/kinds.py does the same for torch's graphs.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from .graph import Graph, Node

Value = Callable[[str], np.ndarray | None]  # of a tensor that is the same for every image, else None

_ENDS = ("Mul", "Div")  # what such a chain ends in
_ELEMENTWISE = (
    *("Add", "Sub", "Mul", "Div", "Neg", "Reciprocal", "Pow", "Sqrt", "Exp", "Log", "Min", "Max", "Clip", "Relu"),
    *("Erf", "Tanh", "Sigmoid", "HardSigmoid", "Softplus", "Identity", "Cast"),
)
_LONGEST = 12  # nodes in a chain
_TOLERANCE = 2e-5  # of values up to 9; Gelu's two forms are 5e-4 apart
_SAMPLES = np.concatenate([np.linspace(-9, 9, 181), [-40.0, 40.0]]).astype(np.float32)


def with_activations(graph: Graph, value: Value) -> tuple[Node, ...]:
    """The graph's nodes, one in place of every such chain, unless a tensor inside it is read elsewhere."""
    found: dict[int, Node] = {}
    swallowed = set[int]()
    for node in reversed(graph.nodes):
        if node.op in _ENDS and node.index not in swallowed:
            chain, activation = _recognised(graph, node, value)
            if activation is not None:
                found[node.index] = activation
                swallowed.update(member.index for member in chain if member is not node)
    return tuple(found.get(node.index, node) for node in graph.nodes if node.index not in swallowed)


def _recognised(graph: Graph, end: Node, value: Value) -> tuple[list[Node], Node | None]:
    chain = [end]
    while len(chain) <= _LONGEST:
        sources = _sources(graph, chain, value)
        if sources is None:
            break
        if len(sources) == 1 and len(chain) > 1:
            name, attributes = _activation(graph, chain, sources[0], value)
            if name:
                return chain, Node(end.index, end.name, name, (sources[0],), (end.outputs[0],), attributes)
        last = graph.producers.get(sources[0])
        if last is None or last.op not in _ELEMENTWISE or not _is_read_by(graph, last, chain):
            break
        chain.append(last)
    return chain, None


def _is_read_by(graph: Graph, node: Node, chain: list[Node]) -> bool:
    """And by nothing else."""
    tensor = node.outputs[0]
    return tensor not in graph.outputs and all(reader in chain for reader in graph.consumers.get(tensor, ()))


def _sources(graph: Graph, chain: list[Node], value: Value) -> list[str] | None:
    """What the chain reads besides numbers, the last computed first; None where it reads a whole constant tensor."""
    made = {node.outputs[0] for node in chain}
    read = {name for node in chain for name in node.inputs if name and name not in made}
    values = {name: value(name) for name in read}
    if any(known is not None and known.size != 1 for known in values.values()):
        return None
    variable = [name for name in read if values[name] is None]
    return sorted(variable, key=lambda name: -_position(graph, name)) or None


def _position(graph: Graph, tensor: str) -> int:
    maker = graph.producers.get(tensor)
    return -1 if maker is None else maker.index


def _activation(graph: Graph, chain: list[Node], source: str, value: Value) -> tuple[str, Mapping[str, Any]]:
    """The activation whose values the chain has, or ""."""
    made = {node.outputs[0] for node in chain}
    numbers = {name: value(name) for node in chain for name in node.inputs if name and name not in made | {source}}
    stored = [numpy_helper.from_array(known, name) for name, known in numbers.items() if known is not None]
    inputs, outputs = (
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)] for name in (source, chain[0].outputs[0])
    )
    nodes = [helper.make_node(node.op, node.inputs, node.outputs, **node.attributes) for node in reversed(chain)]
    nodes = sorted(nodes, key=lambda node: _position(graph, node.output[0]))
    proto = helper.make_model(
        helper.make_graph(nodes, "chain", inputs, outputs, stored),
        opset_imports=[helper.make_opsetid("", graph.opset)],
    )
    try:
        made_of_samples: Any = ReferenceEvaluator(proto).run(None, {source: _SAMPLES})
    except (RuntimeError, TypeError, ValueError, KeyError, onnx.checker.ValidationError):
        return "", {}
    (found,) = made_of_samples
    if found.shape != _SAMPLES.shape:
        return "", {}
    matches = (name for name, known in _catalogue().items() if np.allclose(found, known, 1e-6, _TOLERANCE))
    return _NAMES.get(next(matches, ""), ("", {}))


_NAMES: dict[str, tuple[str, Mapping[str, Any]]] = {
    "gelu": ("Gelu", {}),
    "gelu tanh": ("Gelu", {"approximate": "tanh"}),
    "swish": ("Swish", {}),
    "quick gelu": ("com.microsoft.QuickGelu", {}),
    "hard swish": ("HardSwish", {}),
    "mish": ("Mish", {}),
}


@cache
def _catalogue() -> dict[str, np.ndarray]:
    x = _SAMPLES.astype(np.float64)
    sigmoid, softplus = 1 / (1 + np.exp(-x)), np.logaddexp(0, x)
    return {
        "gelu": x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2))),
        "gelu tanh": x * 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
        "swish": x * sigmoid,
        "quick gelu": x / (1 + np.exp(-1.702 * x)),
        "hard swish": x * np.clip(x + 3, 0, 6) / 6,
        "mish": x * np.tanh(softplus),
    }
