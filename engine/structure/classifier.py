"""Where a network says its classes: which output, and whether in logits or probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from .graph import Graph, Node

Kind = Literal["softmax", "log-softmax", "sigmoid", "open"]

_KINDS: dict[str, Kind] = {"Softmax": "softmax", "LogSoftmax": "log-softmax", "Sigmoid": "sigmoid"}
_SUM_TOLERANCE = 1e-3  # of probabilities, which are rounded, over thousands of classes
# Between the last operator that counts and the graph's output: the values stay, at most their shape changes, or they
# are rounded.
_PASSING = {"Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Cast", "Dropout", "Transpose"}
_PASSING |= {"QuantizeLinear", "DequantizeLinear"}


@dataclass(frozen=True)
class Classifier:
    """One graph output that holds a number a class."""

    output: str  # tensor name
    classes: int
    kind: Kind  # what makes the output; "open": no softmax in the graph, so logits or probabilities of another making
    logits: str | None  # the tensor that goes into the softmax or sigmoid

    @property
    def tensors(self) -> list[str]:
        """What a session must be asked for."""
        return [self.output] if self.logits is None else [self.output, self.logits]


def find_classifier(graph: Graph) -> Classifier | None:
    """The output [N, classes] (or [N, classes, 1, 1]) of an image classifier, or None when the network is none.

    Among several such outputs the first that ends in a softmax is taken, else the first.
    """
    batch = next(((shape or (None,))[0] for name in graph.inputs if (shape := graph.shape(name))), None)
    found = [classifier for name in graph.outputs if (classifier := _classifier(graph, name, batch)) is not None]
    return next((classifier for classifier in found if classifier.kind == "softmax"), found[0] if found else None)


def _classifier(graph: Graph, output: str, batch: int | None) -> Classifier | None:
    shape = graph.shape(output)
    if shape is None or len(shape) not in (2, 4) or shape[0] not in (batch, None):
        return None
    classes = [size for size in shape[1:] if size != 1]
    if len(classes) != 1 or classes[0] is None:
        return None
    node = _last_node(graph, output)
    if node is None or node.op not in _KINDS:
        return Classifier(output, classes[0], "open", None)
    return Classifier(output, classes[0], _KINDS[node.op], node.inputs[0])


def _last_node(graph: Graph, tensor: str) -> Node | None:
    """The node that makes the tensor's values, behind those that only pass them on."""
    node = graph.producers.get(tensor)
    while node is not None and node.op in _PASSING:
        node = graph.producers.get(node.inputs[0])
    return node


def are_probabilities(rows: Any) -> bool:  # [N, classes] array or torch tensor
    """Whether every row is within 0..1 and sums to 1."""
    inside = rows.min() >= 0 and rows.max() <= 1 + _SUM_TOLERANCE
    return bool(inside and abs(rows.sum(1) - 1).max() < _SUM_TOLERANCE)
