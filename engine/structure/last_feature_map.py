"""The last feature map, or grid of tokens, that a tensor is computed from: where Grad-CAM looks."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ...importers.errors import InputError
from .graph import Graph, Node
from .last_tokens import last_tokens, mixes
from .places import is_feature_map, places
from .semantics import constant_tensors, operands

__all__ = ["is_feature_map", "last_feature_map"]

_MIXES = ("Conv", "ConvTranspose", "QLinearConv", "ConvInteger", "Gemm", "MatMul", "QLinearMatMul", "MatMulInteger")
# Behind the last convolution's answer: they make it coarser or hand it on, and say nothing new.
_PASSING = (
    *("MaxPool", "AveragePool", "LpPool", "Dropout", "Identity", "Cast", "Pad"),
    *("QuantizeLinear", "DequantizeLinear", "com.microsoft.QLinearAveragePool"),
)
_TO_CHANNELS_LAST = (0, 2, 3, 1)
_TO_TOKENS = (0, 2, 1)  # and back
_NAME_ONE = "name a layer [N, C, H, W], or take saliency"


def last_feature_map(graph: Graph, tensor: str, image: tuple[int, int] = (1, 1)) -> str:
    """The last [N, C, H, W] of more than one place before `tensor`'s pooling or flattening; of a tensor that is a map
    itself, what its last convolution reads; where there is none, the last tokens that all influence `tensor`.

    Poolings behind the last convolution are stepped over, so that of VGG it is the ReLU of conv5_3 and not the pooling.
    `image`: height and width of the image, whose proportions a grid of tokens has.
    Raises InputError when there is none: a network of dense layers, or of tokens that are no grid.
    """
    constant = constant_tensors(graph)
    walk = _Walk(graph, constant)
    found = walk.behind_last_mixing(tensor) if is_feature_map(graph, tensor) else walk.into_head(tensor)
    computed = [name for name in found if name in graph.producers and not mixes(graph, name, constant)]
    maps = [name for name in computed if is_feature_map(graph, name)]
    if not maps:
        tokens = last_tokens(graph, found, lambda name: places(graph, name, image, constant) is not None, constant)
        if not tokens:
            raise InputError(_why_none(graph, tensor, found))
        return tokens
    return _before_pooling(graph, max(maps, key=lambda name: graph.producers[name].index))


class _Walk:
    """From a tensor back to those that a condition stops at."""

    def __init__(self, graph: Graph, constant: frozenset[str]) -> None:
        self.graph, self.constant = graph, constant

    def into_head(self, tensor: str) -> list[str]:
        """The tensors at which the head's vectors, one an image, begin."""
        return self._until(lambda name: not _is_vector(self.graph, name), [tensor])

    def behind_last_mixing(self, tensor: str) -> list[str]:
        """What the last convolutions before the tensor read."""
        found, seen = [tensor], set()
        while found:
            name = found.pop()
            node = self.graph.producers.get(name)
            if node is None or name in seen:
                continue
            seen.add(name)
            if node.op in _MIXES:
                return list(self._read(node))
            found += self._read(node)
        return []

    def _until(self, stop: Callable[[str], bool], start: list[str]) -> list[str]:
        waiting, seen, found = list(start), set(start), []
        while waiting:
            name = waiting.pop()
            if stop(name):
                found.append(name)
                continue
            node = self.graph.producers.get(name)
            new = [entry for entry in self._read(node) if entry not in seen] if node is not None else []
            seen.update(new)
            waiting += new
        return [self._unflattened(name) for name in found]

    def _read(self, node: Node) -> Iterable[str]:
        return (name for name in operands(node) if name not in self.constant)

    def _unflattened(self, name: str) -> str:
        """[N, C, places] is a flattened map where a Reshape or Flatten made it of [N, C, H, W], and tokens where a
        Transpose made it of [N, places, C]."""
        node, shape = self.graph.producers.get(name), self.graph.shape(name)
        if node is not None and node.op == "Transpose" and tuple(node.attribute("perm") or ()) == _TO_TOKENS:
            return self._unflattened(node.inputs[0])
        if node is None or node.op not in ("Reshape", "Flatten") or shape is None or len(shape) != 3:
            return name
        before = self.graph.shape(node.inputs[0])
        same = before is not None and len(before) == 4 and before[1] == shape[1]
        return node.inputs[0] if same else name


def _is_vector(graph: Graph, tensor: str) -> bool:
    """Whether an image has one row of numbers in it, whatever the rank."""
    shape = graph.shape(tensor)
    return shape is not None and sum(size != 1 for size in shape[1:]) <= 1 and len(shape) <= 4


def _before_pooling(graph: Graph, tensor: str) -> str:
    while True:
        node = graph.producers[tensor]
        channels_last = node.op == "Transpose" and tuple(node.attribute("perm") or ()) == _TO_CHANNELS_LAST
        if node.op not in _PASSING and not channels_last:
            return tensor
        if not is_feature_map(graph, node.inputs[0]) or node.inputs[0] not in graph.producers:
            return tensor
        tensor = node.inputs[0]


def _why_none(graph: Graph, tensor: str, found: list[str]) -> str:
    tokens = [name for name in found if len(graph.shape(name) or ()) == 3 and name in graph.producers]
    if found == [tensor]:
        shape = list(graph.shape(tensor) or ())
        return f"{tensor} {shape} may come from several feature maps, as detectors' boxes do; {_NAME_ONE}"
    if tokens:
        shape = list(graph.shape(tokens[0]) or ())
        return f"this network reasons in tokens ({tokens[0]} {shape}), where Grad-CAM finds no map; {_NAME_ONE}"
    return f"no feature map [N, C, H, W] lies between the image and {tensor}; take saliency"
