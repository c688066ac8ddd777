"""sweep: a network's outputs for one image, or a tensor inside, under each of many patches, computed incrementally."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from torch import fx

from ...importers.errors import InputError
from ..gradient.dtypes import to_torch
from .groups import groups
from .narrowing import Narrowed, narrow
from .plan import COPY, Plan, Planner
from .reach import travels
from .steps import Axes, Clean, Run
from .travel import Tensors
from .windows import Reach

if TYPE_CHECKING:
    from ..model import Model

_READ = 25  # multiplications that reading one weight from memory is worth, measured on VGG-16 and MobileNetV2

PatchMaker: TypeAlias = Callable[[np.ndarray], torch.Tensor]  # numbers of positions [n] -> [n, C, h, w], likewise


class Sweep:
    """One network, some of its tensors, and patches of one size at many positions of its image or of another tensor."""

    def __init__(
        self,
        model: Model,
        wanted: Sequence[str],  # tensors
        image: np.ndarray,  # [1, C, H, W], or as the layout says
        at: np.ndarray,  # [P, 2] first row and column of each patch, which lies inside
        patch: tuple[int, int],  # rows, columns
        channels: Mapping[str, Sequence[int]] = MappingProxyType({}),  # of tensors of which not all are asked
        changed: str | None = None,  # the tensor that patches lie in; None: the image
        axes: Axes = (2, 3),  # rows and columns of what they lie in
    ) -> None:
        fixed = model.session().batching.fixed
        if fixed not in (None, 1):
            raise InputError(f"the network takes {fixed} images at a time, and positions are run as one or any number")
        self._one_by_one = fixed == 1  # what is run as a whole; windows do not mind
        self._graph, self._constants = model.torch().simplified([*wanted, *filter(None, [changed])])
        (placeholder,) = (node for node in self._graph.nodes if node.op == "placeholder")
        end = self._graph.output_node()
        outputs: Any = end.args[0]
        self._changed: fx.Node = outputs[-1] if changed else placeholder
        self._at, self._patch, self._axes = at.astype(np.int64), patch, axes
        self.set_image(image)
        self._narrowed = self._narrow([channels.get(name) for name in wanted])
        end.args = (outputs[: len(wanted)],)

    def _narrow(self, channels: Sequence[Sequence[int] | None]) -> list[Narrowed | None]:
        """For each output what it has left, where that is less than all."""
        outputs: Any = self._graph.output_node().args[0]
        return [
            None if some is None else narrow(output, self._constants, self._clean.values, some)
            for output, some in zip(outputs, channels, strict=False)  # the changed tensor may stand behind them
        ]

    @property
    def clean(self) -> np.ndarray:
        """What patches lie in, as it is without them."""
        found: np.ndarray = self._clean[self._changed].numpy()
        return found

    def set_image(self, image: np.ndarray) -> None:  # as large as the first
        """Another image, for the same positions."""
        recorder = _Recorder(self._graph, self._constants.used_in(self._graph))
        with torch.no_grad():
            recorder.run(to_torch(image, torch.float32))
        names = {node.name: node for node in self._graph.nodes}
        self._clean = Clean({names[name]: value for name, value in recorder.values.items()})

    @cached_property
    def plans(self) -> list[tuple[np.ndarray, Plan]]:
        """Numbers of positions, and how they are run; every position is in one of them."""
        rows, columns = (
            Reach(first, first + length - 1) for first, length in zip(self._at.T, self._patch, strict=True)
        )
        tensors, found = travels(
            self._graph, self._constants, self._clean.values, self._changed, (rows, columns), self._axes
        )
        planner = Planner(self._graph, self._changed, tensors, found)
        return [(numbers, planner.plan(numbers)) for numbers in _groups(self._at, tensors, found.values())]

    @property
    def gain(self) -> float:
        """How many times fewer multiplications of convolutions there are than with whole networks."""
        whole = sum(len(numbers) * plan.macs for numbers, plan in self.plans)
        return whole / max(1, sum(len(numbers) * plan.incremental_macs for numbers, plan in self.plans))

    def run(
        self, patches: PatchMaker, most: Callable[[Plan], int]
    ) -> Iterator[tuple[np.ndarray, tuple[torch.Tensor, ...]]]:
        """Numbers of some positions, at most as many as `most` says, and the wanted tensors for each of them, until all
        are done. Channels that nobody asked for are NaN."""
        for numbers, plan in self.plans:
            start = 0
            while start < len(numbers):
                some = slice(start, min(start + most(plan), len(numbers)))
                yield numbers[some], self._run(plan, some, patches(numbers[some]))
                start = some.stop

    def _run(self, plan: Plan, some: slice, patches: torch.Tensor) -> tuple[torch.Tensor, ...]:
        run = Run(self._clean, some, {self._changed: patches})
        with torch.no_grad():
            for step, unread in zip(plan.steps, plan.unread, strict=True):
                step(run)
                for node in unread:
                    del run.values[node]
            read = [*(reading(run) for reading in plan.put_back), *(run.values[node] for node in plan.made)]
            count = some.stop - some.start
            read += [self._clean[node].expand(count, *self._clean[node].shape[1:]) for node in plan.beside]
            found = self._rest(plan, read, count)
        return tuple(
            value if narrowed is None else narrowed.widened(value)
            for value, narrowed in zip(found, self._narrowed, strict=True)
        )

    def _rest(self, plan: Plan, read: list[torch.Tensor], count: int) -> tuple[torch.Tensor, ...]:
        if not self._one_by_one:
            found: tuple[torch.Tensor, ...] = plan.rest(*read)
            return found
        rows = [plan.rest(*(tensor[row : row + 1] for tensor in read)) for row in range(count)]
        return tuple(map(torch.cat, zip(*rows, strict=True)))


def _groups(at: np.ndarray, tensors: Tensors, found: Any) -> list[np.ndarray]:
    maps = [travel for travel in found if travel.reach is not None]
    costs = [travel.macs / tensors.places(travel.node) + COPY * tensors.channels(travel.node) for travel in maps]
    weights = sum(value.numel() for node, value in tensors.clean.items() if node.op == "get_attr")
    return groups(at, [travel.reach for travel in maps], np.array(costs), _READ * weights)


class _Recorder(fx.Interpreter):
    """Keeps every value. It needs no module: to make one, fx writes and compiles Python code."""

    def __init__(self, graph: fx.Graph, held: Mapping[str, Any]) -> None:
        super().__init__(torch.nn.Module(), garbage_collect_values=False, graph=graph)
        self._held = held  # constants and submodules by name
        self.values: dict[str, Any] = {}

    def fetch_attr(self, target: str) -> Any:
        return self._held[target]

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        return self._held[target](*args, **kwargs)

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        self.values[n.name] = value
        return value
