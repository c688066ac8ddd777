"""surfaces: what a patch slides over: the network's image, or one of its feature maps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ..images import channels_first, image_input
from ..remainder import remainder
from ..structure.macs import macs
from ..targets import Target
from .feature_maps import feature_map, image_size
from .forward import session

if TYPE_CHECKING:
    from ..model import Model
    from ..structure.graph import Graph

Whole: TypeAlias = Callable[[np.ndarray], Mapping[str, np.ndarray]]  # n versions of the surface -> values [n, …]


class Surface(ABC):
    """What is covered."""

    tensor: str | None  # None: the image
    name: str
    size: tuple[int, int]  # rows, columns
    axes: tuple[int, int] | None  # where its value has those; None: they are not apart

    @property
    @abstractmethod
    def macs(self) -> int:
        """Multiplications of what depends on it."""

    @abstractmethod
    def planes(self, values: np.ndarray) -> np.ndarray:  # [n, …] -> [n, C, H, W]
        """Of n values of the tensor; what is written there is written into them."""

    @abstractmethod
    def at(self, image: np.ndarray) -> tuple[np.ndarray, Whole]:  # [1, …] as the network takes it
        """Its value [1, …] for this image, and what makes the tensors' values of versions of it."""


class ImageSurface(Surface):
    """The network's input."""

    def __init__(self, model: Model, tensors: Sequence[str], memory: int | str | None) -> None:
        self.tensor = None
        self._model, self._tensors, self._memory = model, tensors, memory
        self.name, self.size = image_input(model)[0], image_size(model)
        self.axes = (1, 2) if model.spec.layout == "NHWC" else (2, 3)

    @property
    def macs(self) -> int:
        return _macs(self._model.graph)

    def planes(self, values: np.ndarray) -> np.ndarray:
        return channels_first(values, self._model.spec)

    def at(self, image: np.ndarray) -> tuple[np.ndarray, Whole]:
        return image, lambda versions: session(self._model, self._memory).run(versions, self._tensors)


class LayerSurface(Surface):
    """A feature map or grid of tokens; only the network behind it runs.

    Raises InputError when it is none, or a tensor that is asked for does not depend on it.
    """

    tensor: str

    def __init__(
        self, model: Model, layer: str, target: Target, tensors: Sequence[str], memory: int | str | None
    ) -> None:
        self._model, self._memory = model, memory
        found = feature_map(model, layer, target)
        self._map = found
        self.tensor = self.name = found.tensor
        self._rests = {wanted: remainder(model, found.tensor, wanted) for wanted in tensors}
        blank = np.zeros((1, *image_input(model)[1][1:]), np.float32)
        rows, columns = found.planes(self._values(blank)[found.tensor]).shape[2:]  # the file need not know them
        self.size = (rows, columns)
        self.axes = {"channels first": (2, 3), "channels last": (1, 2)}.get(found.places.layout)

    def planes(self, values: np.ndarray) -> np.ndarray:
        return self._map.planes(values)

    @property
    def macs(self) -> int:
        return sum(_macs(rest.model.graph) for rest in self._rests.values())

    def at(self, image: np.ndarray) -> tuple[np.ndarray, Whole]:
        values = self._values(image)
        return values[self.tensor], lambda versions: {
            wanted: rest.run(versions, values) for wanted, rest in self._rests.items()
        }

    def _values(self, image: np.ndarray) -> Mapping[str, np.ndarray]:
        beside = [name for rest in self._rests.values() for name in rest.beside]
        return session(self._model, self._memory).run(image, [self.tensor, *beside])


def surface(model: Model, layer: str | None, targets: Sequence[Target], memory: int | str | None = None) -> Surface:
    """That of the layer, or the image's.

    Raises InputError when there is no such layer, or a target does not depend on it.
    """
    tensors = tensors_of(model, targets)
    if layer is None:
        return ImageSurface(model, tensors, memory)
    return LayerSurface(model, layer, targets[0], tensors, memory)


def tensors_of(model: Model, targets: Sequence[Target]) -> list[str]:
    return list(dict.fromkeys(target.tensor(model) for target in targets))


def _macs(graph: Graph) -> int:
    return sum(macs(graph, node) or 0 for node in graph.nodes)
