"""OperatorWriter: what an operator function sees of its operator.

Shapes and axes are those of the file; in a net of order NHWC images have channels last there and first in the graph
(`ChannelsLast`). A function says in which order it wants a tensor by how it asks for it (`images`, `plain`, `either`);
what it then writes is in the same order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..channels_last import ChannelsLast
from ..graph_builder import Dim
from ..node_writer import NodeWriter
from .input_shapes import is_last
from .reader import Operator

_LONGEST = 64  # NumPy's limit of axes


class OperatorWriter(NodeWriter):
    """One operator while it is translated. Its main node takes its name; others get a suffix."""

    def __init__(
        self, operator: Operator, tensors: ChannelsLast, name: str, inputs: Sequence[str], outputs: Sequence[str]
    ) -> None:
        super().__init__(tensors.graph, name, operator.type, inputs, outputs)
        self.tensors = tensors
        self.arguments = operator.arguments
        self.is_last = is_last(operator)
        self.first = False  # whether what is written now has channels first, where the file has them last

    # ---- arguments

    def has(self, name: str) -> bool:
        """Whether an argument is given."""
        return name in self.arguments

    def integer(self, name: str, default: int = 0) -> int:
        """An argument."""
        return int(self.arguments[name].i) if name in self.arguments else default

    def number(self, name: str, default: float = 0.0) -> float:
        """An argument; whole ones may be stored as such."""
        if name not in self.arguments:
            return default
        stored = self.arguments[name]
        return float(stored.f) if stored.HasField("f") else float(stored.i)

    def integers(self, name: str) -> list[int]:
        """A list; empty where it is not given."""
        return [int(value) for value in self.arguments[name].ints] if name in self.arguments else []

    def text(self, name: str, default: str = "") -> str:
        """An argument."""
        return self.arguments[name].s.decode("utf-8", "replace") if name in self.arguments else default

    # ---- tensors

    def shape(self, index: int = 0) -> tuple[Dim, ...]:
        """Shape of an input as the file has it. Raises InputError where there is no such input."""
        if index >= len(self.inputs):
            raise self.error(f"expected more than {len(self.inputs)} inputs")
        return self.tensors.shape(self.inputs[index])

    def images(self, rank: int | None = None) -> tuple[Dim, ...]:
        """The shape of the first input, [N, C, …] in the graph; what is written is so, too.

        Raises InputError where it has not so many axes.
        """
        rank = rank or max(len(self.shape()), 3)
        if len(self.shape()) != rank:
            raise self.error(f"expected an input of {rank} axes, found {list(self.shape())}")
        self.first = self.is_last
        return self.graph.shape(self.image(0))

    def image(self, index: int) -> str:
        """An input as ONNX's operators on images want it."""
        return self.tensors.first(self.inputs[index]) if self.is_last else self.tensors.last(self.inputs[index])

    def plain(self, index: int = 0) -> str:
        """An input as the file has it."""
        self.shape(index)
        return self.tensors.last(self.inputs[index])

    def either(self) -> str:
        """The first input in whichever order it is there; what is written is so, too."""
        self.shape()
        self.first = self.tensors.is_first(self.inputs[0]) and not self.tensors.is_last(self.inputs[0])
        return self.tensors.first(self.inputs[0]) if self.first else self.tensors.last(self.inputs[0])

    def vector(self, index: int, count: object) -> str:
        """An input that is a number for each of `count` channels. Raises InputError where it is another."""
        if self.shape(index) != (count,):
            raise self.error(f"expected {count} numbers in {self.inputs[index]}, found {list(self.shape(index))}")
        return self.plain(index)

    def stored_integers(self, index: int) -> list[int]:
        """A stored list: sizes or places. Raises InputError where it is computed or longer than any shape."""
        found = self.tensors.value(self.inputs[index]) if index < len(self.inputs) else None
        if found is None or found.size > _LONGEST:
            raise self.error(f"expected a stored list of numbers as its input {index + 1}")
        return [int(number) for number in found.ravel()]

    def emit(self, op: str, inputs: Sequence[str], *, output: int = 0, **attributes: Any) -> str:
        """The node that makes an output; it carries the operator's name."""
        made = super().emit(op, inputs, output=output, **attributes)
        self._made(self.outputs[output], made)
        return made

    def emit_all(self, op: str, inputs: Sequence[str], **attributes: Any) -> None:
        """The node that makes all outputs at once."""
        super().emit_all(op, inputs, **attributes)
        for output in self.outputs:
            self._made(output, output)

    def _made(self, name: str, tensor: str) -> None:
        (self.tensors.made_first if self.first else self.tensors.made_last)(name, tensor)
