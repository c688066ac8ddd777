"""Windows: for many positions at once, the part of a tensor that a change can reach, of one size for all positions.

Along each axis a window is a first place for every position, and a size. All lie within the tensor; where a change
reaches less (at a border, or for another alignment with strides), the window holds places that do not change, too.
That costs a little and lets all positions run together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Span:
    """Along one axis of a tensor, for every position: the places `at` to `at + size - 1`."""

    at: np.ndarray  # [positions] int64
    size: int


Window = tuple[Span, Span]  # rows, columns


@dataclass(frozen=True)
class Sliding:
    """A kernel that slides along one axis."""

    kernel: int
    stride: int
    dilation: int
    begin: int  # padding in front
    outputs: int

    @property
    def reach(self) -> int:
        return self.dilation * (self.kernel - 1)


def within(first: np.ndarray, last: np.ndarray, length: int) -> Span:  # [positions] each, both inclusive
    """The spans from first to last, cut off at the tensor's ends, as large as the largest of them."""
    first, last = np.maximum(first, 0), np.minimum(last, length - 1)
    size = int(max(1, (last - first).max(initial=0) + 1))
    return Span(np.clip(first, 0, length - size), size)


def outputs_reached(span: Span, along: Sliding) -> Span:
    """The outputs that read any of the span's places."""
    first = -((span.at + along.begin - along.reach) // -along.stride)
    last = (span.at + span.size - 1 + along.begin) // along.stride
    return within(first, last, along.outputs)


def inputs_read(outputs: Span, along: Sliding) -> Span:
    """All places that these outputs read: they may lie in the padding."""
    first = outputs.at * along.stride - along.begin
    return Span(first, (outputs.size - 1) * along.stride + along.reach + 1)


def union(spans: list[Span], length: int) -> Span:
    """The smallest spans that hold all of these."""
    first = np.min([span.at for span in spans], axis=0)
    last = np.max([span.at + span.size - 1 for span in spans], axis=0)
    return within(first, last, length)


def part(window: Window, rows: slice) -> Window:
    """Of some of the positions."""
    return Span(window[0].at[rows], window[0].size), Span(window[1].at[rows], window[1].size)


def area(window: Window) -> int:
    return window[0].size * window[1].size


def same(a: Window, b: Window) -> bool:
    return all(one.size == two.size and np.array_equal(one.at, two.at) for one, two in zip(a, b, strict=True))
