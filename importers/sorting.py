"""Topological order of an ONNX graph: every tensor is made once, before it is read; otherwise one clear error."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from onnx import GraphProto, NodeProto

from .errors import InputError, nearest_names
from .walk import subgraphs


def sort_nodes(graph: GraphProto, outer: frozenset[str] = frozenset()) -> None:
    """Sort the nodes of a graph and of its subgraphs in place; already sorted ones keep their order.

    `outer`: names of the surrounding graphs, which a subgraph may read.
    Raises InputError for a tensor made twice or never, and for a cycle (naming the nodes on it).
    """
    makers = _makers(graph)
    known = outer | makers.keys() | {value.name for value in graph.input} | _stored(graph)
    read = [reads(node) for node in graph.node]
    for node, names in zip(graph.node, read, strict=True):
        for name in names - known:
            raise InputError(
                f"node {label(node)} reads tensor {name}, which nothing makes; {nearest_names(name, sorted(known))}"
            )
    for value in graph.output:
        if value.name not in known:
            raise InputError(f"the graph's output {value.name} is made by no node; {nearest_names(value.name, makers)}")
    order = _order(graph.node, read, makers)
    if order != list(range(len(order))):
        nodes = [graph.node[index] for index in order]
        del graph.node[:]
        graph.node.extend(nodes)
    for node in graph.node:
        for attribute in node.attribute:
            for body in subgraphs(attribute):
                sort_nodes(body, known)


def label(node: NodeProto) -> str:
    """How a node is called in messages: its name, else its first output, and its operator."""
    name = node.name or next(iter(node.output), "")
    return f"{name} ({node.op_type})" if name else f"({node.op_type})"


def _stored(graph: GraphProto) -> set[str]:
    dense = {tensor.name for tensor in graph.initializer}
    return dense | {sparse.values.name for sparse in graph.sparse_initializer}


def _makers(graph: GraphProto) -> dict[str, int]:
    """Tensor name -> index of the node that makes it."""
    given = {value.name for value in graph.input} | _stored(graph)
    if len(graph.initializer) != len({tensor.name for tensor in graph.initializer}):
        raise InputError("two initializers have the same name")
    makers: dict[str, int] = {}
    for index, node in enumerate(graph.node):
        for name in filter(None, node.output):
            if name in makers or name in given:
                other = label(graph.node[makers[name]]) if name in makers else "an input or initializer"
                raise InputError(f"tensor {name} is made twice: by {label(node)} and by {other}")
            makers[name] = index
    return makers


def reads(node: NodeProto) -> set[str]:
    """Names a node depends on: its inputs and what its subgraphs take from outside."""
    names = set(filter(None, node.input))
    for attribute in node.attribute:
        for body in subgraphs(attribute):
            names |= _free_names(body)
    return names


def _free_names(graph: GraphProto) -> set[str]:
    inside = {value.name for value in graph.input} | _stored(graph)
    inside |= {name for node in graph.node for name in node.output}
    read = {value.name for value in graph.output if value.name}
    return read.union(*(reads(node) for node in graph.node)) - inside


def _order(nodes: Iterable[NodeProto], read: list[set[str]], makers: dict[str, int]) -> list[int]:
    """Indices in topological order, the smallest possible index first (Kahn)."""
    labels = list(nodes)
    sources = [{makers[name] for name in names if name in makers} for names in read]
    waiting = [len(found) for found in sources]
    readers: dict[int, list[int]] = {}
    for index, found in enumerate(sources):
        for source in found:
            readers.setdefault(source, []).append(index)
    ready = [index for index, count in enumerate(waiting) if not count]
    order: list[int] = []
    while ready:
        index = heapq.heappop(ready)
        order.append(index)
        for reader in readers.get(index, ()):
            waiting[reader] -= 1
            if not waiting[reader]:
                heapq.heappush(ready, reader)
    if len(order) < len(labels):
        cycle = [label(labels[index]) for index in _cycle(sources, set(range(len(labels))) - set(order))]
        raise InputError(f"the graph is cyclic: {' → '.join(cycle[:6])}{' → …' if len(cycle) > 6 else ''}")
    return order


def _cycle(sources: list[set[int]], blocked: set[int]) -> list[int]:
    """Nodes of one cycle, in the direction of the data, the first repeated at the end."""
    path = [min(blocked)]
    while path.count(path[-1]) == 1:  # every blocked node waits for a blocked one
        path.append(min(sources[path[-1]] & blocked))
    return path[path.index(path[-1]) :][::-1]
