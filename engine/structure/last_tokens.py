"""The last tokens of a transformer that all still count: where Grad-CAM looks when there is no feature map."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .graph import Graph, Node
from .semantics import operands

_SELECTING = ("Gather", "Slice", "Split", "GatherElements", "GatherND")
_PRODUCTS = ("MatMul", "Einsum", "QLinearMatMul")
_ATTENTION = (
    *("Attention", "com.microsoft.Attention", "com.microsoft.MultiHeadAttention"),
    *("com.microsoft.QAttention", "com.microsoft.PackedAttention", "com.microsoft.PackedMultiHeadAttention"),
)


def last_tokens(graph: Graph, head: list[str], has_places: Callable[[str], bool], constant: frozenset[str]) -> str:
    """The last tensor with places of which every place influences the `head`'s vectors, or "".

    Where the head takes the mean of all tokens, that is what it reads. Where it takes the class token, the others
    count no more behind the last attention: it is what that attention's queries, keys and values all come from.
    """
    whole = [name for name in head if name in graph.producers and has_places(name)]
    pooled = [name for name in whole if not _is_selected(graph, name) and not mixes(graph, name, constant)]
    if pooled:
        return _latest(graph, pooled)
    before = _ancestors(graph, head, constant)
    mixing = [graph.producers[name] for name in before if name in graph.producers]
    mixing += [reader for name in head for reader in graph.consumers.get(name, ())]
    found = [node for node in mixing if _is_mixing(node, constant)]
    if not found:
        return ""
    last = max(found, key=lambda node: node.index)
    sources = [_ancestors(graph, [name], constant) for name in operands(last) if name not in constant]
    widths = {(graph.shape(name) or (None,))[-1] for name in whole}
    shared = (name for name in set.intersection(*sources) if has_places(name) and name in graph.producers)
    return _latest(graph, [name for name in shared if not widths or (graph.shape(name) or ())[-1] in widths])


def mixes(graph: Graph, tensor: str, constant: frozenset[str]) -> bool:
    """Whether an attention reads the tensor: its axes are heads and tokens then, not places."""
    return any(_is_mixing(node, constant) for node in graph.consumers.get(tensor, ()))


def _is_mixing(node: Node, constant: frozenset[str]) -> bool:
    variable = [name for name in operands(node) if name not in constant]
    return node.op in _ATTENTION or (node.op in _PRODUCTS and len(variable) > 1)


def _is_selected(graph: Graph, tensor: str) -> bool:
    return all(node.op in (*_SELECTING, "Shape") for node in graph.consumers.get(tensor, ()))


def _ancestors(graph: Graph, tensors: Iterable[str], constant: frozenset[str]) -> set[str]:
    """The tensors that these are computed from for every image anew, themselves too."""
    waiting, found = list(tensors), set(tensors)
    while waiting:
        node = graph.producers.get(waiting.pop())
        new = [name for name in operands(node) if name not in found and name not in constant] if node else []
        found.update(new)
        waiting += new
    return found


def _latest(graph: Graph, tensors: list[str]) -> str:
    return max(tensors, key=lambda name: graph.producers[name].index if name in graph.producers else -1, default="")
