"""LayerWriter: what a layer function sees of its layer, and how it writes the layer's nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from ..graph_builder import Dim, GraphBuilder
from .reader import Layer
from .weights import checked_weights

BATCH = "batch"


class FixedBatchNeeded(Exception):
    """The layer's result depends on the batch size as a number; the graph is built again with that of the prototxt."""


class LayerWriter:
    """One layer while it is translated. The layer's main node takes its name; others get a suffix."""

    def __init__(
        self,
        layer: Layer,
        graph: GraphBuilder,
        inputs: Sequence[str],
        outputs: Sequence[str],
        declared_batch: int | None = None,  # the prototxt's batch size, where the graph's is dynamic
        masks: dict[str, str] | None = None,  # mask of a pooling -> ONNX's indices of the same, shared by all layers
    ) -> None:
        self.layer = layer
        self.graph = graph
        self.declared_batch = declared_batch
        self.masks = {} if masks is None else masks
        self.inputs = list(inputs)  # tensors of the bottoms
        self.outputs = list(outputs)  # tensors to write the tops to

    @property
    def name(self) -> str:
        """The layer's name in the prototxt."""
        return self.layer.name

    def param(self, name: str) -> Any:
        """A parameter message, with Caffe's defaults for what is not given."""
        return self.layer.param(name)

    def error(self, reason: str) -> InputError:
        """An InputError that names this layer; to be raised by the caller."""
        return InputError(f"layer {self.name} ({self.layer.type}): {reason}")

    def shape(self, index: int = 0) -> tuple[Dim, ...]:
        """Shape of a bottom; the batch dimension may be a name."""
        return self.graph.shape(self.inputs[index])

    def axis(self, axis: int, index: int = 0, extra: int = 0) -> int:
        """An axis of a bottom counted from the front. Raises InputError when there is none such."""
        rank = len(self.shape(index)) + extra
        if not -rank <= axis < rank:
            raise self.error(f"axis {axis} is outside its input of {rank - extra} dimensions")
        return axis % rank

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

    def constant(self, role: str, value: Any, dtype: Any = np.float32) -> str:
        """A small constant of this layer."""
        return self.graph.constant(f"{self.name}/{role}", np.asarray(value, dtype))

    def ints(self, role: str, values: Sequence[int]) -> str:
        """A list of integers: axes, sizes, starts."""
        return self.constant(role, list(values), np.int64)

    def add(self, role: str, op: str, inputs: Sequence[str], **attributes: Any) -> str:
        """An auxiliary node, named LAYER/role; returns its output."""
        name = f"{self.name}/{role}"
        return self.graph.node(op, inputs, self.graph.temporary(name), name=name, **attributes)

    def emit(self, op: str, inputs: Sequence[str], *, top: int = 0, **attributes: Any) -> str:
        """The node that makes a top; it carries the layer's name."""
        return self.graph.node(op, inputs, self.outputs[top], name=self.name, **attributes)

    def emit_all(self, op: str, inputs: Sequence[str], **attributes: Any) -> None:
        """The node that makes all tops at once."""
        self.graph.node(op, inputs, self.outputs, name=self.name, **attributes)
