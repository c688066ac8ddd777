"""plan: for a patch at some positions of the image, the window of every tensor that is computed, and where a network is
better run as a whole.

The idea is that of Nakandala et al. 2019, Incremental and approximate inference for faster occlusion-based deep CNN
explanations, doi:10.1145/3299869.3319874, the exact part of it: nothing is approximated.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import fx

from ...importers.errors import InputError
from ..gradient.fusion import fuse
from ..gradient.kinds import kind
from .reach import SIZES
from .steps import Reading, Step
from .travel import Tensors, Travel, is_map
from .windows import Span, Window, area, same

# A number copied costs as much as this many multiplications: memory's speed against the processor's, roughly.
COPY = 50


@dataclass(frozen=True)
class Line:
    """What a plan does at one convolution."""

    name: str
    window: tuple[int, int] | None  # rows and columns that are computed; None: all
    size: tuple[int, int]  # rows and columns there are
    macs: int  # a position, of the whole map

    @property
    def incremental_macs(self) -> float:
        """Those of the window."""
        return self.macs * math.prod(self.window or self.size) / math.prod(self.size)


@dataclass(frozen=True)
class Plan:
    """How a network is run for some positions."""

    steps: tuple[Step, ...]
    unread: tuple[tuple[fx.Node, ...], ...]  # for each step what no later one reads
    elements: int  # numbers that a position takes at most
    put_back: tuple[Reading, ...]  # tensors that the rest reads as a whole
    made: tuple[fx.Node, ...]  # what it reads that steps have made as a whole
    beside: tuple[fx.Node, ...]  # what it reads that does not change
    rest: fx.GraphModule  # of these, to the outputs
    lines: tuple[Line, ...]

    @property
    def macs(self) -> int:
        """Multiplications a position, of convolutions, without a plan."""
        return sum(line.macs for line in self.lines)

    @property
    def incremental_macs(self) -> float:
        """With it."""
        return sum(line.incremental_macs for line in self.lines)


class Planner:
    """Plans for groups of positions."""

    def __init__(self, graph: fx.Graph, changed: fx.Node, tensors: Tensors, travels: Mapping[fx.Node, Travel]) -> None:
        self._graph, self._changed, self._tensors, self._travels = graph, changed, tensors, travels
        self._rests: dict[Any, fx.GraphModule] = {}
        elsewhere = {changed, *tensors.passed_by, *travels}
        self._whole = [self._whole_line(node) for node in graph.nodes if kind(node) == "Conv" and node not in elsewhere]

    def plan(self, numbers: np.ndarray) -> Plan:
        """For these positions."""
        windows, made = {self._changed: self._window(self._changed, numbers)}, list[fx.Node]()
        steps, lines = list[Step](), list(self._whole)
        for node, travel in self._travels.items():
            window = self._chosen(travel, windows, numbers)
            if window is not None:
                steps.append(self._step(travel, window, windows))
                if travel.reach is None:
                    made.append(travel.node)
                else:
                    windows[travel.node] = window
            if travel.macs:
                sizes = None if window is None else (window[0].size, window[1].size)
                lines.append(Line(node.name, sizes, self._tensors.size(node, travel.axes), travel.macs))
        rest, read = self._rest(windows, made)
        steps = _needed(steps, read)
        put_back = tuple(
            self._put_back(node, windows[node]) for node in read if node not in (*made, *self._tensors.passed_by)
        )
        unread = _unread(steps, read)
        return Plan(
            tuple(steps),
            unread,
            self._elements(steps, unread, windows, put_back),
            put_back,
            tuple(node for node in read if node in made),
            tuple(node for node in read if node in self._tensors.passed_by),
            rest,
            tuple(lines),
        )

    def _whole_line(self, conv: fx.Node) -> Line:
        """Of one that reads what a change reaches everywhere."""
        weight, made = (self._tensors.value(node) for node in (conv.all_input_nodes[1], conv))
        rows, columns = made.shape[-2:]
        return Line(conv.name, None, (rows, columns), weight[0].numel() * made[0].numel())

    def _window(self, node: fx.Node, numbers: np.ndarray) -> Window:
        rows, columns = (
            reach.span(numbers, length)
            for reach, length in zip(self._tensors.reaches[node], self._tensors.size(node), strict=True)
        )
        return rows, columns

    def _chosen(self, travel: Travel, windows: Mapping[fx.Node, Window], numbers: np.ndarray) -> Window | None:
        """The window that is computed, or, of what has none, that is read; None where the whole is computed."""
        if any(source not in windows for source in travel.sources):
            return None
        if travel.reach is None:
            window = windows[travel.sources[0]]
            return window if 2 * area(window) < self._tensors.places(travel.sources[0]) else None
        window = self._window(travel.node, numbers)
        if travel.macs and self._cost(travel, window, windows) >= self._cost_of_whole(travel):
            return None
        return window

    def _cost(self, travel: Travel, window: Window, windows: Mapping[fx.Node, Window]) -> float:
        """What the window takes, in multiplications."""
        (source,) = travel.sources
        read = travel.reads(window)
        copied = area(read) * self._tensors.channels(source)
        if travel.lays_over or same(read, windows[source]):
            copied = 0
        return travel.macs * area(window) / self._tensors.places(travel.node) + COPY * copied

    def _cost_of_whole(self, travel: Travel) -> float:
        return travel.macs + COPY * self._tensors.value(travel.sources[0]).numel()

    def _step(self, travel: Travel, window: Window, windows: Mapping[fx.Node, Window]) -> Step:
        read = travel.reads(window)
        readings = tuple(
            Reading.of(source, self._tensors.axes[source], windows[source], read, travel.fill)
            for source in travel.sources
        )
        return Step(travel.node, readings, travel.compute(window, read), travel.lays_over)

    def _put_back(self, node: fx.Node, own: Window) -> Reading:
        rows, columns = (
            Span(np.zeros_like(span.at), length) for span, length in zip(own, self._tensors.size(node), strict=True)
        )
        return Reading.of(node, self._tensors.axes[node], own, (rows, columns), 0.0)

    def _elements(
        self,
        steps: Sequence[Step],
        unread: Sequence[Sequence[fx.Node]],
        windows: Mapping[fx.Node, Window],
        put_back: Sequence[Reading],
    ) -> int:
        """An upper bound: of windows as they come and go, then of the rest, whose largest tensors it holds thrice."""
        held, most = dict[fx.Node, int](), 0
        for step, dropped in zip(steps, unread, strict=True):
            held[step.node] = (
                area(windows[step.node]) * self._tensors.channels(step.node) if step.node in windows else 0
            )
            read = sum(math.prod(reading.size) * self._tensors.channels(reading.source) for reading in step.readings)
            most = max(most, sum(held.values()) + 2 * read)
            for node in dropped:
                held.pop(node, None)
        whole = sum(self._tensors.value(reading.source).numel() for reading in put_back)
        others = [
            node for node, value in self._tensors.clean.items() if node not in windows and is_map(value)
        ]  # no weights
        largest = max((self._tensors.value(node).numel() for node in others), default=0)
        return max(most, sum(held.values()) + 2 * whole + 3 * largest)

    # -- what is run as a whole ---

    def _rest(
        self, windows: Mapping[fx.Node, Window], made: Sequence[fx.Node]
    ) -> tuple[fx.GraphModule, tuple[fx.Node, ...]]:
        """The rest of the network, and what it reads, in order: what has windows, what was made, what passed by."""
        passed_by = self._tensors.passed_by
        known = {*windows, *made, *passed_by}
        needed, waiting = set[fx.Node](), [self._graph.output_node()]
        while waiting:
            node = waiting.pop()
            if node not in needed:
                needed.add(node)
                of_sizes = kind(node) in SIZES and node.args[0] in known
                waiting += [] if node in known or of_sizes else node.all_input_nodes
        beside = [node for node in self._graph.nodes if node in passed_by]
        changed = [node for node in windows if node not in passed_by]
        read = tuple(node for node in (*changed, *made, *beside) if node in needed)
        if not all(is_map(self._tensors.clean[node]) for node in beside if node in needed):
            raise InputError("what it computes beside the tensor that is changed is no map")
        if read not in self._rests:
            self._rests[read] = self._made_rest(read, known)
        return self._rests[read], read

    def _made_rest(self, read: tuple[fx.Node, ...], known: set[fx.Node]) -> fx.GraphModule:
        graph, copies = fx.Graph(), dict[fx.Node, fx.Node]()
        for node in read:
            copies[node] = graph.placeholder(node.name)
        for node in self._graph.nodes:
            if node in known or node.op == "placeholder":
                continue
            if node.op == "output":
                graph.output(fx.map_arg(node.args[0], copies.__getitem__))
            elif kind(node) in SIZES and node.args[0] in known and node.args[0] not in copies and read:
                copies[node] = self._sized(graph, node, copies[read[0]])
            elif all(source in copies for source in node.all_input_nodes):
                copies[node] = graph.node_copy(node, copies.__getitem__)
        graph.eliminate_dead_code(lambda node: node.op in ("placeholder", "output"))
        constants = self._tensors.constants
        fuse(graph, constants, (), self._tensors.plain_sums)
        return fx.GraphModule(constants.used_in(graph), graph)

    def _sized(self, graph: fx.Graph, node: fx.Node, like: fx.Node) -> fx.Node:
        """What looks at the sizes of a tensor that is not there as a whole; `like` has as many images."""
        target: Any = node.target
        size = self._tensors.value(node.args[0]).shape[1:]  # type: ignore[arg-type]

        def of_sizes(like: torch.Tensor) -> Any:
            return target(torch.empty(len(like), *size, device="meta"), **node.kwargs)

        return graph.call_function(of_sizes, (like,))


def _needed(steps: Sequence[Step], read: Collection[fx.Node]) -> list[Step]:
    """Those that others or the rest read."""
    found, wanted = list[Step](), set(read)
    for step in reversed(steps):
        if step.node in wanted:
            found.append(step)
            wanted.update(reading.source for reading in step.readings)
    return found[::-1]


def _unread(steps: Sequence[Step], kept: Collection[fx.Node]) -> tuple[tuple[fx.Node, ...], ...]:
    """For each step the tensors that it is the last to read, but for those kept."""
    last = {reading.source: number for number, step in enumerate(steps) for reading in step.readings}
    return tuple(
        tuple(node for node, reader in last.items() if reader == number and node not in kept)
        for number in range(len(steps))
    )
