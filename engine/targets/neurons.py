"""Inner parts of the network: a channel, a neuron, a whole layer, any function of a tensor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...importers.errors import InputError
from .target import Target, check_index, tensor_named

if TYPE_CHECKING:
    from ..model import Model


@dataclass(frozen=True)
class _OfLayer(Target):
    layer: str  # a tensor, or the node that makes it

    def tensor(self, model: Model) -> str:
        return tensor_named(model, self.layer)


@dataclass(frozen=True)
class Channel(_OfLayer):
    """The mean of one channel over all places.

    Channels lie along the second axis ([N, C], [N, C, H, W]), of tokens [N, T, C] along the last.
    """

    channel: int
    axis: int | None = None  # another axis of channels, the batch being axis 0

    @property
    def label(self) -> str:
        return f"{self.layer}, channel {self.channel}"

    def score(self, value: Any) -> Any:
        rank = len(value.shape)
        axis = self.axis if self.axis is not None else (2 if rank == 3 else 1)
        if not 0 < axis < rank:
            raise InputError(f"{self.layer} {list(value.shape)} has no axis {axis} of channels")
        check_index(self.channel, value.shape[axis], "channel", f"{self.layer} {list(value.shape)}")
        chosen = value[(slice(None),) * axis + (self.channel,)]
        return chosen.reshape(len(value), -1).mean(1)


@dataclass(frozen=True, init=False)
class Neuron(_OfLayer):
    """One value of a tensor, by its place behind the batch axis: `Neuron("conv3", c, y, x)`, `Neuron("fc", c)`,
    `Neuron("tokens", t, c)`."""

    place: tuple[int, ...]

    def __init__(self, layer: str, *place: int) -> None:
        object.__setattr__(self, "layer", layer)
        object.__setattr__(self, "place", place)

    @property
    def label(self) -> str:
        return f"{self.layer}, neuron {', '.join(map(str, self.place))}"

    def score(self, value: Any) -> Any:
        sizes = tuple(value.shape[1:])
        if len(sizes) != len(self.place):
            raise InputError(
                f"a neuron of {self.layer} {list(value.shape)} has {len(sizes)} numbers, found {len(self.place)}"
            )
        for index, size in zip(self.place, sizes, strict=True):
            check_index(
                index, size, f"neuron {', '.join(map(str, self.place))}, at", f"{self.layer} {list(value.shape)}"
            )
        return value[(slice(None), *self.place)]


@dataclass(frozen=True)
class Layer(_OfLayer):
    """The mean square of a whole layer: how strongly it answers, whatever it is that it answers to."""

    @property
    def label(self) -> str:
        return f"{self.layer}, mean square"

    def score(self, value: Any) -> Any:
        return (value * value).reshape(len(value), -1).mean(1)


@dataclass(frozen=True)
class Function(_OfLayer):
    """Any function of a tensor's value, [N, …] torch tensor -> [N]."""

    function: Callable[[Any], Any]
    name: str = "a function"

    @property
    def label(self) -> str:
        return f"{self.name} of {self.layer}"

    def score(self, value: Any) -> Any:
        scores = self.function(value)
        if tuple(getattr(scores, "shape", ())) != (len(value),):
            found = list(getattr(scores, "shape", ())) or type(scores).__name__
            raise InputError(f"expected one number an image from {self.name}, [{len(value)}]; found {found}")
        return scores
