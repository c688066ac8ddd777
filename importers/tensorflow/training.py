"""What of a graph that was saved while it was trained is the network, and what only trains, measures or saves it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from ..errors import InputError
from .network import node_of, sinks
from .reader import Graph, Node

_COMPARED = {"SoftmaxCrossEntropyWithLogits": 1, "SparseSoftmaxCrossEntropyWithLogits": 1, "CTCLoss": 1, "InTopK": 1,
             "InTopKV2": 1}  # operator -> which input is what the network should have said  # fmt: skip
_TRAINING = re.compile(  # operators
    r".*Grad(V\d)?|.*Backprop(Filter|Input).*|(Resource|Sparse)*Apply.*|(Resource)?Scatter(Add|Sub|Update).*|Assign.*"
    r"|L2Loss|.*Summary(V2)?|Save.*|Restore.*|.*IsInitialized.*|.*IsVariableInitialized"
)
_DECONVOLUTIONS = ("Conv2DBackpropInput", "Conv3DBackpropInputV2")
_GRADIENTS = re.compile(r"(^|/)gradients(_\d+)?/")  # names: TensorFlow's own, of its losses too
_LOSSES = re.compile(
    r"(^|/)(loss|losses|metrics|accuracy|logistic_loss|[a-z]+_cross_entropy_loss|mean_squared_error|log_loss|hinge_loss"
    r"|huber_loss|absolute_difference|cosine_distance_loss|mean_pairwise_squared_error)(_\d+)?/"
)
_RENAMING = ("Identity", "Reshape", "Cast", "OneHot", "Squeeze", "ExpandDims", "StopGradient")
_PREPARING = (*_RENAMING, "ArgMax", "Round", "Greater", "GreaterEqual")  # what is done to an answer to compare it
_SHOWN = 8


def without_training(graph: Graph) -> Graph:
    """The graph without the nodes that train it, what depends on them or on the right answers (which a loss compares
    with), and what only prepares for that. So its outputs are what nothing of the rest reads.

    Raises InputError where it is trained with a loss that is not told from the network itself.
    """
    by_name = {node.name: node for node in graph.nodes}
    readers: dict[str, set[str]] = {}
    for node in graph.nodes:
        for tensor in node.inputs:
            readers.setdefault(node_of(tensor), set()).add(node.name)
    trains = {node.name for node in graph.nodes if _trains(node)}
    if any(_GRADIENTS.search(name) for name in trains) and not any(map(_is_loss, graph.nodes)):
        kept = Graph([node for node in graph.nodes if node.name not in _reached(trains, readers)], graph.functions)
        names = ", ".join(_last(kept)[:_SHOWN])
        raise InputError(f"expected the network's outputs, found a loss of the user's own; --output-names: {names}")
    answers = {name for node in graph.nodes if node.op in _COMPARED for name in _answers(node, by_name)}
    gone = _reached(trains | answers, readers)
    for node in reversed(graph.nodes):
        if node.op in _PREPARING and readers.get(node.name) and readers[node.name] <= gone:
            gone.add(node.name)
    return Graph([node for node in graph.nodes if node.name not in gone], graph.functions)


def _trains(node: Node) -> bool:
    if _is_loss(node) or _GRADIENTS.search(node.name):
        return True
    return node.op not in _DECONVOLUTIONS and _TRAINING.fullmatch(node.op) is not None


def _is_loss(node: Node) -> bool:
    return node.op in _COMPARED or _LOSSES.search(node.name) is not None


def _answers(node: Node, by_name: Mapping[str, Node]) -> list[str]:
    """The placeholder of the right answers, which reach a loss as they are or as one number a class."""
    at = _COMPARED[node.op]
    source = by_name.get(node_of(node.inputs[at])) if at < len(node.inputs) else None
    for _ in range(len(_RENAMING)):
        if source is not None and source.op in _RENAMING and source.inputs:
            source = by_name.get(node_of(source.inputs[0]))
    return [source.name] if source is not None and source.op == "Placeholder" else []


def _reached(starts: Iterable[str], readers: Mapping[str, Iterable[str]]) -> set[str]:
    """Nodes, and all that reads them, directly or not."""
    found = set(starts)
    waiting = list(found)
    while waiting:
        new = [name for name in readers.get(waiting.pop(), ()) if name not in found]
        found.update(new)
        waiting += new
    return found


def _last(graph: Graph) -> Sequence[str]:
    """The outputs of a graph, then what they are computed of: the nearest first."""
    by_name = {node.name: node for node in graph.nodes}
    found = dict.fromkeys(sinks(graph))
    for name in (names := list(found)):
        for tensor in by_name[name].inputs:
            other = node_of(tensor)
            if other not in found and other in by_name and by_name[other].op not in ("Const", "Placeholder"):
                found[other] = None
                names.append(other)
    return list(found)
