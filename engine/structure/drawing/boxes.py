"""Boxes: the nodes of a graph as a person would draw them.

What does not depend on the input's values (constants, arithmetic on shapes, anchors) is left out; an operator and the
element-wise ones that follow it (Conv, BatchNormalization, Relu) become one box; a decomposed activation or norm
(x · sigmoid(x), GELU, HardSwish, LayerNorm) becomes the one operator it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..graph import Graph, Node
from ..op_families import family_of
from ..semantics import constant_tensors, operands
from .labels import activation_word, box_title, follow_word, shape_text, short_name


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NORMS = _names("BatchNormalization InstanceNormalization GroupNormalization LpNormalization")
_BINARY = _names("Mul Add Sub Div")
_POINTWISE = _BINARY | _names(
    "Relu LeakyRelu PRelu Elu Selu Celu Gelu Sigmoid HardSigmoid HardSwish Tanh Softplus Softsign Clip Mish Erf Abs "
    "Exp Log Neg Sqrt Reciprocal Pow ThresholdedRelu Swish Cast Identity Dropout Min Max"
)
_LAYOUT = _names(
    "Reshape Transpose Flatten Squeeze Unsqueeze Identity Cast CastLike Dropout QuantizeLinear DequantizeLinear"
)
_FOLLOWS = _NORMS | _POINTWISE | _LAYOUT  # with one input that carries data, these join the box before them
_REDUCTIONS = {"ReduceMean", "ReduceSum"}  # inside a decomposed norm only
_SQUARES = {"Pow", "Mul", "Sub"}


@dataclass(frozen=True, eq=False)
class Box:
    """One box of the drawing: an operator and what was fused into it, or an input or output of the network."""

    title: str  # "Conv 3×3 /2"
    details: tuple[str, ...]  # what was fused: "BN", "ReLU"
    name: str  # of the layer, shortened
    shape: str  # of its output, without the batch: "64×56×56"
    family: str
    nodes: tuple[Node, ...] = ()  # in topological order; none for inputs and outputs


@dataclass(frozen=True)
class Flow:
    """Boxes in topological order and, for each, the boxes that feed it, in the order of the operator's inputs."""

    boxes: tuple[Box, ...]
    feeders: tuple[tuple[int, ...], ...]


def flow(graph: Graph, *, fuse: bool = True) -> Flow:
    """The boxes of a graph. `fuse=False`: a box a node, constants and shape arithmetic still left out."""
    data = _Data(graph)
    groups = _fused(data) if fuse else [_Group([node]) for node in data.nodes]
    groups.sort(key=lambda group: group.nodes[-1].index)
    boxes = [Box(name, (), "", shape_text(graph.shape(name)), "input") for name in data.inputs]
    feeders: list[tuple[int, ...]] = [() for _ in boxes]
    made_by = {name: index for index, name in enumerate(data.inputs)}
    for group in groups:
        sources = (made_by[name] for node in group.nodes for name in data.reads(node) if name in made_by)
        feeders.append(tuple(dict.fromkeys(sources)))
        made_by.update((name, len(boxes)) for node in group.nodes for name in node.outputs if name)
        boxes.append(group.box(graph))
    for name in graph.outputs:
        if name in made_by:
            boxes.append(Box(name, (), "", shape_text(graph.shape(name)), "input"))
            feeders.append((made_by[name],))
    return Flow(tuple(boxes), tuple(feeders))


class _Data:
    """The part of a graph whose values depend on its inputs' values, and who reads what there."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._constant = constant_tensors(graph) - set(graph.outputs)
        self.nodes = [node for node in graph.nodes if any(name and name not in self._constant for name in node.outputs)]
        self._reads = {node.index: self._operands(node) for node in self.nodes}
        self.readers: dict[str, set[int]] = {}
        for index, names in self._reads.items():
            for name in names:
                self.readers.setdefault(name, set()).add(index)
        self.inputs = tuple(name for name in graph.inputs if name in self.readers)

    def _operands(self, node: Node) -> tuple[str, ...]:
        return tuple(name for name in operands(node) if name not in self._constant)

    def reads(self, node: Node) -> tuple[str, ...]:
        """The tensors with data that the node reads, each once; those that its sub-graphs read too."""
        return self._reads[node.index]

    def only_reader(self, name: str, node: Node) -> bool:
        """Whether `name` goes nowhere but into `node`."""
        return self.readers.get(name) == {node.index} and name not in self.graph.outputs


@dataclass(eq=False)
class _Group:
    """Nodes that will share a box; only the last one's output is read outside."""

    nodes: list[Node]
    words: list[str] = field(default_factory=list)  # what the nodes after the first are called
    source: str | None = None  # of a group that is only arithmetic on one tensor: that tensor
    whole: str = ""  # the name of a decomposed operator that the group is

    def exit(self, data: _Data) -> str | None:
        used = [name for name in self.nodes[-1].outputs if name in data.readers]
        return used[0] if len(used) == 1 else None

    def box(self, graph: Graph) -> Box:
        lead = self.nodes[0]
        title, family = (
            (self.whole, "normalisation" if "Norm" in self.whole else "activation")
            if self.whole
            else (box_title(lead, graph), family_of(lead.op))
        )
        shape = shape_text(graph.shape(next((name for name in self.nodes[-1].outputs if name), "")))
        return Box(title, tuple(self.words), short_name(lead), shape, family, tuple(self.nodes))


def _fused(data: _Data) -> list[_Group]:
    made_by: dict[str, _Group] = {}
    groups: dict[int, _Group] = {}
    for node in data.nodes:
        group = _follow(node, data, made_by) or _close_diamond(node, data, made_by)
        if group is None:
            reads = data.reads(node)
            pure = len(reads) == 1 and node.op in _POINTWISE | _REDUCTIONS
            group = _Group([node], source=reads[0] if pure else None)
        for member in group.nodes:
            made_by.update((name, group) for name in member.outputs if name)
    for group in made_by.values():
        groups[id(group)] = group
    return list(groups.values())


def _follow(node: Node, data: _Data, made_by: dict[str, _Group]) -> _Group | None:
    """The group before `node`, with it, when it is an element-wise operator on that group's only output."""
    reads = data.reads(node)
    group = made_by.get(reads[0]) if len(reads) == 1 else None
    if group is None or not data.only_reader(reads[0], node) or group.exit(data) != reads[0]:
        return None
    squared = node.op in _REDUCTIONS and group.source is not None and group.nodes[-1].op in _SQUARES
    if node.op not in _FOLLOWS and not squared:
        return None
    if node.op not in _POINTWISE and not squared:
        group.source = None
    group.nodes.append(node)
    follow_word(group.words, group.whole or group.nodes[0].op, node, data.graph)
    return group


def _close_diamond(node: Node, data: _Data, made_by: dict[str, _Group]) -> _Group | None:
    """x · f(x), x - mean(x), … as one group, where f is a group of arithmetic on x and nobody else reads f(x)."""
    reads = data.reads(node)
    if node.op not in _BINARY or len(reads) != 2:
        return None
    for source, result in (reads, reads[::-1]):
        inner = made_by.get(result)
        if inner is not None and inner.source == source and data.only_reader(result, node):
            inner.nodes.append(node)
            inner.words, inner.whole = [], activation_word(inner.nodes)
            return _joined_to(source, inner, data, made_by)
    return None


def _joined_to(source: str, inner: _Group, data: _Data, made_by: dict[str, _Group]) -> _Group:
    """`inner` appended to the group that makes its source, when nothing else reads the source."""
    before = made_by.get(source)
    norm = any(node.op in _REDUCTIONS for node in inner.nodes)
    if before is None or before.exit(data) not in (None, source) or source in data.graph.outputs:
        return inner
    if not data.readers[source] <= {node.index for node in inner.nodes} or (norm and before.source is None):
        return inner
    if norm and before.nodes[0].op not in _REDUCTIONS:
        return inner
    before.nodes += inner.nodes
    if norm:
        before.words, before.whole = [], activation_word(before.nodes)
    else:
        before.words.append(inner.whole)
    return before
