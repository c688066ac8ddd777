"""Convolutions as what they compute: weights and bias with the normalisation behind them folded in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ..structure.graph import Graph, Node
from ..structure.stored_weights import as_filters, computed, read_weight, stored_weights

# ConvInteger is not among them: its scale is known when it runs only.
_BIAS = {"Conv": 2, "ConvTranspose": 2, "com.microsoft.FusedConv": 2, "DeformConv": 4, "QLinearConv": 8}
_EPSILON = 1e-5  # of BatchNormalization, where the node does not say


@dataclass(frozen=True)
class Convolution:
    """One filter an output channel."""

    node: Node
    weights: np.ndarray = field(repr=False)  # [out, in, *kernel] float64, in: of one group
    bias: np.ndarray = field(repr=False)  # [out] float64
    tensor: str  # what it makes, behind the normalisation that alone reads it

    @property
    def name(self) -> str:
        """What findings call it."""
        return layer_name(self.node)

    @property
    def norms(self) -> np.ndarray:  # [out]
        """Length of every filter as a vector."""
        return np.sqrt(np.square(self.weights).reshape(len(self.weights), -1).sum(1))


def layer_name(node: Node) -> str:
    """The node's name; in a graph of nameless nodes that of what it makes."""
    return node.name or node.outputs[0]


def operators(text: str) -> frozenset[str]:
    """Names with spaces between them."""
    return frozenset(text.split())


def convolutions(graph: Graph) -> Iterator[Convolution]:
    """Every convolution with stored weights, in the graph's order, one in memory at a time."""
    for weight in stored_weights(graph):
        node = weight.node
        if node is None or node.op not in _BIAS:
            continue
        filters = as_filters(weight, read_weight(graph, weight))
        if filters is not None and np.isfinite(filters).all():
            yield _folded(graph, node, filters.astype(np.float64))


def _folded(graph: Graph, node: Node, filters: np.ndarray) -> Convolution:
    scale, bias, tensor = np.ones(len(filters)), _bias(graph, node, len(filters)), node.outputs[0]
    for reader in _chain(graph, tensor):
        change = _affine(graph, reader, tensor, len(filters))
        if change is None:
            break
        scale, bias, tensor = scale * change[0], bias * change[0] + change[1], reader.outputs[0]
    return Convolution(node, filters * scale.reshape(-1, *[1] * (filters.ndim - 1)), bias, tensor)


def _bias(graph: Graph, node: Node, channels: int) -> np.ndarray:  # [out]
    position = _BIAS[node.op]
    if position >= len(node.inputs) or not node.inputs[position]:
        return np.zeros(channels)
    bias = stored_value(graph, node.inputs[position])
    if bias is None:
        return np.zeros(channels)
    if node.op == "QLinearConv":  # int32, in units of the scales of input and weights
        scales = [stored_value(graph, node.inputs[at]) for at in (1, 4)]
        bias = np.prod([np.ones(channels) * (1.0 if scale is None else scale) for scale in scales], 0) * bias
    return bias.astype(np.float64)


def _chain(graph: Graph, tensor: str) -> Iterator[Node]:
    """The nodes behind a tensor, as long as each alone reads what the one before made."""
    while tensor not in graph.outputs and len(readers := graph.consumers.get(tensor, ())) == 1:
        yield readers[0]
        tensor = readers[0].outputs[0]


def _affine(graph: Graph, node: Node, tensor: str, channels: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Factor and summand [out] of a node that gives `tensor` a new scale and offset a channel; None: it does not."""
    if node.op == "BatchNormalization" and node.inputs[0] == tensor:
        found = [stored_value(graph, name) for name in node.inputs[1:5]]
        if any(value is None for value in found):
            return None
        gain, shift, mean, variance = (np.asarray(value, np.float64) for value in found)
        factor = gain / np.sqrt(variance + node.attribute("epsilon", _EPSILON))
        return factor, shift - factor * mean
    operand = channel_constant(graph, node, tensor, channels)
    if operand is None:
        return None
    one, none = np.ones(channels), np.zeros(channels)
    if node.op in ("Mul", "Div"):
        return (operand if node.op == "Mul" else 1 / operand), none
    return one, (-operand if node.op == "Sub" else operand)


def channel_constant(graph: Graph, node: Node, tensor: str, channels: int) -> np.ndarray | None:  # [out]
    """The constant, one number a channel, that Add, Sub, Mul or Div combines with `tensor`; None: it does no such
    thing."""
    if node.op not in ("Add", "Sub", "Mul", "Div") or tensor not in node.inputs:
        return None
    place = 1 - node.inputs.index(tensor)
    if place == 0 and node.op in ("Sub", "Div"):
        return None
    value = stored_value(graph, node.inputs[place])
    if value is None or value.size not in (1, channels):
        return None
    rank = len(graph.shape(tensor) or ())
    if value.size > 1 and rank - value.ndim + value.shape.index(value.size) != 1:
        return None  # it lies along another axis
    return np.ones(channels) * value.astype(np.float64).reshape(-1)


def stored_value(graph: Graph, name: str) -> np.ndarray | None:
    """A tensor that is stored or made of stored ones; None when it depends on the image."""
    if name in graph.initializers:
        return graph.weight(name)
    if (small := graph.constant(name)) is not None:
        return small
    waiting = [name]
    while waiting:
        tensor = waiting.pop()
        if tensor in graph.initializers or not tensor:
            continue
        if tensor not in graph.producers:
            return None
        waiting.extend(graph.producers[tensor].inputs)
    return computed(graph, name)
