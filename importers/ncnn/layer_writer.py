"""LayerWriter: what a layer function sees of its layer, and how it writes the layer's nodes.

NCNN's blobs have one to four axes: (w), (h, w), (c, h, w) or (c, d, h, w). The graph's tensors have the batch in front
of them, so a blob's axis k is the tensor's k + 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from ..errors import InputError
from ..graph_builder import Dim, GraphBuilder
from ..node_writer import NodeWriter
from .param import Layer
from .weights import WeightFile

BATCH = "batch"
_LARGEST = 1 << 20  # numbers that a file only claims
_N = TypeVar("_N", int, float)


class LayerWriter(NodeWriter):
    """One layer while it is translated."""

    def __init__(self, layer: Layer, graph: GraphBuilder, inputs: Sequence[str], weights: WeightFile) -> None:
        super().__init__(graph, layer.name, layer.type, inputs, layer.tops)
        self.layer = layer
        self.weights = weights

    def error(self, reason: str) -> InputError:
        """An InputError that names this layer, whatever its node is called; to be raised by the caller."""
        return InputError(f"{self.layer.describe()}: {reason}")

    # Parameters, by their numbers.

    def whole(self, key: int, default: int = 0) -> int:
        """A whole number."""
        return self._only(key, self.wholes(key)) if key in self.layer.params else default

    def number(self, key: int, default: float = 0.0) -> float:
        """A number, as float32 has it. Raises InputError for one that is none."""
        return self._only(key, self.numbers(key)) if key in self.layer.params else float(np.float32(default))

    def wholes(self, key: int) -> list[int]:
        """A list of whole numbers; empty where it is not given."""
        found: list[int] = np.frombuffer(self._words(key), "<i4").tolist()
        return found

    def numbers(self, key: int) -> list[float]:
        """A list of numbers; empty where it is not given. Raises InputError for one that is none."""
        found: list[float] = np.frombuffer(self._words(key), "<f4").tolist()
        if not np.isfinite(found).all():
            raise self.error(f"expected numbers as parameter {key}, found {found[:4]}")
        return found

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

    def _words(self, key: int) -> bytes:
        value = self.layer.params.get(key, b"")
        if isinstance(value, str):
            raise self.error(f"expected numbers as parameter {key}, found {value[:40]!r}")
        return value

    def _only(self, key: int, found: Sequence[_N]) -> _N:
        if len(found) != 1:
            raise self.error(f"expected one number as parameter {key}, found {len(found)}")
        return found[0]

    # Weights, in the order of the file.

    def tagged(self, *shape: int) -> np.ndarray:
        """The next array of the file, stored as its tag says: float32. Raises InputError for int8."""
        values = self.stored(*shape)
        if values.dtype != np.float32:
            raise self.error("its weights are int8, and it has no scales for them")
        return values

    def stored(self, *shape: int) -> np.ndarray:
        """The next array of the file, stored as its tag says: float32 or int8."""
        return self.weights.tagged(self._count(shape), self.layer.describe()).reshape(shape)

    def raw(self, *shape: int) -> np.ndarray:
        """The next array of the file, float32 without a tag."""
        return self.weights.raw(self._count(shape), self.layer.describe()).reshape(shape)

    def _count(self, shape: Sequence[int]) -> int:
        if min(shape, default=1) < 1:
            raise self.error(f"expected weights, found the shape {'x'.join(map(str, shape))}")
        return math.prod(shape)

    # Shapes and axes of blobs: the graph's without the batch.

    def blob_shape(self, index: int = 0) -> tuple[Dim, ...]:
        """Shape of an input; sizes may be open."""
        return self.shape(index)[1:]

    def blob_sizes(self, index: int = 0) -> list[int]:
        """Shape of an input. Raises InputError when a size is open."""
        return list(self.sizes(self.blob_shape(index)))

    def sizes(self, dims: Sequence[Dim]) -> tuple[int, ...]:
        """These dimensions as numbers. Raises InputError for one that is not known."""
        if not all(isinstance(dim, int) for dim in dims):
            raise self.error("depends on the size of the input, which the file does not say; say it with --shape")
        return super().sizes(dims)

    def blob_axis(self, axis: int, extra: int = 0) -> int:
        """An axis of the first blob, perhaps counted from the last, as the graph counts it.

        `extra`: of a blob with so many axes more. Raises InputError when there is none such.
        """
        rank = len(self.blob_shape()) + extra
        if not -rank <= axis < rank:
            raise self.error(f"axis {axis} is outside its input of {rank - extra} dimensions")
        return axis % rank + 1

    # Nodes.

    def first(self, op: str, inputs: Sequence[str], *, then: str, **attributes: Any) -> str:
        """The layer's main node where it does not make the output; returns its own.

        The node that does is called LAYER/then.
        """
        made = self.graph.node(op, inputs, self.graph.temporary(f"{self.name}/{op}"), name=self.name, **attributes)
        self.name = f"{self.name}/{then}"
        return made

    def blob_reshape(self, sizes: Sequence[int]) -> None:
        """Makes the output; -1 is worked out. Raises InputError when the first blob cannot fill that."""
        dims = [0, *sizes]
        self._check_reshape(self.shape(), dims)
        self.emit("Reshape", [self.inputs[0], self.ints("shape", dims)])

    def filled(self, role: str, value: float, *shape: int) -> str:
        """A constant of one number. Raises InputError for more of them than weights could be."""
        if math.prod(shape) > _LARGEST:
            raise self.error(f"expected fewer channels than {'x'.join(map(str, shape))}")
        return self.constant(role, np.full(shape, value))

    def alias(self, tensor: str) -> None:
        """Every output is this tensor, and needs no node."""
        self.outputs = [tensor] * len(self.outputs)
