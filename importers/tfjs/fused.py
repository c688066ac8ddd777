"""Operators that TensorFlow.js' converter fuses, taken apart again: a convolution, its bias, its activation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..errors import InputError
from ..tensorflow.reader import Node

_FIRST = {
    "_FusedConv2D": "Conv2D",
    "FusedDepthwiseConv2dNative": "DepthwiseConv2dNative",
    "_FusedMatMul": "MatMul",
}
FUSED = tuple(_FIRST)
_WITH_TENSOR = ("BiasAdd", "Prelu")  # which have an input of their own


def unfused(nodes: Sequence[Node]) -> list[Node]:
    """The same network without fused nodes. Raises InputError where one lacks an input."""
    taken = {node.name for node in nodes}
    return [part for node in nodes for part in (_apart(node, taken) if node.op in _FIRST else (node,))]


def _apart(node: Node, taken: set[str]) -> Iterator[Node]:
    steps = node.attributes.get("fused_ops")
    if not isinstance(steps, list):
        raise InputError(f"the node {node.name} ({node.op}) does not say what is fused in it; the file is damaged")
    kinds = [_FIRST[node.op], *(str(step) for step in steps if step != "NoOp")]  # which holds a missing bias' place
    extra = iter(node.inputs[2:])
    before = ""
    for at, kind in enumerate(kinds):
        name = node.name if at == len(kinds) - 1 else _free(f"{node.name}/{kind}", taken)
        inputs = node.inputs[:2] if at == 0 else [before]
        if at and kind in _WITH_TENSOR:
            inputs = [*inputs, _next(extra, node, kind)]
        yield Node(name, kind, list(inputs), node.attributes if at == 0 else _options(node, kind))
        before = name


def _next(extra: Iterator[str], node: Node, kind: str) -> str:
    found = next(extra, None)
    if found is None:
        raise InputError(f"the node {node.name} ({node.op}) has no input for its {kind}; the file is damaged")
    return found


def _options(node: Node, kind: str) -> dict[str, Any]:
    given = {name: node.attributes[name] for name in ("T", "data_format") if name in node.attributes}
    if kind == "LeakyRelu":
        given["alpha"] = node.attributes.get("leakyrelu_alpha", 0.2)
    return given


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name
