"""Multiply-accumulates of a node, from shapes alone: one small function an operator.

A MAC is one product of two tensor elements that is added up: convolutions, matrix products, recurrent and attention
layers. Everything else counts 0. What cannot be known is None, never a guess.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from .graph import Graph, Node
from .semantics import (
    ELEMENTWISE,
    GLOBAL_POOLS,
    MOVES,
    NORMALISATIONS,
    POOLS,
    REDUCTIONS,
    RESAMPLING,
    SOFTMAXES,
    bodies,
)

Shape = tuple[int, ...]
WITHOUT_MACS = (ELEMENTWISE | REDUCTIONS | POOLS | GLOBAL_POOLS | SOFTMAXES | NORMALISATIONS | MOVES | RESAMPLING) | {
    "RotaryEmbedding",
    "SwiGLU",
}


class UnknownShape(Exception):
    """A shape that the count needs is not known."""


def macs(graph: Graph, node: Node) -> int | None:
    """Multiply-accumulates of one run of `node`, or None when they cannot be known."""
    if node.op in WITHOUT_MACS:
        return 0
    if node.op in ("If", "Loop", "Scan"):
        # Which branch runs, and how often, is not in the file; a body that only moves data costs nothing either way.
        return 0 if all(step.op_type in WITHOUT_MACS for body in bodies(node) for step in body.node) else None
    count = COUNTERS.get(node.op)
    try:
        return None if count is None else count(graph, node)
    except UnknownShape:
        return None


def known_shape(graph: Graph, node: Node, position: int) -> Shape:
    """The shape of an input of the node. Raises UnknownShape."""
    return _known(graph, node.inputs[position] if position < len(node.inputs) else "")


def output_shape(graph: Graph, node: Node, position: int = 0) -> Shape:
    """The shape of an output of the node. Raises UnknownShape."""
    return _known(graph, node.outputs[position])


def _known(graph: Graph, tensor: str) -> Shape:
    shape = graph.shape(tensor) if tensor else None
    if shape is None or None in shape:
        raise UnknownShape(tensor)
    return tuple(size for size in shape if size is not None)


def _conv(weight: int) -> Callable[[Graph, Node], int]:
    """Every output element: the channels of one group times the kernel. Weight is [M, C/group, k…].

    Not known where the weight is for another number of channels than the input has: such a network cannot run.
    """

    def count(graph: Graph, node: Node) -> int:
        channels = known_shape(graph, node, weight)[1] * node.attribute("group", 1)
        if channels != known_shape(graph, node, 0)[1]:
            raise UnknownShape
        return prod(output_shape(graph, node)) * prod(known_shape(graph, node, weight)[1:])

    return count


def _conv_transpose(graph: Graph, node: Node) -> int:
    """Every input element is spread over M/group channels times the kernel, also where the border cuts it off."""
    return prod(known_shape(graph, node, 0)) * prod(known_shape(graph, node, 1)[1:])


def _nhwc_conv(graph: Graph, node: Node) -> int:
    """The channels-last form keeps its weight as [M, k…, C/group]: the product is the same."""
    return prod(output_shape(graph, node)) * prod(known_shape(graph, node, 1)[1:])


def _matmul(left: int) -> Callable[[Graph, Node], int]:
    """Every output element sums over the last axis of the left operand."""

    def count(graph: Graph, node: Node) -> int:
        shape = known_shape(graph, node, left)
        inner = shape[-2 if node.attribute("transA") and len(shape) > 1 else -1]
        return prod(output_shape(graph, node)) * inner

    return count


def _nbits_matmul(graph: Graph, node: Node) -> int | None:
    inner = node.attribute("K")
    return None if inner is None else prod(output_shape(graph, node)) * int(inner)


def _einsum(graph: Graph, node: Node) -> int | None:
    """Two operands: the product of all index ranges. One operand: no product. More: depends on the order taken."""
    if len(node.inputs) != 2:
        return 0 if len(node.inputs) == 1 else None
    left, _, _ = str(node.attribute("equation", "")).replace(" ", "").partition("->")
    terms = left.split(",")
    if "." in left or len(terms) != 2:
        return _einsum_with_ellipsis(graph, node, terms)
    ranges: dict[str, int] = {}
    for position, term in enumerate(terms):
        for letter, size in zip(term, known_shape(graph, node, position), strict=True):
            ranges[letter] = max(ranges.get(letter, 1), size)
    return prod(ranges.values())


def _einsum_with_ellipsis(graph: Graph, node: Node, terms: list[str]) -> int:
    """As above; the dots stand for leading axes that broadcast, so they are in the output or of size 1."""
    ranges: dict[str, int] = {}
    dots: dict[int, int] = {}
    for position, term in enumerate(terms):
        before, _, after = term.partition("...")
        shape = known_shape(graph, node, position)
        hidden = len(shape) - len(before) - len(after)
        named = (*shape[: len(before)], *shape[len(before) + hidden :])
        for letter, size in zip(before + after, named, strict=True):
            ranges[letter] = max(ranges.get(letter, 1), size)
        for distance, size in enumerate(reversed(shape[len(before) : len(before) + hidden])):
            dots[distance] = max(dots.get(distance, 1), size)
    return prod(ranges.values()) * prod(dots.values())


def _recurrent(gates: int) -> Callable[[Graph, Node], int]:
    """Each step: input and state through every gate. Gate-by-state products are element-wise, so not counted."""

    def count(graph: Graph, node: Node) -> int:
        first, second, _ = known_shape(graph, node, 0)  # steps and batch, in either order (attribute `layout`)
        directions, _, features = known_shape(graph, node, 1)
        hidden = known_shape(graph, node, 2)[-1]
        return first * second * directions * gates * hidden * (features + hidden)

    return count


def _attention(graph: Graph, node: Node) -> int:
    """Q·Kᵀ and the weighted sum of V, for every head, without masking shortcuts."""
    query, key, value = (known_shape(graph, node, position) for position in range(3))
    past = known_shape(graph, node, 4)[2] if len(node.inputs) > 4 and node.inputs[4] else 0
    keys = key[-2] + past
    if len(query) == 4:
        batch, heads, steps, width = query
        return batch * heads * steps * keys * (width + value[-1])
    batch, steps, hidden = query
    heads, kv_heads = int(node.attribute("q_num_heads", 1)), int(node.attribute("kv_num_heads", 1))
    return batch * steps * keys * (hidden + heads * value[-1] // kv_heads)


def _microsoft_attention(graph: Graph, node: Node) -> int:
    """The input projection [features, 3·hidden], then attention over the same sequence."""
    batch, steps, features = known_shape(graph, node, 0)
    projected = known_shape(graph, node, 1)[-1]
    if len(node.inputs) > 4 and node.inputs[4]:
        raise UnknownShape("past")
    return batch * steps * features * projected + 2 * batch * steps * steps * output_shape(graph, node)[-1]


COUNTERS: dict[str, Callable[[Graph, Node], int | None]] = {
    "Conv": _conv(1),
    "ConvInteger": _conv(1),
    "DeformConv": _conv(1),
    "QLinearConv": _conv(3),
    "ConvTranspose": _conv_transpose,
    "com.microsoft.FusedConv": _conv(1),
    "com.microsoft.NhwcFusedConv": _nhwc_conv,
    "Gemm": _matmul(0),
    "MatMul": _matmul(0),
    "MatMulInteger": _matmul(0),
    "QLinearMatMul": _matmul(0),
    "com.microsoft.DynamicQuantizeMatMul": _matmul(0),
    "com.microsoft.FusedGemm": _matmul(0),
    "com.microsoft.FusedMatMul": _matmul(0),
    "com.microsoft.MatMulIntegerToFloat": _matmul(0),
    "com.microsoft.MatMulNBits": _nbits_matmul,
    "com.microsoft.QGemm": _matmul(0),
    "Einsum": _einsum,
    "LSTM": _recurrent(4),
    "GRU": _recurrent(3),
    "RNN": _recurrent(1),
    "Attention": _attention,
    "com.microsoft.Attention": _microsoft_attention,
}
