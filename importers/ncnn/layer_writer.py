"""LayerWriter: what a layer function sees of its layer, and how it writes the layer's nodes.

NCNN's blobs have one to four axes, from the outermost: (w), (h, w), (c, h, w) or (c, d, h, w). The graph's tensors have
the batch in front of them, so NCNN's axis k is the graph's k + 1. Shapes and axes here are NCNN's unless they say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from ..graph_builder import Dim, GraphBuilder
from .param import Layer, Value, Words
from .weights import WeightFile

BATCH = "batch"


class LayerWriter:
    """One layer while it is translated. The layer's main node takes its name; others get a suffix."""

    def __init__(self, layer: Layer, graph: GraphBuilder, tensors: dict[str, str], weights: WeightFile) -> None:
        self.layer = layer
        self.graph = graph
        self.inputs = [tensors[blob] for blob in layer.bottoms]
        self._tensors = tensors  # blob -> tensor, of all layers so far
        self._weights = weights
        self._node = layer.name  # what the node that makes the top is called

    @property
    def name(self) -> str:
        """The layer's name."""
        return self.layer.name

    def error(self, reason: str) -> InputError:
        """An InputError that names this layer; to be raised by the caller."""
        return InputError(f"{self.layer.describe()}: {reason}")

    # Parameters, by their numbers.

    def whole(self, key: int, default: int = 0) -> int:
        """A whole number."""
        return int(self._only(key, "<i4", default))

    def number(self, key: int, default: float = 0.0) -> float:
        """A number, as float32 has it."""
        return float(np.float32(self._only(key, "<f4", default)))

    def wholes(self, key: int) -> list[int]:
        """A list of whole numbers; empty where it is not given."""
        return [int(value) for value in self._all(self.layer.params.get(key, ()), "<i4")]

    def numbers(self, key: int) -> list[float]:
        """A list of numbers; empty where it is not given."""
        return [float(value) for value in self._all(self.layer.params.get(key, ()), "<f4")]

    def text(self, key: int) -> str:
        """Words; empty where they are not given."""
        value = self.layer.params.get(key, "")
        return value if isinstance(value, str) else ""

    def choice(self, key: int, names: Mapping[int, Any], what: str, default: int = 0) -> Any:
        """What a number stands for. Raises InputError when it stands for nothing."""
        number = self.whole(key, default)
        if number not in names:
            raise self.error(f"{what} {number} is not known; expected one of {', '.join(map(str, names))}")
        return names[number]

    def _only(self, key: int, dtype: str, default: float) -> float:
        value = self.layer.params.get(key)
        values = (default,) if value is None else self._all(value, dtype)
        if len(values) != 1:
            raise self.error(f"expected one number as parameter {key}, found {len(values)}")
        return values[0]

    def _all(self, value: Value, dtype: str) -> Sequence[float]:
        if isinstance(value, str):
            raise self.error(f"expected numbers, found {value[:40]!r}")
        if isinstance(value, Words):
            return [number.item() for number in np.frombuffer(value.data, dtype)]
        return value if isinstance(value, tuple) else (value,)

    # Weights, in the order of the file.

    def tagged(self, *shape: int) -> np.ndarray:
        """The next array of the file, stored as its tag says: float32. Raises InputError for int8."""
        values = self.stored(*shape)
        if values.dtype != np.float32:
            raise self.error("its weights are int8, and it has no scales for them")
        return values

    def stored(self, *shape: int) -> np.ndarray:
        """The next array of the file, stored as its tag says: float32 or int8."""
        return self._weights.tagged(self._count(shape), self.layer.describe()).reshape(shape)

    def raw(self, *shape: int) -> np.ndarray:
        """The next array of the file, float32 without a tag."""
        return self._weights.raw(self._count(shape), self.layer.describe()).reshape(shape)

    def _count(self, shape: Sequence[int]) -> int:
        if min(shape, default=1) < 1:
            raise self.error(f"expected weights, found the shape {'x'.join(map(str, shape))}")
        return int(np.prod(shape, dtype=object))

    # Shapes.

    def shape(self, index: int = 0) -> tuple[Dim, ...]:
        """Shape of a bottom as NCNN has it; sizes may be open."""
        return self.graph.shape(self.inputs[index])[1:]

    def sizes(self, index: int = 0) -> list[int]:
        """Shape of a bottom. Raises InputError when a size is open."""
        return self.known(self.shape(index))

    def known(self, dims: Sequence[Dim]) -> list[int]:
        """These dimensions as numbers. Raises InputError when one is open."""
        if not all(isinstance(dim, int) for dim in dims):
            raise self.error("depends on the size of the input, which the file does not say; say it with --shape")
        return [dim for dim in dims if isinstance(dim, int)]

    def axis(self, axis: int, rank: int | None = None) -> int:
        """An axis as NCNN counts it, perhaps from the last, as the graph counts it. Raises InputError."""
        rank = len(self.shape()) if rank is None else rank
        if not -rank <= axis < rank:
            raise self.error(f"axis {axis} is outside its input of {rank} dimensions")
        return axis % rank + 1

    # Nodes.

    def constant(self, role: str, value: Any, dtype: Any = np.float32) -> str:
        """A constant of this layer."""
        return self.graph.constant(f"{self.name}/{role}", np.asarray(value, dtype))

    def ints(self, role: str, values: Sequence[int]) -> str:
        """A constant list of whole numbers: axes, sizes, starts."""
        return self.constant(role, list(values), np.int64)

    def add(self, role: str, op: str, inputs: Sequence[str], **attributes: Any) -> str:
        """An auxiliary node, named LAYER/role; returns its output."""
        name = f"{self.name}/{role}"
        return self.graph.node(op, inputs, self.graph.temporary(name), name=name, **attributes)

    def emit(self, op: str, inputs: Sequence[str], *, top: int = 0, **attributes: Any) -> None:
        """The node that makes a top; it carries the layer's name."""
        blob = self.layer.tops[top]
        self._tensors[blob] = self.graph.node(op, inputs, blob, name=self._node, **attributes)

    def emit_all(self, op: str, inputs: Sequence[str], **attributes: Any) -> None:
        """The node that makes all tops at once."""
        self.graph.node(op, inputs, self.layer.tops, name=self._node, **attributes)
        self._tensors.update({blob: blob for blob in self.layer.tops})

    def linear(self, op: str, inputs: Sequence[str], **attributes: Any) -> str:
        """The node that carries the layer's name, before an activation that makes the top; returns its output."""
        self._node = f"{self.name}/activation"
        return self.graph.node(op, inputs, self.graph.temporary(f"{self.name}/linear"), name=self.name, **attributes)

    def alias(self, tensor: str) -> None:
        """Every top is this tensor, and needs no node."""
        self._tensors.update(dict.fromkeys(self.layer.tops, tensor))
