"""What each node costs: parameters, multiply-accumulates, operations, activation bytes, and what its weights are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from .graph import Graph, Node
from .macs import UnknownShape, known_shape, macs, output_shape
from .semantics import (
    ELEMENTWISE,
    GLOBAL_POOLS,
    NORMALISATIONS,
    POOLS,
    REDUCTIONS,
    SOFTMAXES,
    constant_tensors,
    read_by_bodies,
)
from .shapes import TensorType

# Which inputs may hold learned values, for the operators whose other inputs only configure them.
_LEARNED_INPUTS: dict[str, tuple[int, ...]] = {
    "BatchNormalization": (1, 2),  # scale and bias; mean and variance are statistics
    "DequantizeLinear": (0,),
    "GRU": (1, 2, 3),
    "Gather": (0,),
    "GatherElements": (0,),
    "GatherND": (0,),
    "LSTM": (1, 2, 3, 7),  # weights, recurrence, bias, peepholes; 5 and 6 are the states it starts from
    "QLinearConv": (3, 8),
    "QLinearMatMul": (0, 3),
    "RNN": (1, 2, 3),
    "com.microsoft.QGemm": (0, 3, 6),
    "com.microsoft.QLinearAdd": (0, 3),
    "com.microsoft.QLinearMul": (0, 3),
    **dict.fromkeys(("ConvInteger", "MatMulInteger", "com.microsoft.DynamicQuantizeMatMul"), (0, 1)),
    "com.microsoft.MatMulIntegerToFloat": (0, 1),
    "com.microsoft.MatMulNBits": (1, 5),
    **dict.fromkeys(
        (
            *("Clip", "CumSum", "Dropout", "DynamicQuantizeLinear", "Expand", "NonMaxSuppression", "OneHot", "Pad"),
            *("QuantizeLinear", "Range", "ReduceMean", "ReduceSum", "Reshape", "Resize", "Slice", "Split", "Squeeze"),
            *("Tile", "TopK", "Trilu", "Unsqueeze", "Upsample", "com.microsoft.QLinearAveragePool"),
            *("com.microsoft.QLinearGlobalAveragePool", "com.microsoft.QLinearLeakyRelu"),
            *("com.microsoft.QLinearSigmoid", "com.microsoft.QLinearConcat", "com.microsoft.QuantizeLinear"),
        ),
        (),
    ),
}
_STATISTICS_INPUTS = {"BatchNormalization": (3, 4)}
_INTEGER_WEIGHTS = {
    op for op in _LEARNED_INPUTS if op.rpartition(".")[2].startswith(("QLinear", "QGemm", "MatMul"))
} | {
    "ConvInteger",
    "DequantizeLinear",
    "com.microsoft.DynamicQuantizeMatMul",
}
# Operator -> which of its inputs is an integer weight, its scale (None: applied by later nodes) and its zero point.
QUANTISED_WEIGHT: dict[str, tuple[int, int | None, int]] = {
    **dict.fromkeys(("QLinearConv", "QLinearMatMul", "com.microsoft.QGemm"), (3, 4, 5)),
    **dict.fromkeys(("ConvInteger", "MatMulInteger"), (1, None, 3)),
}
# A weight seen through these is still the stored weight.
_VIEWS = {"Cast", "DequantizeLinear", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}


@dataclass(frozen=True)
class Parameter:
    """A stored tensor of learned values, as one node uses it."""

    name: str  # the stored tensor: two uses of one name share its values
    dtype: str  # as stored
    elements: int
    bytes: int
    zeros: int | None  # elements whose value is zero (for quantised ones: the zero point)


@dataclass(frozen=True)
class NodeCost:
    """What one run of a node costs, for the graph's input shapes. None: not known."""

    params: int  # learned values; a tensor used by several nodes counts in each, once in `Costs.params`
    statistics: int  # running means and variances of batch normalisation: stored, not learned
    macs: int | None
    flops: int | None
    activation_bytes: int | None
    weights: tuple[Parameter, ...]


class Costs:
    """The costs of every node of a graph, aligned with `graph.nodes`, and what is shared between them."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.constant = constant_tensors(graph)

    @cached_property
    def nodes(self) -> tuple[NodeCost, ...]:
        """The cost of each node, in the order of `graph.nodes`."""
        return tuple(self._cost(node) for node in self.graph.nodes)

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        """Every stored tensor of learned values once, by name."""
        return {weight.name: weight for cost in self.nodes for weight in cost.weights}

    @property
    def params(self) -> int:
        """Learned values of the whole model: shared tensors count once."""
        return sum(parameter.elements for parameter in self.parameters.values())

    def _cost(self, node: Node) -> NodeCost:
        if self.is_constant(node):  # computed once when the model is loaded; its weights count where they are used
            return NodeCost(0, 0, 0, 0, 0, ())
        weights = tuple(self._weights(node))
        products = macs(self.graph, node)
        return NodeCost(
            params=sum(weight.elements for weight in {w.name: w for w in weights}.values()),
            statistics=sum(self._elements(name) for name in _chosen(node, _STATISTICS_INPUTS.get(node.op, ()))),
            macs=products,
            flops=flops(self.graph, node, products),
            activation_bytes=_sum_or_none(tensor_bytes(self.graph, name) for name in node.outputs if name),
            weights=weights,
        )

    def is_constant(self, node: Node) -> bool:
        """Whether the node's outputs are the same for every image."""
        return all(name in self.constant for name in node.outputs if name)

    def _weights(self, node: Node) -> Iterator[Parameter]:
        for name in (
            *_chosen(node, _LEARNED_INPUTS.get(node.op, range(len(node.inputs)))),
            *self._read_by_bodies(node),
        ):
            if name not in self.constant or (node.op in ELEMENTWISE - {"PRelu"} and self._elements(name) <= 1):
                continue
            parameter = self._parameter(node, name)
            if parameter is not None and (_is_float(parameter.dtype) or self._is_quantised(node, name)):
                yield parameter

    def _read_by_bodies(self, node: Node) -> list[str]:
        """What the bodies of an If, Loop or Scan read from outside; single numbers there are no weights."""
        return [name for name in read_by_bodies(node) if self._elements(name) > 1]

    def _is_quantised(self, node: Node, name: str) -> bool:
        """Integers are weights where the operator says so, or where they reach the node as dequantised floats."""
        return node.op in _INTEGER_WEIGHTS or _is_float(self.graph.types[name].dtype)

    def _elements(self, name: str) -> int:
        known = self.graph.types.get(name)
        return (known.elements or 0) if known else 0

    def _parameter(self, node: Node, name: str) -> Parameter | None:
        root, zero_point = self._root(name)
        weight, _, zero_at = QUANTISED_WEIGHT.get(node.op, (-1, None, -1))
        if weight >= 0 and node.inputs[weight] == name and zero_at < len(node.inputs):
            zero_point = self.graph.constant(node.inputs[zero_at])
        cached = self._by_root.get(root)
        if cached is None:
            cached = self._by_root[root] = self._read(root, zero_point)
        return cached

    @cached_property
    def _by_root(self) -> dict[str, Parameter | None]:
        return {}

    def _root(self, name: str) -> tuple[str, np.ndarray | None]:
        """The stored tensor behind a constant one, and the quantisation zero point met on the way."""
        zero_point = None
        while (maker := self.graph.producers.get(name)) is not None and maker.op in _VIEWS:
            if maker.op == "DequantizeLinear" and len(maker.inputs) > 2:
                zero_point = self.graph.constant(maker.inputs[2])
            name = maker.inputs[0]
        return name, zero_point

    def _read(self, root: str, zero_point: np.ndarray | None) -> Parameter | None:
        values = stored_value(self.graph, root)
        known = self.graph.types.get(root)
        if known is None or known.elements is None:
            return None
        zeros = None  # computed from other constants: its size is known, its values are not
        if values is not None:
            level = 0 if zero_point is None or zero_point.size != 1 else zero_point.reshape(())
            zeros = values.size - int(np.count_nonzero(values != level if level else values))
        return Parameter(root, known.dtype, known.elements, bytes_of(known) or 0, zeros)


def stored_value(graph: Graph, name: str) -> np.ndarray | None:
    """The value of the initializer or of the Constant node called `name`, of any size."""
    return graph.weight(name) if name in graph.initializers else graph.constant(name)


def _chosen(node: Node, positions: range | tuple[int, ...]) -> list[str]:
    return [node.inputs[p] for p in positions if p < len(node.inputs) and node.inputs[p]]


def _is_float(dtype: str) -> bool:
    return dtype.startswith(("float", "bfloat", "double"))


def tensor_bytes(graph: Graph, name: str) -> int | None:
    """Bytes of a tensor, or None when its shape is not known."""
    known = graph.types.get(name)
    return None if known is None else bytes_of(known)


def bytes_of(known: TensorType) -> int | None:
    """Bytes of a tensor of this type; 4-bit types are packed two to a byte."""
    bits = 8 if known.dtype == "bool" else int((re.findall(r"\d+", known.dtype) or ["0"])[0])
    return None if known.elements is None or not bits else -(-known.elements * bits // 8)


def _sum_or_none(values: Iterator[int | None]) -> int | None:
    total = 0
    for value in values:
        if value is None:
            return None
        total += value
    return total


def flops(graph: Graph, node: Node, products: int | None) -> int | None:
    """Floating-point operations: 2 a MAC and 1 a bias, 1 an output element of element-wise operators, the window's
    elements a pooled element, 1 an input element of reductions, 5 an element of softmax and normalisations."""
    try:
        if products:
            return 2 * products + (prod(output_shape(graph, node)) if _has_bias(node) else 0)
        if node.op in ELEMENTWISE:
            return prod(output_shape(graph, node))
        if node.op in POOLS:
            return prod(output_shape(graph, node)) * prod(node.attribute("kernel_shape", (1,)))
        if node.op in GLOBAL_POOLS | REDUCTIONS:
            return prod(known_shape(graph, node, 0))
        if node.op in SOFTMAXES | NORMALISATIONS:
            return 5 * prod(known_shape(graph, node, 0))
    except UnknownShape:
        return None
    return products


_BIAS_INPUT = {
    "Conv": 2,
    "ConvTranspose": 2,
    "Gemm": 2,
    "DeformConv": 3,
    "QLinearConv": 8,
    "com.microsoft.FusedConv": 2,
}


def _has_bias(node: Node) -> bool:
    position = _BIAS_INPUT.get(node.op)
    return position is not None and position < len(node.inputs) and bool(node.inputs[position])
