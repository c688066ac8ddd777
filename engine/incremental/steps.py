"""Steps of a plan: each computes a window of one tensor for several positions at once.

Maps are laid out with a place's channels together, in torch's channels_last order or as rows that end in channels, so
that the overlay kernel copies whole rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import fx

from ...kernels.overlay import compute as overlay
from .windows import Window, places, same

Axes = tuple[int, int]  # of a tensor: its rows and its columns


@dataclass(frozen=True)
class Clean:
    """Every tensor as it is without a change, for one image."""

    values: dict[fx.Node, Any]
    _rows: dict[fx.Node, torch.Tensor] = field(default_factory=dict)

    def __getitem__(self, node: fx.Node) -> Any:
        return self.values[node]

    def rows(self, node: fx.Node, axes: Axes) -> torch.Tensor:  # [H, W, C]
        if node not in self._rows:
            self._rows[node] = as_rows(self.values[node], axes)[0]
        return self._rows[node]


@dataclass
class Run:
    """What a run over some of the positions has so far."""

    clean: Clean
    numbers: slice  # the positions of this run, of the plan's
    values: dict[fx.Node, Any]  # of the windows


# Values of what is read, or the readings where a step lays changes over windows itself -> the step's value.
Compute: TypeAlias = Callable[[Sequence[Any], Run], Any]


@dataclass(frozen=True)
class Reading:
    """A window of a tensor, the change within it; it may lie outside in part."""

    source: fx.Node
    axes: Axes
    own: np.ndarray  # [positions, 2] where the window that was computed begins
    at: np.ndarray  # [positions, 2]
    size: tuple[int, int]
    fill: float  # what lies outside
    as_it_is: bool  # both windows are the same

    @classmethod
    def of(cls, source: fx.Node, axes: Axes, own: Window, wanted: Window, fill: float) -> Reading:
        size = (wanted[0].size, wanted[1].size)
        return cls(source, axes, places(own), places(wanted), size, fill, same(own, wanted))

    def __call__(self, run: Run) -> Any:
        value = run.values[self.source]
        if self.as_it_is:
            return value
        return from_rows(overlay(*self.parts(run), self.size, self.fill), value, self.axes)

    def parts(self, run: Run) -> tuple[torch.Tensor, torch.Tensor, np.ndarray, np.ndarray]:
        """The tensor without a change [H, W, C], the changes [P, h, w, C], where those and the windows lie."""
        clean, changes = run.clean.rows(self.source, self.axes), as_rows(run.values[self.source], self.axes)
        return clean, changes, self.own[run.numbers], self.at[run.numbers]

    def unchanged(self, run: Run) -> torch.Tensor:
        """The window without the change."""
        clean, at = run.clean.rows(self.source, self.axes), self.at[run.numbers]
        nothing = clean.new_empty(len(at), 0, 0, clean.shape[2])
        rows = overlay(clean, nothing, np.zeros_like(at), at, self.size, self.fill)
        return from_rows(rows, run.clean[self.source], self.axes)


@dataclass(frozen=True)
class Step:
    node: fx.Node
    readings: tuple[Reading, ...]
    compute: Compute
    lays_over: bool  # whether `compute` takes the readings themselves

    def __call__(self, run: Run) -> None:
        read = self.readings if self.lays_over else [reading(run) for reading in self.readings]
        run.values[self.node] = self.compute(read, run)


def as_rows(x: torch.Tensor, axes: Axes) -> torch.Tensor:
    """[N, …] -> [N, H, W, C]: all other axes are channels."""
    return x.movedim(axes, (1, 2)).flatten(3).contiguous() if x.dim() > 3 else x.movedim(axes, (1, 2))[..., None]


def from_rows(rows: torch.Tensor, like: torch.Tensor, axes: Axes) -> torch.Tensor:
    """[N, H, W, C] with rows and columns where `like` has them."""
    others = [size for axis, size in enumerate(like.shape) if axis and axis not in axes]
    return rows.unflatten(3, others or [1]).movedim((1, 2), axes)
