"""Everything a graph holds, subgraphs (bodies of If, Loop, Scan) included."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from onnx import AttributeProto, GraphProto, NodeProto, TensorProto


def subgraphs(attribute: AttributeProto) -> tuple[GraphProto, ...]:
    """The graphs an attribute holds."""
    return (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs)


def all_nodes(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """The nodes and those inside their subgraphs."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in subgraphs(attribute):
                yield from all_nodes(graph.node)


def all_tensors(graph: GraphProto) -> Iterator[TensorProto]:
    """Every tensor stored in a graph: initializers and attributes, dense and sparse."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        yield from node_tensors(node)


def node_tensors(node: NodeProto) -> Iterator[TensorProto]:
    """Every tensor stored in a node's attributes."""
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        for sparse in (*attribute.sparse_tensors, *([attribute.sparse_tensor] * attribute.HasField("sparse_tensor"))):
            yield from (sparse.values, sparse.indices)
        for graph in subgraphs(attribute):
            yield from all_tensors(graph)
