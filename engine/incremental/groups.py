"""groups: which positions run together.

Windows of a group are as large as the largest of it. How far a patch reaches depends on how near it is to a border and
on how it lies to the strides, so positions whose rows reach alike and whose columns do are a group. Groups are joined
as long as what the larger windows cost is less than what another group does.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from .windows import Reaches

_GROUP = 3e8  # multiplications that one group more is worth: its last batch is small


def groups(
    at: np.ndarray,  # [P, 2]
    reaches: Sequence[Reaches],  # of several maps
    costs: np.ndarray,  # [maps] of one place of each map, for one position
    reading: float = 0.0,  # the cost of reading all weights, as every group does
) -> list[np.ndarray]:
    """Numbers of positions; each in one group. Costs are counted in multiplications."""
    axes = [_Lines.of(at[:, axis], [reach[axis].sizes for reach in reaches]) for axis in (0, 1)]
    _join(axes, costs, _GROUP + reading)
    rows, columns = (lines.group_of[np.unique(at[:, axis], return_inverse=True)[1]] for axis, lines in enumerate(axes))
    both = rows * (columns.max(initial=0) + 1) + columns
    return [np.flatnonzero(both == group) for group in np.unique(both)]


class _Lines:
    """The groups along one axis: those of positions' rows, or columns."""

    def __init__(self, counts: np.ndarray, sizes: np.ndarray, group_of: np.ndarray) -> None:
        self.counts = counts  # [groups] positions
        self.sizes = sizes  # [groups, maps] of windows
        self.group_of = group_of  # [rows] number of the group

    @classmethod
    def of(cls, at: np.ndarray, sizes: Sequence[np.ndarray]) -> _Lines:
        _, first, counts = np.unique(at, return_index=True, return_counts=True)
        exact = np.stack([size[first] for size in sizes], 1) if sizes else np.zeros((len(first), 0), int)
        alike, group_of = np.unique(exact, axis=0, return_inverse=True)
        group_of = group_of.reshape(-1)
        return cls(np.bincount(group_of, counts), alike, group_of)

    @property
    def totals(self) -> np.ndarray:  # [maps] sizes of all positions' windows
        return self.counts @ self.sizes

    def dearer(self) -> tuple[list[tuple[int, int]], np.ndarray]:
        """Pairs of groups, and how much `totals` grow when each is joined: [pairs, maps]."""
        pairs = list(combinations(range(len(self.counts)), 2))
        one, other = np.array(pairs, int).reshape(-1, 2).T
        larger = np.maximum(self.sizes[one], self.sizes[other])
        grown = (larger - self.sizes[one]) * self.counts[one, None] + (larger - self.sizes[other]) * self.counts[
            other, None
        ]
        return pairs, grown

    def join(self, one: int, other: int) -> None:
        self.counts[one] += self.counts[other]
        self.sizes[one] = np.maximum(self.sizes[one], self.sizes[other])
        self.counts, self.sizes = np.delete(self.counts, other), np.delete(self.sizes, other, 0)
        self.group_of[self.group_of == other] = one
        self.group_of[self.group_of > other] -= 1


def _join(axes: list[_Lines], costs: np.ndarray, group: float) -> None:
    """Join pairs, the most worthwhile first, while that saves anything."""
    while True:
        best = (0.0, -1, (0, 0))
        for axis, (lines, across) in enumerate((axes, axes[::-1])):
            pairs, grown = lines.dearer()
            if pairs:
                # On a grid of positions, rows x columns, the sum over all is a product of two.
                costly = grown @ (costs * across.totals) / max(1.0, across.counts.sum())
                saved = group * len(across.counts) - costly
                choice = int(saved.argmax())
                best = max(best, (float(saved[choice]), axis, pairs[choice]))
        if best[1] < 0:
            return
        axes[best[1]].join(*best[2])
