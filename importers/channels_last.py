"""ChannelsLast: tensors of a source that keeps channels last, in a graph that has them first.

A tensor [N, H, W, C] of the source may stand in the graph twice: as ONNX's operators want it, [N, C, H, W], and as the
source has it. Whoever makes it says which of the two it made; whoever reads it asks for the one it needs, and only then
is it transposed, once, and constants without a node. So a convolutional network gets no Transpose at all, and what
depends on the order of all numbers (Flatten, Reshape, Softmax) finds the source's. Shapes and axes are the source's
everywhere. The same for [N, W, C] and [N, D, H, W, C]; tensors of one or two axes are the same either way.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .graph_builder import Dim, GraphBuilder

_LEAST = 3  # axes of a tensor whose channels can lie elsewhere


class ChannelsLast:
    """The source's tensors by name."""

    def __init__(self, graph: GraphBuilder) -> None:
        self.graph = graph
        self._first: dict[str, str] = {}  # the source's tensor -> the graph's, channels first
        self._last: dict[str, str] = {}
        self._values: dict[str, np.ndarray] = {}  # constants, as the source has them

    def __contains__(self, name: object) -> bool:
        return name in self._first or name in self._last or name in self._values

    def made_first(self, name: str, tensor: str) -> None:
        """The graph's tensor is the source's of that name, channels first."""
        self._first[name] = tensor

    def made_last(self, name: str, tensor: str) -> None:
        """The graph's tensor is the source's, as it is there."""
        self._last[name] = tensor

    def store(self, name: str, value: np.ndarray) -> None:
        """A constant of the source; in the graph it is stored when something reads it."""
        self._values[name] = value

    def value(self, name: str) -> np.ndarray | None:
        """Of a constant, as the source has it, else None."""
        return self._values.get(name)

    def shape(self, name: str) -> tuple[Dim, ...]:
        """As the source has it. Raises ValueError when its rank is unknown."""
        if name in self._values:
            return self._values[name].shape
        if name in self._last:
            return self.graph.shape(self._last[name])
        first = self.graph.shape(self._first[name])
        return first if len(first) < _LEAST else (first[0], *first[2:], first[1])

    def is_first(self, name: str) -> bool:
        """Whether the graph has it channels first, where that is another order than the source's."""
        return name in self._first and len(self.shape(name)) >= _LEAST

    def is_last(self, name: str) -> bool:
        """Whether the graph has it as the source does, or can without a node."""
        return name in self._last or name in self._values or not self.is_first(name)

    def first(self, name: str) -> str:
        """The graph's tensor, channels first."""
        rank = len(self.shape(name))
        if rank < _LEAST:
            return self._first[name] if name in self._first else self.last(name)
        if name not in self._first:
            if name in self._values:
                self._first[name] = self.graph.constant(name, channels_first(self._values[name]))
            else:
                self._first[name] = self._transposed(self._last[name], "channels_first", to_first(rank))
        return self._first[name]

    def last(self, name: str) -> str:
        """The graph's tensor, as the source has it."""
        if name not in self._last:
            if name in self._values:
                self._last[name] = self.graph.constant(name, self._values[name])
            elif len(self.shape(name)) < _LEAST:
                return self._first[name]
            else:
                perm = to_last(len(self.shape(name)))
                self._last[name] = self._transposed(self._first[name], "channels_last", perm)
        return self._last[name]

    def aligned(self, names: Sequence[str]) -> tuple[list[str], bool]:
        """The tensors of an operator that broadcasts, and whether they have channels first, as its result has then.

        First where any of them is only there so, or is there both ways and none only as the source has it, and the
        others can follow without a node of their own.
        """
        ranks = {name: len(self.shape(name)) for name in names}
        rank = max(ranks.values())
        only_first = any(self.is_first(name) and not self.is_last(name) for name in names)
        only_last = any(name in self._last and name not in self._first and ranks[name] >= _LEAST for name in names)
        wanted = only_first or (any(self.is_first(name) for name in names) and not only_last)
        follow = all(name in self._values or ranks[name] in (0, rank) for name in names)
        if not (wanted and follow):
            return [self.last(name) for name in names], False
        return [self._broadcast_first(name, rank) for name in names], True

    def _broadcast_first(self, name: str, rank: int) -> str:
        value = self._values.get(name)
        if value is None or value.ndim in (0, rank):
            return self.first(name)
        if value.size == 1:
            return self.graph.constant(name, value.reshape(()))
        return self.graph.constant(name, channels_first(value.reshape((1,) * (rank - value.ndim) + value.shape)))

    def _transposed(self, tensor: str, suffix: str, perm: Sequence[int]) -> str:
        name = f"{tensor}/{suffix}"
        return self.graph.node("Transpose", [tensor], self.graph.temporary(name), name=name, perm=list(perm))


def to_first(rank: int) -> tuple[int, ...]:
    """The order of axes that puts channels first: 0, 3, 1, 2."""
    return (0, rank - 1, *range(1, rank - 1))


def to_last(rank: int) -> tuple[int, ...]:
    """The order of axes that puts channels last: 0, 2, 3, 1."""
    return (0, *range(2, rank), 1)


def channels_first(value: np.ndarray) -> np.ndarray:
    """A view of the same numbers, channels first."""
    return value.transpose(to_first(value.ndim)) if value.ndim >= _LEAST else value


def axis_first(axis: int, rank: int) -> int:
    """Where an axis of the source lies when channels are first."""
    return to_first(rank).index(axis % rank) if rank >= _LEAST else axis % rank
