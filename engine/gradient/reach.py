"""Whether a tensor depends on another by a path that gradients can take: a walk over the graph, nothing is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from onnx import GraphProto

from ...importers.errors import InputError, nearest_names
from ..structure.graph import Graph, Node
from .builder import free_names
from .carrying import makes_levels
from .provenance import quantises

if TYPE_CHECKING:
    from ..model import Model


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Operators through which nothing gets: their values do not change with small changes of what they read, or are random.
_BLOCKING = _names(
    "ArgMax ArgMin Shape Size NonZero NonMaxSuppression Equal Less Greater LessOrEqual GreaterOrEqual And Or Not Xor "
    "IsNaN IsInf Sign Ceil Floor Hardmax Unique ConstantOfShape EyeLike RandomNormalLike RandomUniformLike Bernoulli "
    "Multinomial BitwiseAnd BitwiseOr BitwiseXor BitwiseNot BitShift"
)
# Operators that get gradients only into some of their inputs; the others are indices, shapes, conditions, boxes.
_INTO_FIRST = _names(
    "Gather GatherElements GatherND Reshape Expand Tile Slice Split Squeeze Unsqueeze Resize Upsample TopK Compress "
    "MaxUnpool RoiAlign MaxRoiPool CumSum ReverseSequence CenterCropPad Trilu Dropout"
)
_POSITIONS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(_INTO_FIRST, (0,)),
    **dict.fromkeys(_names("Scatter ScatterElements ScatterND Pad"), (0, 2)),
    "Where": (1, 2),
    "OneHot": (2,),
}
_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
_NAMED = 3  # tensors in a message


def check_path(model: Model, read: str, of: Sequence[str]) -> None:
    """Nothing, where gradients of the tensor `read` reach every tensor of `of`.

    Raises InputError naming what stands between: `read` is computed before, elsewhere, or through an operator that has
    no gradient; the message names that node and the last tensor before it that has one.
    """
    graph = model.graph
    known = dict.fromkeys([*graph.inputs, *graph.initializers, *graph.producers])
    for name in (read, *of):
        if name not in known:
            raise InputError(f"the network has no tensor {name!r}; {nearest_names(name, known)}")
    for source in of:
        if read not in _reached(graph, source, differentiably=True):
            raise InputError(_obstacle(graph, read, source))


def _reached(graph: Graph, source: str, *, differentiably: bool) -> dict[str, None]:
    """The tensors that depend on `source`, in graph order."""
    found = {source: None}
    for node in graph.nodes:
        if any(name in found for name in (_differentiable(node) if differentiably else _reads(node))):
            made = [name for name in node.outputs if name]
            found |= dict.fromkeys(name for name in made if not differentiably or _passes(graph, node, name, found))
    return found


def _passes(graph: Graph, node: Node, output: str, reached: dict[str, None]) -> bool:
    """Whether gradients of this output get into those inputs of the node that are reached."""
    if node.op in _BLOCKING:
        return False
    if graph.types[output].dtype not in (*_INTEGERS, "bool") or quantises(node.op.rpartition(".")[2]):
        return True
    if node.op == "Cast":
        return makes_levels(node, graph)
    # Integers come of real numbers as indices (TopK), of integers as values: pixels, levels of quantised networks.
    return any(name in reached and graph.types[name].dtype in _INTEGERS for name in _differentiable(node))


def _differentiable(node: Node) -> tuple[str, ...]:
    """The inputs that gradients can get into."""
    positions = _POSITIONS.get(node.op)
    if positions is None:
        return _reads(node)
    return tuple(node.inputs[index] for index in positions if index < len(node.inputs) and node.inputs[index])


def _reads(node: Node) -> tuple[str, ...]:
    """The inputs, and what the bodies of If, Loop and Scan read from around them."""
    bodies = (value for value in node.attributes.values() if isinstance(value, GraphProto))
    return (*filter(None, node.inputs), *(name for body in bodies for name in sorted(free_names(body))))


# -- what stands between ---


def _obstacle(graph: Graph, read: str, source: str) -> str:
    depends = _reached(graph, source, differentiably=False)
    if read not in depends:
        return _no_path(graph, read, source)
    differentiable = _reached(graph, source, differentiably=True)
    needed = _ancestors(graph, read)
    # Of the tensors on the way at which gradients end, the nearest to what is read.
    lost = next(
        name for name in reversed(needed) if name not in differentiable and _is_fed(graph, name, differentiable)
    )
    node = graph.producers[lost]
    last = next(name for name in reversed(_reads(node)) if name in differentiable)
    offer = "nothing before it has one" if last == source else f"the last tensor before it that has one is {last}"
    maker = f"{node.op} (node {node.name})" if node.name else node.op
    return f"{read} depends on {source} only through {lost}, which {maker} makes without a gradient; {offer}"


def _is_fed(graph: Graph, tensor: str, by: Mapping[str, None]) -> bool:
    """Whether the node that makes the tensor reads one of those."""
    node = graph.producers.get(tensor)
    return node is not None and any(name in by for name in _reads(node))


def _no_path(graph: Graph, read: str, source: str) -> str:
    if read in _ancestors(graph, source):
        return f"{read} does not depend on {source}, which is computed after it: choose a layer before {read}"
    before = [name for name in _ancestors(graph, read) if name in graph.producers and name != read]
    choices = f"; it depends on {', '.join(before[-_NAMED:])}, for example" if before else ""
    return f"{read} does not depend on {source}, which lies on another branch{choices}"


def _ancestors(graph: Graph, read: str) -> dict[str, None]:
    """All that a tensor depends on, itself too, in graph order."""
    needed = {read}
    for node in reversed(graph.nodes):
        if needed & set(node.outputs):
            needed |= set(_reads(node))
    made = (name for node in graph.nodes for name in node.outputs)
    return dict.fromkeys(name for name in (*graph.inputs, *graph.initializers, *made) if name in needed)
