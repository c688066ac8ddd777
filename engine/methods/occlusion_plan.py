"""occlusion_plan: what an occlusion would compute, layer by layer, before it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...importers.errors import InputError
from ..results import Result
from .attributing import Wanted, wanted_targets
from .covered import Covering
from .patches import Extent, sliding_over
from .surfaces import surface

if TYPE_CHECKING:
    from ..incremental.sweep import Sweep
    from ..model import Model


@dataclass(frozen=True)
class PlannedLayer:
    """A convolution; windows differ from position to position, near borders above all."""

    name: str
    size: tuple[int, int]  # rows and columns of its output
    smallest: tuple[int, int]  # window that is computed
    largest: tuple[int, int]
    macs: int  # of all of it, a position
    incremental_macs: float  # of what is computed, on average over the positions


@dataclass(frozen=True)
class OcclusionPlan(Result):
    """How an occlusion is computed. The answer is the same whatever the plan, but for rounding."""

    by: str  # "windows", or "whole networks": onnxruntime's
    why: str  # it is whole networks
    layer: str | None  # that is covered; None: the image
    positions: int
    grid: tuple[int, int]  # of positions: rows, columns
    patch: tuple[int, int]
    stride: tuple[int, int]
    groups: int  # of positions that run together, as their windows have one size
    layers: tuple[PlannedLayer, ...]
    source: Mapping[str, Any]

    @property
    def macs(self) -> int:
        """Of all convolutions, a position."""
        return sum(layer.macs for layer in self.layers)

    @property
    def incremental_macs(self) -> float:
        return sum(layer.incremental_macs for layer in self.layers)

    @property
    def gain(self) -> float:
        """How many times fewer multiplications windows need."""
        return self.macs / self.incremental_macs if self.incremental_macs else 1.0

    def to_json(self) -> dict[str, Any]:
        totals = {"macs": self.macs, "incremental_macs": self.incremental_macs, "gain": self.gain}
        return super().to_json() | totals


def occlusion_plan(
    model: Model,
    *,
    target: Wanted | Sequence[Wanted] = None,
    layer: str | None = None,
    patch: Extent | None = None,
    stride: Extent | None = None,
) -> OcclusionPlan:
    """What `occlusion` with these options computes for a position, convolution by convolution.

    Raises InputError as `occlusion` does.
    """
    targets = wanted_targets(target, model)
    on = surface(model, layer, targets)
    at = sliding_over(on, patch, stride)
    covering = Covering(model, targets, on, at)
    try:
        sweep = covering.sweep()
    except InputError:  # which is why
        sweep = None
    return OcclusionPlan(
        by="whole networks" if covering.why_whole else "windows",
        why=covering.why_whole,
        layer=on.tensor,
        positions=len(at),
        grid=at.grid,
        patch=at.patch,
        stride=at.stride,
        groups=0 if sweep is None else len(sweep.plans),
        layers=() if sweep is None else _layers(sweep),
        source=model.source,
    )


def _layers(sweep: Sweep) -> tuple[PlannedLayer, ...]:
    """Each convolution over all groups of positions."""
    total = sum(len(numbers) for numbers, _ in sweep.plans)
    groups = [plan.lines for _, plan in sweep.plans]
    shares = [len(numbers) / total for numbers, _ in sweep.plans]
    found = []
    for lines in zip(*groups, strict=True):
        windows = [line.window or line.size for line in lines]
        computed = sum(share * line.incremental_macs for share, line in zip(shares, lines, strict=True))
        smallest, largest = (choose(windows, key=lambda w: w[0] * w[1]) for choose in (min, max))
        found.append(PlannedLayer(lines[0].name, lines[0].size, smallest, largest, lines[0].macs, computed))
    return tuple(found)
