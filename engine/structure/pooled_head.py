"""A network's end of global average pooling and one dense layer: where class activation mapping finds its weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...importers.errors import InputError
from .graph import Graph, Node
from .places import Places, places
from .semantics import operands

_PASSING = ("Flatten", "Reshape", "Squeeze", "Unsqueeze", "Dropout", "Identity", "Cast")
_GLOBAL = ("GlobalAveragePool", "ReduceMean", "AveragePool")


@dataclass(frozen=True)
class PooledHead:
    """The score of a class is its weights times the mean of the features over all places, and its bias."""

    features: str  # tensor
    places: Places  # of it
    weights: np.ndarray  # [classes, C]; the identity where the means are the scores
    bias: np.ndarray  # [classes]


def pooled_head(graph: Graph, scores: str, image: tuple[int, int], constant: frozenset[str]) -> PooledHead:
    """The end of a network whose `scores` are [N, classes]; `image` and `constant` as of `places`.

    Raises InputError naming what stands there instead.
    """
    name, weights, bias = scores, None, np.zeros(1)
    while (node := graph.producers.get(name)) is not None:
        read = [entry for entry in operands(node) if entry not in constant]
        if node.op in _GLOBAL and (at := _all_places(graph, node, image, constant)) is not None:
            rows = np.eye(_channels(graph, node.inputs[0], at)) if weights is None else weights
            return PooledHead(node.inputs[0], at, rows, np.broadcast_to(bias, len(rows)))
        added = _added(graph, node, read)
        dense = _dense(graph, node) if weights is None else None
        if len(read) != 1 or (node.op not in _PASSING and added is None and dense is None):
            break
        if added is not None:
            bias = bias + (added if weights is None else weights @ added)
        if dense is not None:
            weights = dense
        name = read[0]
    found = f"{node.op} ({name})" if node is not None else name
    raise InputError(
        "cam expects a network that ends in global average pooling and at most one dense layer, "
        f"found {found} before the scores {scores}; grad_cam fits every network with a feature map"
    )


def _dense(graph: Graph, node: Node) -> np.ndarray | None:  # [classes, C]
    """The layer's weights, where the node is one."""
    if node.op not in ("Gemm", "MatMul", "Conv") or node.attribute("transA", 0):
        return None
    weights = _constant(graph, node.inputs[1])
    if weights is None or (node.op == "Conv" and not _is_dense(weights, node)):
        return None
    rows = weights.reshape(len(weights), -1) if node.op == "Conv" or node.attribute("transB", 0) else weights.T
    scaled: np.ndarray = rows * node.attribute("alpha", 1.0)
    return scaled


def _added(graph: Graph, node: Node, read: list[str]) -> np.ndarray | None:  # [classes] or [1]
    """The bias that the node adds, where it adds one."""
    if node.op == "Add":
        names = [name for name in node.inputs if name not in read]
    else:
        names = [name for name in node.inputs[2:] if name] if node.op in ("Gemm", "Conv") else []
    value = _constant(graph, names[0]) if len(names) == 1 else None
    return None if value is None else value.ravel() * node.attribute("beta", 1.0)


def _is_dense(kernel: np.ndarray, node: Node) -> bool:
    return all(size == 1 for size in kernel.shape[2:]) and node.attribute("group", 1) == 1


def _constant(graph: Graph, name: str) -> np.ndarray | None:
    """A weight, also one that is turned or renamed before it is used."""
    if name in graph.initializers:
        return graph.weight(name)
    node = graph.producers.get(name)
    if node is None or node.op not in ("Transpose", "Identity"):
        return graph.constant(name)
    value = _constant(graph, node.inputs[0])
    return value if value is None or node.op == "Identity" else value.transpose(node.attribute("perm"))


def _all_places(graph: Graph, node: Node, image: tuple[int, int], constant: frozenset[str]) -> Places | None:
    """The places of what the node reads, where it makes of every channel the mean over all of them."""
    at, shape = places(graph, node.inputs[0], image, constant), graph.shape(node.inputs[0]) or ()
    if at is None or at.extra:
        return None
    if node.op == "ReduceMean":
        axes = {"channels first": {2, 3}, "channels last": {1, 2}, "tokens": {1}}[at.layout]
        whole = {axis % len(shape) for axis in _axes(graph, node)} == axes
    elif node.op == "AveragePool":
        whole = tuple(node.attribute("kernel_shape")) == shape[2:] and not any(node.attribute("pads") or ())
    else:
        whole = at.layout == "channels first"
    return at if whole else None


def _channels(graph: Graph, tensor: str, at: Places) -> int:
    shape = graph.shape(tensor) or ()
    return shape[1 if at.layout == "channels first" else -1] or 0


def _axes(graph: Graph, node: Node) -> list[int]:
    stated = graph.constant(node.inputs[1]) if len(node.inputs) > 1 and node.inputs[1] else node.attribute("axes")
    return [] if stated is None else [int(axis) for axis in stated]
