"""NodeWriter: how one layer of the source writes its nodes. Its main node takes its name; others get a suffix."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .errors import InputError
from .graph_builder import Dim, GraphBuilder


class NodeWriter:
    """One layer while it is translated, for sources whose axes are ONNX's."""

    def __init__(
        self,
        graph: GraphBuilder,
        name: str,
        kind: str,
        inputs: Sequence[str],  # tensors of the graph
        outputs: Sequence[str],  # tensors to write
    ) -> None:
        self.graph = graph
        self.name = name
        self.kind = kind
        self.inputs = list(inputs)
        self.outputs = list(outputs)

    def error(self, reason: str) -> InputError:
        """An InputError that names this layer; to be raised by the caller."""
        return InputError(f"layer {self.name} ({self.kind}): {reason}")

    def misfit(self, error: Exception) -> InputError:
        """What to say where ONNX, or a sum with the file's numbers, refuses what this layer writes."""
        shapes = ", ".join(self._described(index) for index in range(len(self.inputs)))
        return self.error(f"does not fit its inputs of shape {shapes} ({error})")

    def _described(self, index: int) -> str:
        try:
            return str(list(self.shape(index)))
        except (ValueError, KeyError):
            return "unknown"

    def shape(self, index: int = 0) -> tuple[Dim, ...]:
        """Shape of an input; open dimensions are names. Raises InputError where there is no such input."""
        if index >= len(self.inputs):
            raise self.error(f"expected more than {len(self.inputs)} inputs")
        return self.graph.shape(self.inputs[index])

    def axis(self, axis: int, index: int = 0, extra: int = 0) -> int:
        """An axis of an input counted from the front. Raises InputError when there is none such."""
        rank = len(self.shape(index)) + extra
        if not -rank <= axis < rank:
            raise self.error(f"axis {axis} is outside its input of {rank - extra} dimensions")
        return axis % rank

    def sizes(self, dims: Sequence[Dim]) -> tuple[int, ...]:
        """These dimensions as numbers. Raises InputError for one that is not known."""
        if not all(isinstance(dim, int) for dim in dims):
            raise self.error(f"needs sizes that the file leaves open: {list(dims)}")
        return tuple(dim for dim in dims if isinstance(dim, int))

    def reshaped(self, role: str, value: str, dims: Sequence[int]) -> str:
        """A tensor in another shape, for Reshape: 0 copies a size, -1 is worked out.

        Raises InputError when its numbers cannot fill that.
        """
        self._check_reshape(self.graph.shape(value), dims)
        return self.add(role, "Reshape", [value, self.ints(f"{role}_shape", dims)])

    def reshape(self, value: str, dims: Sequence[int]) -> None:
        """Makes the output, as `reshaped`."""
        self._check_reshape(self.graph.shape(value), dims)
        self.emit("Reshape", [value, self.ints("shape", dims)])

    def _check_reshape(self, before: Sequence[Dim], dims: Sequence[int]) -> None:
        if any(dim == 0 and at >= len(before) for at, dim in enumerate(dims)):
            raise self.error(f"{list(before)} has no size to copy for each 0 of {list(dims)}")
        have, want = list(before), [before[at] if dim == 0 else dim for at, dim in enumerate(dims)]
        if have[:1] == want[:1]:
            have, want = have[1:], want[1:]
        if not all(isinstance(dim, int) for dim in (*have, *want)):
            return
        count, needed = (math.prod(dim for dim in dims if isinstance(dim, int) and dim != -1) for dims in (have, want))
        if (count % needed if needed else count) or (-1 not in want and count != needed):
            raise self.error(f"{list(before)} cannot take the shape {list(dims)}")

    def constant(self, role: str, value: Any, dtype: Any = np.float32) -> str:
        """A constant of this layer, its weights too."""
        return self.graph.constant(f"{self.name}/{role}", np.asarray(value, dtype))

    def ints(self, role: str, values: Sequence[int]) -> str:
        """A list of integers: axes, sizes, starts."""
        return self.constant(role, list(values), np.int64)

    def add(self, role: str, op: str, inputs: Sequence[str], **attributes: Any) -> str:
        """An auxiliary node, named LAYER/role; returns its output."""
        name = f"{self.name}/{role}"
        return self.graph.node(op, inputs, self.graph.temporary(name), name=name, **attributes)

    def emit(self, op: str, inputs: Sequence[str], *, output: int = 0, **attributes: Any) -> str:
        """The node that makes an output; it carries the layer's name."""
        return self.graph.node(op, inputs, self.outputs[output], name=self.name, **attributes)

    def emit_all(self, op: str, inputs: Sequence[str], **attributes: Any) -> None:
        """The node that makes all outputs at once."""
        self.graph.node(op, inputs, self.outputs, name=self.name, **attributes)
