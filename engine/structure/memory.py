"""Peak activation memory: a liveness plan over the order in which the file lists its nodes."""

from __future__ import annotations

from dataclasses import dataclass

from .cost import tensor_bytes
from .graph import Graph
from .semantics import constant_tensors, operands


@dataclass(frozen=True)
class PeakMemory:
    """The most that has to be held at one moment, weights not counted."""

    bytes: int | None  # None: the shape of some tensor is not known
    node: str  # the node that runs at that moment
    largest: str  # the largest tensor alive then
    alive: dict[str, int]  # tensor -> bytes, everything alive then
    unknown: tuple[str, ...]  # tensors of unknown size


def peak_memory(graph: Graph) -> PeakMemory:
    """The peak when nodes run one after the other in file order and a tensor is freed after its last reader.

    A node's inputs and outputs are alive together: nothing is computed in place, and a Reshape makes a copy, so a
    runtime that reuses buffers needs less. Inputs live from the start, outputs to the end. Weights and everything
    that is computed from weights alone are not counted.
    """
    constant = constant_tensors(graph)
    last = _last_readers(graph)
    alive = {name: tensor_bytes(graph, name) for name in graph.inputs}
    unknown = {name for name, size in alive.items() if size is None}
    best, best_node, best_alive = sum(size or 0 for size in alive.values()), "", dict(alive)
    for node in graph.nodes:
        made = {name: tensor_bytes(graph, name) for name in node.outputs if name and name not in constant}
        unknown.update(name for name, size in made.items() if size is None)
        alive.update(made)
        held = sum(size or 0 for size in alive.values())
        if held > best:
            best, best_node, best_alive = held, node.name, dict(alive)
        for name in (*operands(node), *made):
            if last.get(name, node.index) <= node.index:
                alive.pop(name, None)
    sizes = {name: size for name, size in best_alive.items() if size}
    largest = max(sizes, key=sizes.__getitem__, default="")
    return PeakMemory(None if unknown else best, best_node, largest, sizes, tuple(sorted(unknown)))


def _last_readers(graph: Graph) -> dict[str, int]:
    """Tensor -> index of the last node that reads it; outputs of the graph are read after the last node."""
    last = {name: node.index for node in graph.nodes for name in operands(node)}
    return {**last, **dict.fromkeys(graph.outputs, len(graph.nodes))}
