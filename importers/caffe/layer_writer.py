"""LayerWriter: what a layer function sees of its layer, and how it writes the layer's nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..graph_builder import Dim, GraphBuilder
from ..node_writer import NodeWriter
from .reader import Layer
from .weights import checked_weights

BATCH = "batch"


class FixedBatchNeeded(Exception):
    """The layer's result depends on the batch size as a number; the graph is built again with that of the prototxt."""


class LayerWriter(NodeWriter):
    """One layer while it is translated. The layer's main node takes its name; others get a suffix."""

    def __init__(
        self,
        layer: Layer,
        graph: GraphBuilder,
        inputs: Sequence[str],  # tensors of the bottoms
        outputs: Sequence[str],  # tensors to write the tops to
        declared_batch: int | None = None,  # the prototxt's batch size, where the graph's is dynamic
        masks: dict[str, str] | None = None,  # mask of a pooling -> ONNX's indices of the same, shared by all layers
    ) -> None:
        super().__init__(graph, layer.name, layer.type, inputs, outputs)
        self.layer = layer
        self.declared_batch = declared_batch
        self.masks = {} if masks is None else masks

    def param(self, name: str) -> Any:
        """A parameter message, with Caffe's defaults for what is not given."""
        return self.layer.param(name)

    def sizes(self, dims: Sequence[Dim]) -> tuple[int, ...]:
        """These dimensions as numbers.

        Raises FixedBatchNeeded for the batch and InputError for an image size that is not known.
        """
        for dim in dims:
            if dim == BATCH:
                raise FixedBatchNeeded
            if not isinstance(dim, int):
                raise self.error("needs the size of the input image, which the prototxt does not give")
        return tuple(dim for dim in dims if isinstance(dim, int))

    def weights(self, shapes: Mapping[str, Sequence[int]], fillers: Mapping[str, Any] | None = None) -> dict[str, str]:
        """The layer's weights as initializers: role -> tensor.

        Raises InputError when the caffemodel holds others than `shapes`.
        """
        values = self.weight_values(shapes, fillers)
        return {role: self._initializer(role, index, value) for index, (role, value) in enumerate(values.items())}

    def weight_values(
        self, shapes: Mapping[str, Sequence[int]], fillers: Mapping[str, Any] | None = None
    ) -> dict[str, np.ndarray]:
        """As `weights`, as arrays."""
        return checked_weights(self.layer, {role: tuple(shape) for role, shape in shapes.items()}, fillers or {})

    def _initializer(self, role: str, index: int, value: np.ndarray) -> str:
        shared = self.layer.shared[index] if index < len(self.layer.shared) else ""
        stored = self.graph.value(shared)
        if stored is not None and np.array_equal(stored, value):
            return shared
        return self.graph.constant(shared or f"{self.name}/{role}", value)
