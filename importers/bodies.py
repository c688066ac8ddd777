"""Weights kept inside the bodies of If, Loop and Scan become weights of the model, where everything else finds them.

A body may read tensors of the graphs around it, so nothing about the network changes. Whole numbers stay where they
are: they say shapes and axes, which onnx's inference looks for inside the body.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from onnx import GraphProto, NodeProto, TensorProto

from .walk import subgraphs

_NO_WEIGHTS = {TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL, TensorProto.STRING}


def is_weight(tensor: TensorProto) -> bool:
    """Whether a stored tensor may be learned: more than one value, and of a type that weights have."""
    return math.prod(tensor.dims) > 1 and tensor.data_type not in _NO_WEIGHTS


def lift_body_weights(graph: GraphProto) -> None:
    """Move the weights of all bodies to `graph`; one that is a body's output stays. Names in use get a number."""
    defined = Counter(name for inner in (graph, *_bodies(graph)) for name in _defined(inner))
    for body in _bodies(graph):
        outputs = {value.name for value in body.output}
        lifted = [tensor for tensor in body.initializer if is_weight(tensor) and tensor.name not in outputs]
        kept = [tensor for tensor in body.initializer if not is_weight(tensor) or tensor.name in outputs]
        names = {tensor.name: _unused(tensor.name, defined) for tensor in lifted}
        for tensor in lifted:
            tensor.name = names[tensor.name]
        graph.initializer.extend(lifted)
        del body.initializer[:]
        body.initializer.extend(kept)
        _rename_reads(body, names)


def _bodies(graph: GraphProto) -> Iterator[GraphProto]:
    """Every body in the graph, the innermost first."""
    for node in graph.node:
        for body in _bodies_of(node):
            yield from _bodies(body)
            yield body


def _bodies_of(node: NodeProto) -> Iterator[GraphProto]:
    for attribute in node.attribute:
        yield from subgraphs(attribute)


def _defined(graph: GraphProto) -> Iterator[str]:
    yield from (value.name for value in graph.input)
    yield from (tensor.name for tensor in graph.initializer)
    yield from (name for node in graph.node for name in node.output if name)


def _unused(name: str, defined: Counter[str]) -> str:
    """`name` where nothing else has it, else with the first free number."""
    if defined[name] == 1:
        return name
    defined[name] -= 1
    number = next(n for n in range(1, len(defined) + 2) if not defined[f"{name}_{n}"])
    defined[f"{name}_{number}"] = 1
    return f"{name}_{number}"


def _rename_reads(body: GraphProto, names: dict[str, str]) -> None:
    for node in body.node:
        for position, name in enumerate(node.input):
            node.input[position] = names.get(name, name)
        for inner in _bodies_of(node):
            hidden = set(_defined(inner))
            _rename_reads(inner, {old: new for old, new in names.items() if old not in hidden})
