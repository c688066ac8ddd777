"""Inner parts of the network: a channel, a neuron, a whole layer, any function of a tensor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
        found = tensor_named(model, self.layer)
        shape = model.graph.shape(found)
        if shape is not None and None not in shape:
            self._where(shape)  # a place that the layer does not have is said before anything runs
        return found

    def _where(self, shape: Sequence[int | None]) -> tuple[Any, ...]:
        """The index of what is read in a value of this shape. Raises InputError when there is no such place."""
        return (slice(None),)


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
        return value[self._where(value.shape)].reshape(len(value), -1).mean(1)

    def channels(self) -> tuple[int, ...] | None:
        return (self.channel,) if self.axis == 1 else None

    def _where(self, shape: Sequence[int | None]) -> tuple[Any, ...]:
        axis = self.axis if self.axis is not None else (2 if len(shape) == 3 else 1)
        if not 0 < axis < len(shape):
            raise InputError(f"{self.layer} {list(shape)} has no axis {axis} of channels")
        check_index(self.channel, shape[axis] or 0, "channel", f"{self.layer} {list(shape)}")
        return (slice(None),) * axis + (self.channel,)


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
        return value[self._where(value.shape)]

    def channels(self) -> tuple[int, ...] | None:
        return self.place[:1]

    def _where(self, shape: Sequence[int | None]) -> tuple[Any, ...]:
        layer, place = f"{self.layer} {list(shape)}", ", ".join(map(str, self.place))
        if len(shape) - 1 != len(self.place):
            raise InputError(f"a neuron of {layer} has {len(shape) - 1} numbers, found {len(self.place)}")
        for index, size in zip(self.place, shape[1:], strict=True):
            check_index(index, size or 0, f"neuron {place}, at", layer)
        return (slice(None), *self.place)


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
