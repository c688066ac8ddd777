"""A network whose layers lose what they learned, one after the other or each alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import numpy_helper

from ...importers.tensors import read_tensor
from ..model import Model
from ..structure.semantics import operands
from ..structure.stored_weights import stored_weights

if TYPE_CHECKING:
    from ..gradient.certificate import BridgeCertificate
    from ..gradient.samples import Inputs
    from ..structure.graph import Graph

_STATISTICS = ("mean", "variance")  # of batch normalisation: measured, not learned


@dataclass(frozen=True)
class WeightedLayer:
    """A node with learned weights."""

    name: str
    op: str
    weights: tuple[str, ...]  # the stored tensors


class RandomisedModel:
    """A copy of a model whose layers' weights can be shuffled and brought back; the model itself is never changed.

    A shuffled tensor has the same values in random order: the same shape, mean and standard deviation, exactly and in
    every number type, and no structure. It is always the same order for one tensor and seed.
    """

    def __init__(self, model: Model, seed: int) -> None:
        self._original = model
        self._proto = onnx.ModelProto()
        self._proto.CopyFrom(model.proto)
        self._stored = {tensor.name: tensor for tensor in self._proto.graph.initializer}
        self._seed = seed

    def shuffle(self, layer: WeightedLayer) -> None:
        """Put the layer's weights into random order."""
        for name in layer.weights:
            tensor = self._stored[name]
            values = read_tensor(tensor, self._original.folder)
            generator = np.random.default_rng((self._seed, list(self._stored).index(name)))
            shuffled = generator.permutation(values.ravel()).reshape(values.shape)
            tensor.CopyFrom(numpy_helper.from_array(shuffled, name))

    def restore(self, layer: WeightedLayer) -> None:
        """Give the layer its own weights again."""
        for name in layer.weights:
            self._stored[name].CopyFrom(self._original.graph.initializers[name])

    def model(self) -> Model:
        """The network as it is now; it holds until the next change."""
        original = self._original
        model = _SameOperators(self._proto, original.path, original.companion)
        model.spec, model.source, model.original = original.spec, original.source, original
        return model


class _SameOperators(Model):
    """A network of the original's operators with other numbers."""

    original: Model

    def torch_certificate(self, inputs: Inputs | None = None, *, gradients: bool = True) -> BridgeCertificate:
        """The original's, which is about the operators; one for each random network would take longer than its maps."""
        return self.original.torch_certificate(inputs, gradients=gradients)


def weighted_layers(model: Model, tensors: Sequence[str]) -> list[WeightedLayer]:
    """The layers with weights that these tensors depend on, from the output to the input. A weight that several layers
    share is the first one's."""
    graph = model.graph
    needed = _needed(graph, tensors)
    found: dict[int, list[str]] = {}
    for weight in stored_weights(graph):
        if weight.role not in _STATISTICS and weight.node is not None and weight.node.index in needed:
            found.setdefault(weight.node.index, []).append(weight.name)
    nodes = graph.nodes
    return [
        WeightedLayer(nodes[index].name or nodes[index].outputs[0], nodes[index].op, tuple(found[index]))
        for index in sorted(found, reverse=True)
    ]


def _needed(graph: Graph, tensors: Sequence[str]) -> set[int]:
    """The nodes that these tensors are computed from."""
    needed: set[int] = set()
    waiting = list(tensors)
    while waiting:
        node = graph.producers.get(waiting.pop())
        if node is not None and node.index not in needed:
            needed.add(node.index)
            waiting += operands(node)
    return needed
