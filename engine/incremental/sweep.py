"""sweep: the network's outputs for one image under each of many patches, computed incrementally."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from torch import fx

from ..gradient.dtypes import to_torch
from .plan import Plan, Planner
from .steps import Run
from .windows import Span

if TYPE_CHECKING:
    from ..model import Model

PatchMaker: TypeAlias = Callable[[np.ndarray], torch.Tensor]  # numbers of positions [n] -> [n, C, h, w]

_ZONES = 4  # along each axis: near a border a patch reaches less than in the middle


class Sweep:
    """One network, some of its tensors, and patches of one size at many positions.

    Positions are taken zone by zone, as in each zone windows need only be as large as the largest there.
    """

    def __init__(
        self,
        model: Model,
        wanted: Sequence[str],  # tensors
        image: np.ndarray,  # [1, C, H, W] as the network takes it
        at: np.ndarray,  # [P, 2] first row and column of each patch, which lies inside
        patch: tuple[int, int],  # rows, columns
    ) -> None:
        self._graph, self._constants = model.torch().simplified(wanted)
        self._module = fx.GraphModule(self._constants.used_in(self._graph), self._graph)
        self._at, self._patch = at.astype(np.int64), patch
        self.set_image(image)

    def set_image(self, image: np.ndarray) -> None:  # [1, C, H, W], as large as the first
        """Another image, for the same positions."""
        recorder = _Recorder(self._module)
        with torch.no_grad():
            recorder.run(to_torch(image, torch.float32))
        names = {node.name: node for node in self._graph.nodes}
        self._clean = {names[name]: value for name, value in recorder.values.items()}

    @cached_property
    def plans(self) -> list[tuple[np.ndarray, Plan]]:
        """Numbers of positions, and how they are run; every position is in one of them."""
        rests: dict[Any, fx.GraphModule] = {}
        found = []
        for numbers in _zones(self._at):
            rows, columns = (Span(self._at[numbers, axis], self._patch[axis]) for axis in (0, 1))
            found.append((numbers, Planner(self._graph, self._constants, self._clean, (rows, columns), rests).plan()))
        return found

    @property
    def gain(self) -> float:
        """How many times fewer multiplications of convolutions there are than with whole networks."""
        whole = sum(len(numbers) * plan.full for numbers, plan in self.plans)
        return whole / max(1, sum(len(numbers) * plan.incremental for numbers, plan in self.plans))

    def run(self, patches: PatchMaker, most: int) -> Iterator[tuple[np.ndarray, tuple[torch.Tensor, ...]]]:
        """Numbers of some positions, at most `most`, and the wanted tensors for each of them, until all are done."""
        for numbers, plan in self.plans:
            for start in range(0, len(numbers), most):
                rows = slice(start, min(start + most, len(numbers)))
                yield numbers[rows], self._run(plan, rows, patches(numbers[rows]))

    def _run(self, plan: Plan, rows: slice, patches: torch.Tensor) -> tuple[torch.Tensor, ...]:
        run = Run(self._clean, plan.windows, rows, {plan.image: patches})
        with torch.no_grad():
            for step in plan.steps:
                run.values[step.node] = step(run)
            found: tuple[torch.Tensor, ...] = plan.rest(*(run.whole(node) for node in plan.put_back))
        return found


def _zones(at: np.ndarray) -> list[np.ndarray]:
    rows, columns = (np.array_split(np.unique(at[:, axis]), _ZONES) for axis in (0, 1))
    zones = [np.flatnonzero(np.isin(at[:, 0], some) & np.isin(at[:, 1], others)) for some in rows for others in columns]
    return [numbers for numbers in zones if len(numbers)]


class _Recorder(fx.Interpreter):
    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module, garbage_collect_values=False)
        self.values: dict[str, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if isinstance(value, torch.Tensor) and value.dim() == 4:
            value = value.contiguous(memory_format=torch.channels_last)
        self.values[n.name] = value
        return value
