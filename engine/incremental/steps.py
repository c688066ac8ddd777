"""Steps of a plan: each computes a window of one tensor for several positions at once.

Values are [positions, C, rows, columns] in torch's channels_last order, so that a place's channels lie together and the
overlay kernel copies whole rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import fx

from ...kernels.overlay import overlay
from .windows import Sliding, Span, Window, inputs_read, part, same

NOWHERE = -torch.inf  # the padding of a maximum


@dataclass
class Run:
    """What a run over some of the positions has so far."""

    clean: Mapping[fx.Node, Any]  # tensors as they are without a change, for one image
    windows: Mapping[fx.Node, Window]  # of all positions
    rows: slice  # the positions of this run
    values: dict[fx.Node, Any] = field(default_factory=dict)  # of the windows

    def window(self, node: fx.Node) -> Window:
        return part(self.windows[node], self.rows)

    def read(self, node: fx.Node, wanted: Window, fill: float = 0.0) -> torch.Tensor:
        """Another window of a tensor, the change within it; `wanted` is of all positions and may lie outside."""
        own, asked = self.window(node), part(wanted, self.rows)
        if same(own, asked):
            value: torch.Tensor = self.values[node]
            return value
        return laid_over(self.clean[node], self.values[node], _places(own), _places(asked), _sizes(asked), fill)

    def whole(self, node: fx.Node) -> torch.Tensor:
        """The tensor as a whole, the change within it."""
        own, clean = self.window(node), self.clean[node]
        return laid_over(clean, self.values[node], _places(own), 0 * _places(own), clean.shape[2:], 0.0)


def laid_over(
    clean: torch.Tensor,  # [1, C, H, W]
    changed: torch.Tensor,  # [P, C, h, w]
    changed_at: np.ndarray,
    at: np.ndarray,
    size: tuple[int, ...],
    fill: float,
) -> torch.Tensor:  # [P, C, *size]
    made = overlay(_rows(clean)[0], _rows(changed), changed_at, at, (size[0], size[1]), fill)
    found: torch.Tensor = made.permute(0, 3, 1, 2)
    return found


def _rows(x: torch.Tensor) -> torch.Tensor:  # [N, C, H, W] -> [N, H, W, C]
    return x.permute(0, 2, 3, 1).contiguous()


def _places(window: Window) -> np.ndarray:  # [P, 2]
    return np.stack([span.at for span in window], 1)


def _sizes(window: Window) -> tuple[int, int]:
    return window[0].size, window[1].size


# -- steps ---


@dataclass(frozen=True)
class Convolution:
    """Also what clips its output."""

    node: fx.Node
    source: fx.Node
    sliding: tuple[Sliding, Sliding]
    convolve: Callable[[torch.Tensor], torch.Tensor]  # without padding

    def __call__(self, run: Run) -> torch.Tensor:
        outputs = run.windows[self.node]
        wanted = (inputs_read(outputs[0], self.sliding[0]), inputs_read(outputs[1], self.sliding[1]))
        return self.convolve(run.read(self.source, wanted))


@dataclass(frozen=True)
class MaxPooling:
    node: fx.Node
    source: fx.Node
    sliding: tuple[Sliding, Sliding]

    def __call__(self, run: Run) -> tuple[torch.Tensor]:
        outputs = run.windows[self.node]
        wanted = (inputs_read(outputs[0], self.sliding[0]), inputs_read(outputs[1], self.sliding[1]))
        kernel, stride, dilation = zip(*((s.kernel, s.stride, s.dilation) for s in self.sliding), strict=True)
        return (F.max_pool2d(run.read(self.source, wanted, NOWHERE), kernel, stride, 0, dilation),)


@dataclass(frozen=True)
class AveragePooling:
    node: fx.Node
    source: fx.Node
    sliding: tuple[Sliding, Sliding]
    counted: tuple[tuple[int, int], tuple[int, int]]  # places that count, from and up to, along each axis

    def __call__(self, run: Run) -> torch.Tensor:
        outputs = run.windows[self.node]
        wanted = (inputs_read(outputs[0], self.sliding[0]), inputs_read(outputs[1], self.sliding[1]))
        kernel, stride = zip(*((s.kernel, s.stride) for s in self.sliding), strict=True)
        found = F.avg_pool2d(run.read(self.source, wanted), kernel, stride)
        shares = [
            _shares(span, along, counted)
            for span, along, counted in zip(run.window(self.node), self.sliding, self.counted, strict=True)
        ]
        if all((share == 1).all() for share in shares):
            return found
        rows, columns = (torch.from_numpy(share.astype(np.float32)) for share in shares)
        return found / rows[:, None, :, None] / columns[:, None, None, :]


def _shares(outputs: Span, along: Sliding, counted: tuple[int, int]) -> np.ndarray:  # [P, size]
    """The share of each window's places that count."""
    first = (outputs.at[:, None] + np.arange(outputs.size)) * along.stride - along.begin
    inside = np.minimum(first + along.kernel, counted[1]) - np.maximum(first, counted[0])
    return inside / along.kernel


@dataclass(frozen=True)
class Pointwise:
    """Any function whose outputs at a place depend on that place alone."""

    node: fx.Node
    windowed: tuple[fx.Node, ...]  # those of its arguments that change

    def __call__(self, run: Run) -> Any:
        values = {source: run.read(source, run.windows[self.node]) for source in self.windowed}

        def value(argument: fx.Node) -> Any:
            return values[argument] if argument in values else run.clean[argument]

        arguments: Any = fx.map_arg(self.node.args, value)
        keywords: Any = fx.map_arg(self.node.kwargs, value)
        return self.node.target(*arguments, **keywords)  # type: ignore[operator]


@dataclass(frozen=True)
class Item:
    """One of the outputs of a node that has several."""

    node: fx.Node
    source: fx.Node

    def __call__(self, run: Run) -> torch.Tensor:
        found: torch.Tensor = run.values[self.source][self.node.args[1]]
        return found


Step = Convolution | MaxPooling | AveragePooling | Pointwise | Item
