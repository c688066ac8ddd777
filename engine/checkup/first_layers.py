"""The layers that see the image itself: how much of their answers is aliased, and whether a few drown the others.

(M. Zeiler and R. Fergus, Visualizing and Understanding Convolutional Networks, 2013, arXiv:1311.2901, section 4.1)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..images import image_input, prepare
from ..structure.graph import Graph, Node
from ..structure.weights import DEAD
from .convolutions import Convolution, layer_name, operators, stored_value

if TYPE_CHECKING:
    from ..model import Model
    from ..session import Session

# What may stand between the image and a first layer: it changes scale, offset, type or the order of axes and channels.
_NORMALISING = operators(
    "Add BatchNormalization Cast Concat DequantizeLinear Div Gather Identity Mul Pad QuantizeLinear Sub Transpose "
    "Unsqueeze"
)
_GRID = 64  # frequencies along each axis; of larger kernels more


@dataclass(frozen=True)
class FirstLayer:
    """A convolution of the image. Filters are taken a grey level (0..255) of the image, whatever its preprocessing."""

    layer: str
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    norms: np.ndarray = field(repr=False)  # [out] length of the filters, a grey level
    aliased: np.ndarray = field(repr=False)  # [out] share of their answers to photos; dead ones have 0
    living: np.ndarray = field(repr=False)  # [out] bool

    @property
    def contrast(self) -> np.ndarray:  # [out]
        """The filters' lengths, the median of those alive being 1."""
        middle = float(np.median(self.norms[self.living])) if self.living.any() else 1.0
        return self.norms / (middle or 1.0)

    @property
    def overlaps(self) -> bool:
        """Whether windows are strided and overlap. Those that do not cut the image into patches, and no frequency is
        lost for want of places: the channels hold it."""
        return any(side > step > 1 for side, step in zip(self.kernel, self.stride, strict=True))

    @property
    def mean_aliased(self) -> float:
        """Mean share over the filters that are alive."""
        return float(self.aliased[self.living].mean()) if self.living.any() else 0.0


def image_convolutions(model: Model) -> list[str]:
    """Names of the convolutions that see the image through nothing but normalisation."""
    graph, found = model.graph, []
    seen = {image_input(model)[0]}
    for node in graph.nodes:
        if not node.inputs or node.inputs[0] not in seen:
            continue
        if node.op == "Conv":
            found.append(layer_name(node))
        elif node.op in _NORMALISING and all(name in seen or _fixed(graph, name) for name in node.inputs):
            seen.update(node.outputs)
    return found


def _fixed(graph: Graph, name: str) -> bool:
    return not name or stored_value(graph, name) is not None


def first_layer(model: Model, session: Session, conv: Convolution) -> FirstLayer | None:
    """The figures of one of `image_convolutions`; None where it is not a two-dimensional one of all channels."""
    scale = _input_scale(model, session, conv.node)
    if conv.weights.ndim != 4 or conv.weights.shape[1] != len(scale):
        return None
    weights = conv.weights * scale[:, None, None]
    norms = np.sqrt(np.square(weights).sum(axis=(1, 2, 3)))
    stride = tuple(conv.node.attribute("strides", [1, 1]))
    living = norms > DEAD * norms.max(initial=0)
    shares = np.where(living, aliased_share(weights, stride, conv.node.attribute("dilations", [1, 1])), 0)
    return FirstLayer(conv.name, weights.shape[2:], stride, norms, shares, living)


def _input_scale(model: Model, session: Session, node: Node) -> np.ndarray:  # [C]
    """How much the convolution's input rises a grey level, channel by channel: from a black and a white image."""
    shape = image_input(model)[1]
    size = shape[1:3] if model.spec.layout == "NHWC" else shape[2:]
    black, white = (prepare(np.full((*size, 3), level, np.float32), model.spec, shape) for level in (0, 255))
    batch = model.graph.shape(image_input(model)[0]) or (1,)
    pair = (np.repeat(image, batch[0] or 1, axis=0) for image in (black, white))
    dark, light = (session.run(image, node.inputs[:1])[node.inputs[0]][0] for image in pair)
    middle = (slice(None), dark.shape[1] // 2, dark.shape[2] // 2)  # borders may be padded
    return (light[middle].astype(np.float64) - dark[middle]) / 255


def aliased_share(
    weights: np.ndarray,  # [out, C, kh, kw]
    stride: Sequence[int],
    dilation: Sequence[int] = (1, 1),
) -> np.ndarray:  # [out] 0..1
    """Share of each filter's answer to photos that lies above what its output can hold, 1 / (2 · stride) cycles a
    pixel along either axis: it comes back as other, lower frequencies.

    Photos have a power of 1 / f² (D. Field, 1987); their mean, f = 0, is nobody's contrast and does not count.
    """
    spread = _dilated(weights, dilation)
    grid = [max(_GRID, 2 * side) for side in spread.shape[2:]]
    power = np.square(np.abs(np.fft.fft2(spread, grid))).sum(1)  # [out, fy, fx]
    fy, fx = np.meshgrid(*(np.fft.fftfreq(side) for side in grid), indexing="ij")
    squared = np.square(fy) + np.square(fx)
    answer = power / np.where(squared > 0, squared, np.inf)
    above = (np.abs(fy) > 0.5 / stride[0]) | (np.abs(fx) > 0.5 / stride[1])
    total = answer.sum(axis=(1, 2))
    return answer[:, above].sum(1) / np.where(total > 0, total, 1)


def _dilated(weights: np.ndarray, dilation: Sequence[int]) -> np.ndarray:
    """The kernel with the zeros between its taps."""
    sides = [(side - 1) * step + 1 for side, step in zip(weights.shape[2:], dilation, strict=True)]
    spread = np.zeros((*weights.shape[:2], *sides))
    spread[:, :, :: dilation[0], :: dilation[1]] = weights
    return spread
