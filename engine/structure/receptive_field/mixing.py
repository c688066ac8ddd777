"""Rules of the operators that mix a whole axis: reductions, softmax, normalisation, matrix products, attention."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..graph import Node
from .field import Field, Shape, joined
from .reach import Unknown
from .windows import Context, channel_groups


def _present(context: Context, names: Sequence[str]) -> list[Field]:
    return [field for name in names if name and (field := context.field(name)) is not None]


def _data(context: Context, node: Node) -> Field:
    field = context.field(node.inputs[0])
    if field is None:
        raise Unknown("the image enters through a parameter")
    return field


def with_parameters(context: Context, node: Node, result: Field, names: Sequence[str]) -> Field:
    """Parameters that depend on the image are looked at as a whole."""
    for extra in _present(context, names):
        everything = extra.united(range(len(extra.axes))).reshaped((1,) * len(result.axes))
        result = joined([result, everything], result.shape)
    return result


def reduction(context: Context, node: Node) -> Field:
    """Reduce… and Arg…: the union along the axes."""
    field = _data(context, node)
    rank = len(field.axes)
    axes = _reduced_axes(context, node, rank)
    result = field.united(axes)
    shape = context.shape(node.outputs[0])
    return result if result.shape == shape else result.reshaped(shape)


def _reduced_axes(context: Context, node: Node, rank: int) -> list[int]:
    if node.op in ("ArgMax", "ArgMin"):
        return [int(node.attribute("axis", 0)) % rank]
    axes = node.attribute("axes")
    if axes is None and len(node.inputs) > 1 and node.inputs[1]:
        axes = context.constant(node.inputs[1]).reshape(-1)
    if axes is None or not len(axes):
        return [] if node.attribute("noop_with_empty_axes") else list(range(rank))
    return [int(axis) % rank for axis in axes]


def top_k(context: Context, node: Node) -> Field:
    """Any element along the axis can be among the largest."""
    field = _data(context, node)
    axis = int(node.attribute("axis", -1)) % len(field.axes)
    return field.united((axis,)).broadcast(context.shape(node.outputs[0]))


def softmax(context: Context, node: Node) -> Field:
    """Divided by a sum along the axis; before opset 13 along all axes from `axis` on."""
    field = _data(context, node)
    rank = len(field.axes)
    if context.graph.opset < 13:
        return field.spread(range(int(node.attribute("axis", 1)) % rank, rank))
    return field.spread((int(node.attribute("axis", -1)) % rank,))


def normalisation(context: Context, node: Node) -> Field:
    """Divided by statistics over some axes."""
    field = _data(context, node)
    op = node.op.rpartition(".")[2]
    if op.startswith("Skip"):
        field = joined(_present(context, node.inputs[:2]), field.shape)
    rank = len(field.axes)
    result = field.spread(_normalised_axes(node, op, rank))
    if op == "GroupNormalization":
        result = _channel_group_union(result, int(node.attribute("num_groups")))
    return with_parameters(context, node, result, node.inputs[2 if op.startswith("Skip") else 1 :])


def _normalised_axes(node: Node, op: str, rank: int) -> range | tuple[int, ...]:
    if op in ("InstanceNormalization", "GroupNormalization"):
        return range(2, rank)
    if op == "LpNormalization":
        return (int(node.attribute("axis", -1)) % rank,)
    if op == "MeanVarianceNormalization":
        return tuple(axis % rank for axis in node.attribute("axes", (0, 2, 3)))
    return range(int(node.attribute("axis", -1)) % rank, rank)


def _channel_group_union(field: Field, groups: int) -> Field:
    return channel_groups(field, groups, field.shape[1])


def matmul(left: int, right: int) -> Callable[[Context, Node], Field]:
    """A rule for a matrix product whose operands stand at these inputs."""

    def rule(context: Context, node: Node) -> Field:
        return _product(context, node, node.inputs[left], node.inputs[right])

    return rule


def _product(context: Context, node: Node, left: str, right: str) -> Field:
    """[…, m, k] x […, k, n]: a row of the left and a column of the right, each as a whole."""
    shape = context.shape(node.outputs[0])
    parts = []
    first, second = context.field(left), context.field(right)
    if first is not None:
        if node.attribute("transA"):
            first = _swapped(first)
        vector = len(context.shape(right)) == 1
        parts.append(_without_inner(first, len(first.axes) - 1, vector))
    if second is not None:
        if node.attribute("transB"):
            second = _swapped(second)
        parts.append(_right_part(second, len(context.shape(left)) == 1))
    return joined(parts, shape)


def _without_inner(field: Field, axis: int, drop: bool) -> Field:
    """The union over the inner axis, which stays with size 1 for the other operand's outer axis."""
    united = field.united((axis,))
    return united.reshaped(united.shape[:-1]) if drop else united


def _right_part(field: Field, drop: bool) -> Field:
    rank = len(field.axes)
    if rank == 1:
        return field.united((0,)).reshaped(())
    united = field.united((rank - 2,))
    return united.reshaped((*united.shape[:-2], united.shape[-1])) if drop else united


def _swapped(field: Field) -> Field:
    rank = len(field.axes)
    return field.transposed((*range(rank - 2), rank - 1, rank - 2))


def gemm(context: Context, node: Node) -> Field:
    """A·B + C."""
    shape = context.shape(node.outputs[0])
    parts = _present(context, node.inputs[2:3])
    if _present(context, node.inputs[:2]):
        parts.append(_product(context, node, node.inputs[0], node.inputs[1]))
    return joined(parts, shape)


def einsum(context: Context, node: Node) -> Field:
    """Letters that are not in the output are summed over."""
    left, arrow, right = str(node.attribute("equation")).replace(" ", "").partition("->")
    terms = left.split(",")
    if "." in left or not arrow or any(len(set(term)) != len(term) for term in terms):
        raise Unknown("einsum with dots, repeated letters or no output")
    parts = []
    for name, term in zip(node.inputs, terms, strict=True):
        field = context.field(name)
        if field is not None:
            parts.append(_einsum_operand(field, term, right))
    return joined(parts, context.shape(node.outputs[0]))


def _einsum_operand(field: Field, term: str, result: str) -> Field:
    summed = [axis for axis, letter in enumerate(term) if letter not in result]
    united = field.united(summed)
    kept = sorted((axis for axis in range(len(term)) if axis not in summed), key=lambda axis: result.index(term[axis]))
    ordered = united.transposed([*kept, *summed])
    return _with_missing(ordered, [result.index(term[axis]) for axis in kept], len(result))


def _with_missing(field: Field, places: Sequence[int], rank: int) -> Field:
    """Axes put at `places` of a tensor of `rank` axes, size 1 elsewhere. Axes of size 1 at the end are dropped."""
    grouped = list(field.axes[: len(places)])
    shape: list[int] = []
    for place in range(rank):
        shape.append(int(np.prod(grouped[places.index(place)])) if place in places else 1)
    return field.reshaped(tuple(shape))


def recurrent(context: Context, node: Node) -> list[Field]:
    """LSTM, GRU, RNN: every step looks at the whole sequence, so that both directions are covered."""
    field = _data(context, node)
    batch_first = bool(node.attribute("layout"))
    united = field.united((1 if batch_first else 0, 2))
    results = []
    for position, output in enumerate(node.outputs):
        shape = context.shape(output) if output else ()
        results.append(_recurrent_output(united, shape, batch_first, position == 0) if output else united)
    return [with_parameters(context, node, result, node.inputs[1:]) for result in results]


def _recurrent_output(united: Field, shape: Shape, batch_first: bool, sequence: bool) -> Field:
    """Y is [steps, directions, batch, hidden], the states [directions, batch, hidden]; batch first otherwise."""
    axis = 0 if batch_first else (2 if sequence else 1)
    batch = united.shape[0 if batch_first else 1]
    return united.reshaped(tuple(batch if place == axis else 1 for place in range(len(shape)))).broadcast(shape)


def attention(context: Context, node: Node) -> list[Field]:
    """Every token looks at every token of its own batch entry."""
    parts = []
    for field in _present(context, node.inputs):
        united = field.united(range(1, len(field.axes)))
        parts.append((united.shape[0], united))
    results = []
    for output in filter(None, node.outputs):
        shape = context.shape(output)
        fields = [united.reshaped((batch, *(1,) * (len(shape) - 1))) for batch, united in parts]
        results.append(joined(fields, shape))
    return results


def everything(context: Context, node: Node) -> list[Field]:
    """Attention, RoiAlign, GridSample, NonMaxSuppression …: any element of an image of the batch can be taken."""
    whole = []
    for field in _present(context, node.inputs):
        united = field.united(range(len(field.axes)))
        whole.append(united.reshaped(()))
    return [joined(whole, context.shape(output)) for output in node.outputs if output]
