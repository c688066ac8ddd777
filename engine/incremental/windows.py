"""Windows: the part of a tensor that a change can reach, for many positions at once.

Along each axis a Reach says exactly what may change for each position. Positions that run together need windows of one
size: a Span is as large as the largest of theirs. All lie within the tensor; where a change reaches less, the window
holds places that do not change, too, which costs a little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Reach:
    """Along one axis of a tensor, for every position: places `first` to `last` may change, none if `last` is less."""

    first: np.ndarray  # [positions] int64
    last: np.ndarray

    @cached_property
    def sizes(self) -> np.ndarray:
        found: np.ndarray = np.maximum(self.last - self.first + 1, 1)
        return found

    def span(self, numbers: np.ndarray, length: int) -> Span:
        """Of some of the positions, along an axis of this length."""
        first, size = self.first[numbers], int(self.sizes[numbers].max())
        return Span(np.clip(first, 0, length - size), size)


@dataclass(frozen=True)
class Span:
    """Along one axis of a tensor, for every position: the places `at` to `at + size - 1`."""

    at: np.ndarray  # [positions] int64
    size: int


Reaches = tuple[Reach, Reach]  # rows, columns
Window = tuple[Span, Span]


@dataclass(frozen=True)
class Sliding:
    """A kernel that slides along one axis."""

    kernel: int
    stride: int
    dilation: int
    begin: int  # padding in front; of a transposed convolution: outputs cut off
    outputs: int

    @property
    def reach(self) -> int:
        return self.dilation * (self.kernel - 1)


def within(first: np.ndarray, last: np.ndarray, length: int) -> Reach:  # [positions] each, both inclusive
    """Cut off at the tensor's ends."""
    return Reach(np.clip(first, 0, length - 1), np.minimum(last, length - 1))


def outputs_reached(change: Reach, along: Sliding) -> Reach:
    """The outputs that read any of these places."""
    first = -((change.first + along.begin - along.reach) // -along.stride)
    return within(first, (change.last + along.begin) // along.stride, along.outputs)


def inputs_read(outputs: Span, along: Sliding) -> Span:
    """All places that these outputs read: they may lie in the padding."""
    first = outputs.at * along.stride - along.begin
    return Span(first, (outputs.size - 1) * along.stride + along.reach + 1)


def outputs_written(change: Reach, along: Sliding) -> Reach:
    """The outputs of a transposed convolution that any of these places adds to."""
    first, last = (places * along.stride - along.begin for places in (change.first, change.last))
    return within(first, last + along.reach, along.outputs)


def inputs_added(outputs: Span, along: Sliding) -> Span:
    """All places that add to these outputs of a transposed convolution: they may lie outside."""
    first = -((outputs.at + along.begin - along.reach) // -along.stride)
    last = (outputs.at + outputs.size - 1 + along.begin) // along.stride
    if along.reach + 1 < along.stride:  # kernels leave gaps: outputs of the places on both sides hold these
        first, last = first - 1, last + 1
    return Span(first, int((last - first).max()) + 1)


def union(reaches: Sequence[Reach]) -> Reach:
    """The smallest that holds all of these."""
    firsts, lasts = ([getattr(reach, end) for reach in reaches] for end in ("first", "last"))
    return Reach(np.min(firsts, axis=0), np.max(lasts, axis=0))


def places(window: Window) -> np.ndarray:  # [positions, 2]
    return np.stack([span.at for span in window], 1)


def area(window: Window) -> int:
    return window[0].size * window[1].size


def same(a: Window, b: Window) -> bool:
    return all(one.size == two.size and np.array_equal(one.at, two.at) for one, two in zip(a, b, strict=True))
