"""Which axes of a tensor are places of the image: of feature maps, channels first or last, and of rows of tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .graph import Graph, Node
from .semantics import operands

Layout = Literal["channels first", "channels last", "tokens"]

# Tokens that are no places, in front of those that are: class token, distillation token, four registers.
_EXTRA_TOKENS = (0, 1, 2, 5)
_CHANNELS_FIRST = (
    *("Conv", "ConvTranspose", "QLinearConv", "ConvInteger", "BatchNormalization", "InstanceNormalization", "LRN"),
    *("MaxPool", "AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool", "GroupNormalization", "PRelu"),
)
_CHANNELS_LAST = ("LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization", "MatMul")
_TO_FIRST, _TO_LAST = (0, 3, 1, 2), (0, 2, 3, 1)


@dataclass(frozen=True)
class Places:
    """Where a tensor has the image's places: [N, C, h, w], [N, h, w, C], or [N, extra + h * w, C]."""

    layout: Layout
    height: int
    width: int
    extra: int = 0  # tokens in front that are no places


def places(graph: Graph, tensor: str, image: tuple[int, int], constant: frozenset[str]) -> Places | None:
    """The tensor's places, more than one of them; None where it has none. Tokens must fill a grid of the proportions
    of the `image` (height, width). `constant`: the tensors that are the same for every image."""
    shape = graph.shape(tensor)
    if shape is None or shape[0] not in (_batch(graph), None):
        return None
    if is_feature_map(graph, tensor):
        last = _has_channels_last(graph, tensor, constant)
        height, width = shape[1:3] if last else shape[2:]
        return Places("channels last" if last else "channels first", height or 0, width or 0)
    return _token_grid(shape[1] or 0, image) if len(shape) == 3 else None


def is_feature_map(graph: Graph, tensor: str) -> bool:
    """Whether the tensor is [N, C, H, W] with more than one place."""
    shape = graph.shape(tensor)
    return shape is not None and len(shape) == 4 and (shape[2] or 2) * (shape[3] or 2) > 1


def _batch(graph: Graph) -> int | None:
    return next(((shape or (None,))[0] for name in graph.inputs if (shape := graph.shape(name))), None)


def _token_grid(tokens: int, image: tuple[int, int]) -> Places | None:
    for extra in _EXTRA_TOKENS:
        height = round((max(0, tokens - extra) * image[0] / image[1]) ** 0.5)
        width = (tokens - extra) // height if height else 0
        if height * width == tokens - extra and height * width > 1 and height * image[1] == width * image[0]:
            return Places("tokens", height, width, extra)
    return None


def _has_channels_last(graph: Graph, tensor: str, constant: frozenset[str]) -> bool:
    """What the last operator before the tensor says that knows its channels' axis."""
    node = graph.producers.get(tensor)
    while node is not None:
        known = _says_last(node, constant)
        if known is not None:
            return known
        read = [name for name in operands(node) if name not in constant]
        node = graph.producers.get(read[0]) if read else None
    return False


def _says_last(node: Node, constant: frozenset[str]) -> bool | None:
    order = tuple(node.attribute("perm") or ()) if node.op == "Transpose" else ()
    if node.op in _CHANNELS_FIRST or order == _TO_FIRST:
        return False
    if order == _TO_LAST or (node.op in _CHANNELS_LAST and all(name in constant for name in node.inputs[1:])):
        return True
    return None
