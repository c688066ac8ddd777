"""LayerWriter: what a layer function sees of its layer.

Core ML counts axes from behind: channels are the third from there, whatever comes before, so networks of the first
versions ([sequence, batch, C, H, W]) and later ones (any number of axes) have the same functions. The graph has no
sequence axis. What is [N, C, 1, 1] behind an inner product or an input stands in the graph as [N, C]: functions named
in FLAT_TOO take it so, for the others the two axes are added.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from ..graph_builder import Dim, GraphBuilder
from ..node_writer import NodeWriter
from .reader import Layer
from .weights import weights


class LayerWriter(NodeWriter):
    """One layer while it is translated. Its main node takes the layer's name; others get a suffix."""

    def __init__(
        self,
        layer: Layer,
        graph: GraphBuilder,
        inputs: Sequence[str],
        exact: bool,  # whether tensors have the axes the file says, or are [N, C, H, W] throughout
        flat: bool,  # whether the inputs are [N, C] in place of [N, C, 1, 1]
    ) -> None:
        super().__init__(graph, layer.name, layer.type, inputs, layer.outputs)
        self.param: Any = layer.param
        self.exact = exact
        self.flat = flat  # the same of the outputs, once they are written

    @property
    def channel_axis(self) -> int:
        """The third axis from behind; of a tensor of fewer axes the last, as in [N, C]."""
        rank = len(self.shape())
        return rank - 3 if rank > 2 else rank - 1

    @property
    def channels(self) -> int:
        """How many channels the first input has."""
        return self.sizes([self.shape()[self.channel_axis]])[0]

    def weights(self, role: str, message: Any, shape: Sequence[int], outputs: int = 0) -> np.ndarray:
        """Stored numbers as an array of this shape, whose axis `outputs` is that of the output channels.

        Raises InputError where they are others.
        """
        try:
            return weights(message, shape, outputs)
        except InputError as error:
            raise self.error(f"{role}: {error}") from error

    def stored(self, role: str, message: Any, shape: Sequence[int]) -> str:
        """As `weights`, as an initializer."""
        return self.constant(role, self.weights(role, message, shape))

    def per_channel(self, role: str, message: Any) -> np.ndarray:  # [C, 1, 1], [C] of a flat input
        """A number a channel, or one for all, so that it broadcasts against the first input."""
        found = self.weights(role, message, (1,) if _holds_one(message) else (self.channels,))
        return found.reshape(-1, *[1] * (len(self.shape()) - 1 - self.channel_axis))

    def images(self) -> tuple[Dim, ...]:
        """The shape of an input that has to be [N, C, H, W]. Raises InputError for another number of axes."""
        return self.ranked(4, "[N, C, H, W]")

    def ranked(self, rank: int, axes: str) -> tuple[Dim, ...]:
        """The shape of the first input, whose axes have to be so many."""
        shape = self.shape()
        if len(shape) != rank:
            raise self.error(f"expected an input {axes}, found one of {len(shape)} axes: {list(shape)}")
        return shape


def _holds_one(message: Any) -> bool:
    """Whether the weights are a single number."""
    is_one_byte = len(message.rawValue) == 1 and message.quantization.numberOfBits > 4
    return len(message.floatValue) == 4 or len(message.float16Value) == 2 or is_one_byte
