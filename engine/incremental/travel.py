"""How a change travels through one node: which part of its output changes, what must be read to compute that part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx

from ..gradient.constants import Constants
from .steps import Axes, Compute
from .windows import Reaches, Window, union


@dataclass(frozen=True)
class Travel:
    node: fx.Node  # the tensor that is computed: the node's, or that of an activation behind it
    sources: tuple[fx.Node, ...]  # the maps that it reads, which have windows
    axes: Axes
    reach: Reaches | None  # None: no map; all of it changes
    reads: Callable[[Window], Window]  # for a window of the output, that of every source
    compute: Callable[[Window, Window], Compute]  # for both
    fill: float = 0.0  # what the sources are outside
    macs: int = 0  # of the whole map
    lays_over: bool = False  # as of a Step


@dataclass(frozen=True)
class Tensors:
    """What is known of a network's tensors."""

    constants: Constants
    clean: Mapping[fx.Node, Any]  # every tensor without a change, for one image
    plain_sums: bool = False  # of convolutions, as of packed_convolution
    reaches: dict[fx.Node, Reaches] = field(default_factory=dict)  # of those that a change reaches in part
    axes: dict[fx.Node, Axes] = field(default_factory=dict)
    passed_by: set[fx.Node] = field(default_factory=set)  # those that depend on the image, not on what is changed
    sized: set[fx.Node] = field(default_factory=set)  # those that only the sizes of either decide

    def value(self, node: fx.Node) -> torch.Tensor:
        """The tensor without a change; of several outputs the first."""
        found = self.clean[node]
        return found[0] if isinstance(found, tuple | list) else found

    def size(self, node: fx.Node, axes: Axes | None = None) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = axes or self.axes[node]
        shape = self.value(node).shape
        return shape[rows], shape[columns]

    def places(self, node: fx.Node) -> int:
        rows, columns = self.size(node)
        return rows * columns

    def channels(self, node: fx.Node) -> int:
        """Numbers at a place."""
        return self.value(node).numel() // self.places(node)

    def changing(self, node: fx.Node) -> tuple[fx.Node, ...]:
        """What the node reads that changes in part."""
        return tuple(source for source in node.all_input_nodes if source in self.reaches)

    def united(self, sources: tuple[fx.Node, ...]) -> Reaches:
        rows, columns = (union([self.reaches[source][axis] for source in sources]) for axis in (0, 1))
        return rows, columns


def is_map(value: Any) -> bool:
    """Whether this is a float tensor, or several, for one image."""
    first = value[0] if isinstance(value, tuple | list) else value
    return isinstance(first, torch.Tensor) and first.is_floating_point() and first.dim() > 0 and len(first) == 1


def as_it_is(window: Window) -> Window:
    return window


def in_place(node: fx.Node, tensors: Tensors, axes: Axes | None = None, macs: int = 0) -> Travel:
    """A function whose outputs at a place depend on that place alone, called as it is."""
    sources = tensors.changing(node)
    return Travel(
        node,
        sources,
        axes or tensors.axes[sources[0]],
        tensors.united(sources),
        as_it_is,
        lambda window, read: _called(node, sources),
        macs=macs,
    )


def _called(node: fx.Node, sources: tuple[fx.Node, ...]) -> Compute:
    def compute(values: Any, run: Any) -> Any:
        changed = dict(zip(sources, values, strict=True))

        def value(argument: fx.Node) -> Any:
            return changed[argument] if argument in changed else run.clean[argument]

        arguments: Any = fx.map_arg(node.args, value)
        keywords: Any = fx.map_arg(node.kwargs, value)
        return node.target(*arguments, **keywords)  # type: ignore[operator]

    return compute
