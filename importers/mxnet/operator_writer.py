"""OperatorWriter: what an operator's function sees of its node, and how it writes the node in ONNX."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..graph_builder import Dim, GraphBuilder
from ..node_writer import NodeWriter
from .symbol import Node, Symbol

BATCH = "batch"
_MOST_CHANNELS = 1 << 20


class FixedBatchNeeded(Exception):
    """The node's result depends on the number of images as a number; the graph is built again with one."""


class OperatorWriter(NodeWriter):
    """One node while it is translated."""

    def __init__(self, node: Node, symbol: Symbol, graph: GraphBuilder, inputs: Sequence[str]) -> None:
        first = graph.temporary(node.name) if node.name in graph else node.name
        super().__init__(graph, node.name, node.op, inputs, [first])
        self.attributes = node.attributes
        self._symbol = symbol
        self._variables = [symbol.variable(entry) for entry in node.inputs]

    def input(self, index: int = 0) -> str:
        """The graph's tensor for an input. Raises InputError where there are fewer."""
        if index >= len(self.inputs):
            raise self.error(f"has {len(self.inputs)} inputs, expected at least {index + 1}")
        return self.inputs[index]

    def value(self, index: int) -> np.ndarray | None:
        """An input that is a parameter, as the files have it; None for one that is computed or not there."""
        variable = self._variables[index] if index < len(self._variables) else None
        return None if variable is None else self._symbol.parameters.get(variable)

    def parameter(self, name: str) -> np.ndarray | None:
        """One by its own name: symbols older than 0.9 do not list all that their nodes read."""
        return self._symbol.parameters.get(name)

    def weight(self, index: int, shape: Sequence[int], role: str) -> str:
        """A learned input of this shape, of which ones do not count. Raises InputError naming both shapes."""
        value = self.value(index)
        if value is None or value.shape == tuple(shape):
            return self.input(index)
        return self.constant(role, self.fitted(value, shape, role))

    def fitted(self, value: np.ndarray, shape: Sequence[int], role: str) -> np.ndarray:
        """A parameter in this shape. Raises InputError where the file's is not as large as the node asks for."""
        if [side for side in value.shape if side != 1] != [side for side in shape if side != 1]:
            raise self.error(
                f"asks for a {role} of shape {_text(shape)}, the parameters hold {_text(value.shape)}; do the two "
                "files belong together?"
            )
        return value.reshape(tuple(shape))

    def channels(self) -> int:
        """The size of the first input's axis 1."""
        if len(self.shape()) < 2:
            raise self.error(f"expected an input with channels, found one of shape {list(self.shape())}")
        [count] = self.sizes(self.shape()[1:2])
        if count > _MOST_CHANNELS:
            raise self.error(f"its input has {count} channels, expected at most {_MOST_CHANNELS}")
        return count

    def axes(self, name: str = "axis", default: Sequence[int] = ()) -> list[int]:
        """Axes that an attribute lists, counted from the front."""
        return [self.axis(axis) for axis in self.attributes.wholes(name, default)]

    def sizes(self, dims: Sequence[Dim]) -> tuple[int, ...]:
        """These dimensions as numbers. Raises FixedBatchNeeded for the number of images, InputError for others."""
        if BATCH in dims:
            raise FixedBatchNeeded
        if not all(isinstance(dim, int) for dim in dims):
            raise self.error("needs the size of the images, which neither file says; give it with --size or --shape")
        return tuple(dim for dim in dims if isinstance(dim, int))

    def name_outputs(self, count: int) -> None:
        """Make room for several: NODE_output0, NODE_output1 …, as MXNet calls them."""
        if count > 1:
            self.outputs = [self.graph.temporary(f"{self.name}_output{number}") for number in range(count)]

    def chain(self, op: str, terms: Sequence[str]) -> None:
        """An operator of two, applied to several from the left."""
        value = terms[0]
        for step, term in enumerate(terms[1:-1]):
            value = self.add(f"part{step}", op, [value, term])
        self.emit(op, [value, terms[-1]]) if len(terms) > 1 else self.emit("Identity", terms)

    def reshape_to(self, dims: Sequence[Dim]) -> None:
        """Makes the output from the first input; None is whatever is left, dimensions that keep their place stay open.

        Raises FixedBatchNeeded or InputError where more than one place would have to be found out.
        """
        before = self.shape()
        found = [
            dim if isinstance(dim, int) else 0 if dim is not None and before[at : at + 1] == (dim,) else -1
            for at, dim in enumerate(dims)
        ]
        if found.count(-1) > 1:
            self.sizes(before)
        self._check_reshape(before, found)
        self.emit("Reshape", [self.input(), self.ints("shape", found)])

    def one_of(self, name: str, allowed: Sequence[str]) -> str:
        """An attribute's text; the first allowed is the default. Raises InputError where it is none of them."""
        found = self.attributes.text(name, allowed[0])
        if found not in allowed:
            raise self.error(f"{name} {found} is not supported; expected {' or '.join(filter(None, allowed))}")
        return found

    def require_channels_first(self) -> None:
        """Raise InputError for a layout that has channels last."""
        layout = self.attributes.text("layout", "NC")
        if not layout.startswith("NC"):
            raise self.error(f"layout {layout} is not supported; expected channels first")

    def per_axis(self, name: str, count: int, default: int) -> list[int]:
        """A size a spatial axis. Raises InputError where there are more or fewer."""
        found = list(self.attributes.wholes(name)) or [default] * count
        if len(found) != count or not all(0 <= number < 1 << 31 for number in found):
            raise self.error(f"{name} is {_text(found)}; expected {count} sizes")
        return found


def _text(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "scalar"
