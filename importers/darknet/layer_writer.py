"""LayerWriter: what a layer function sees of its layer, and how it writes the layer's nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..errors import InputError
from ..graph_builder import GraphBuilder
from ..heads import Head
from ..node_writer import NodeWriter
from .reader import Section, Weights

NO_TENSOR = ""  # what a head makes: boxes, which the graph does not have


@dataclass
class Network:
    """The graph as far as it is written."""

    graph: GraphBuilder
    weights: Weights
    shape: tuple[int, int, int]  # channels, height, width of the image
    tensors: list[str] = field(default_factory=list)  # what each layer makes
    heads: list[Head] = field(default_factory=list)
    # A layer's weights by their roles, for those that share them.
    loaded: dict[int, dict[str, np.ndarray]] = field(default_factory=dict)


class LayerWriter(NodeWriter):
    """One layer while it is translated. Its last node and what that makes take its name; others get a suffix."""

    def __init__(self, section: Section, network: Network, image: str) -> None:
        super().__init__(network.graph, section.name, section.type, [], [section.name])
        self.section = section
        self.network = network
        self._image = image  # what the first layer reads
        self._has_taken = False

    def error(self, reason: str) -> InputError:
        """An InputError that names this layer by its number and line; to be raised by the caller."""
        return self.section.error(reason)

    @property
    def input(self) -> str:
        """What the layer before makes."""
        return self.tensor(self.section.index - 1)

    def tensor(self, index: int) -> str:
        """What an earlier layer makes; -1: the image. Raises InputError for a head's boxes."""
        name = self._image if index == -1 else self.network.tensors[index]
        if not name:
            raise self.error(f"reads the boxes of layer {index}, which the graph does not have")
        return name

    def sources(self, key: str) -> list[int]:
        """Numbers of the earlier layers that an option names, negative ones counted back from here.

        Raises InputError when there are none, or one is not earlier.
        """
        here = self.section.index
        indices = [index + here if index < 0 else index for index in self.section.integers(key)]
        if not indices or not all(0 <= index < here for index in indices):
            raise self.error(f"{key} expects numbers of earlier layers, found {self.section.text(key)!r}")
        return indices

    def extent(self, tensor: str) -> tuple[int, int, int]:
        """Channels, height and width of a tensor."""
        _, *sizes = self.graph.shape(tensor)
        channels, height, width = (size for size in (*sizes, 1, 1)[:3] if isinstance(size, int))
        return channels, height, width

    def map(self, tensor: str) -> str:
        """The tensor with four axes: connected layers make rows, to which Darknet gives height and width 1."""
        if len(self.graph.shape(tensor)) == 4:
            return tensor
        return self.add("map", "Reshape", [tensor, self.ints("map_shape", [0, *self.extent(tensor)])])

    def row(self, tensor: str) -> str:
        """The tensor as one row an image."""
        return tensor if len(self.graph.shape(tensor)) == 2 else self.add("row", "Flatten", [tensor])

    def positive(self, key: str, default: int = 1) -> int:
        """A whole number above 0. Raises InputError when it is not."""
        value = self.section.integer(key, default)
        if value < 1:
            raise self.error(f"{key} expects a number above 0, found {value}")
        return value

    def take(self, role: str, shape: Sequence[int]) -> np.ndarray:
        """The next weights of the file. Raises InputError at its end; weights of a backbone end between two layers."""
        weights, here = self.network.weights, self.section.index
        is_backbone = weights.is_at_end and here > 0 and not self._has_taken
        try:
            found = weights.take(role, shape)
        except InputError as error:
            advice = f"; it ends behind layer {here - 1}: first_layers {here} takes the network so far" * is_backbone
            raise self.error(f"{error}{advice}") from None
        self._has_taken = True
        return found
