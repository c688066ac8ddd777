"""The network, layer by layer, to ONNX."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx

from ..errors import InputError
from ..graph_builder import Dim, GraphBuilder
from .layer_writer import LayerWriter
from .layers import layer_functions
from .reader import Input, Layer, Network

_BATCH = "batch"
# Layers whose functions take [N, C] for [N, C, 1, 1].
FLAT_TOO = frozenset(
    {"activation", "clampedReLU", "innerProduct", "softmax", "unary", "add", "multiply", "average", "max", "min"}
)


def translate(network: Network) -> onnx.ModelProto:
    """The network as ONNX. Networks of the first versions take any number of images at once.

    Raises InputError when layers are not known, weights do not fit or the graph is inconsistent.
    """
    check_types(network.layers)
    return _Translation(network).run()


def check_types(layers: Sequence[Layer]) -> None:
    """Raise InputError when layer types are not known; all of them are named, with their layers."""
    known = layer_functions()
    unknown: dict[str, list[str]] = {}
    for layer in layers:
        if layer.type not in known:
            unknown.setdefault(layer.type, []).append(layer.name)
    if unknown:
        listed = "; ".join(f"{kind} (layer {', '.join(names)})" for kind, names in unknown.items())
        raise InputError(f"layer types that onnxray cannot translate: {listed}")


class _Translation:
    def __init__(self, network: Network) -> None:
        self.network = network
        self.exact = network.exact_arrays or network.exact_images
        names = {name for layer in network.layers for name in layer.outputs}
        self.graph = GraphBuilder("network", reserved=names | {each.name for each in network.inputs})
        # A stored constant has a batch of one, and nothing of another size can stand beside it.
        self.batch: Dim = 1 if any(layer.type == "loadConstant" for layer in network.layers) else _BATCH
        self.flat: set[str] = set()  # tensors [N, C] that are [N, C, 1, 1]
        self.spread: dict[str, str] = {}  # those -> the same as they are

    def run(self) -> onnx.ModelProto:
        """The whole graph."""
        if not self.network.outputs:
            raise InputError("expected a neural network, found none of its outputs among what its layers make")
        try:
            for entry in self.network.inputs:
                self.graph.input(entry.name, self._input_shape(entry))
            for layer in self.network.layers:
                self._layer(layer)
            return self.graph.finish(self.network.outputs)
        except ValueError as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"the Core ML network does not make a consistent graph: {error}") from error

    def _input_shape(self, entry: Input) -> list[Dim]:
        if any(size < 1 for size in entry.shape) or not entry.shape:
            raise InputError(f"input {entry.name}: expected a size for each axis, found {list(entry.shape)}")
        if entry.colours:
            return [1 if self.network.exact_images else self.batch, *entry.shape]
        if self.network.exact_arrays:
            return list(entry.shape)
        if len(entry.shape) not in (1, 3):
            raise InputError(f"input {entry.name}: expected [C] or [C, H, W], found {list(entry.shape)}")
        if len(entry.shape) == 1:
            self.flat.add(entry.name)
        return [self.batch, *entry.shape]

    def _layer(self, layer: Layer) -> None:
        missing = next((name for name in layer.inputs if name not in self.graph), None)
        if missing is not None:
            raise InputError(f"layer {layer.name} ({layer.type}) reads {missing}, which nothing before it makes")
        flat = bool(layer.inputs) and layer.type in FLAT_TOO and self.flat.issuperset(layer.inputs)
        inputs = layer.inputs if flat else [self._spread(name) for name in layer.inputs]
        writer = LayerWriter(layer, self.graph, inputs, self.exact, flat)
        try:
            layer_functions()[layer.type](writer)
        except (ValueError, ArithmeticError, IndexError, KeyError, MemoryError) as error:
            if isinstance(error, InputError):
                raise
            raise writer.misfit(error) from error
        if writer.flat:
            self.flat.update(layer.outputs)

    def _spread(self, name: str) -> str:
        """The tensor as Core ML has it."""
        if name not in self.flat:
            return name
        if name not in self.spread:
            axes = self.graph.constant(f"{name}/spatial_axes", _SPATIAL)
            spread = self.graph.temporary(f"{name}/spatial")
            self.spread[name] = self.graph.node("Unsqueeze", [name, axes], spread, name=f"{name}/spatial")
        return self.spread[name]


_SPATIAL = np.array([2, 3])
