"""Receptive fields of all tensors of a graph: one rule an operator, applied in topological order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import numpy as np

from ..graph import Graph, Node
from ..semantics import (
    ELEMENTWISE,
    GLOBAL_POOLS,
    NORMALISATIONS,
    POOLS,
    REDUCTIONS,
    SOFTMAXES,
    constant_tensors,
    operands,
)
from . import layout, mixing, resampling, windows
from .constant_values import ConstantValues
from .field import Field, Shape
from .fields import ReceptiveField, described
from .reach import Reach, Unknown

# (context, node) -> the field of all outputs, or one each; None: that output does not depend on the image.
Rule = Callable[..., "Field | list[Field] | list[Field | None]"]

RULES: dict[str, Rule] = {
    **dict.fromkeys(ELEMENTWISE, layout.elementwise),
    **dict.fromkeys(POOLS, windows.pool),
    **dict.fromkeys(GLOBAL_POOLS, windows.global_pool),
    **dict.fromkeys(REDUCTIONS, mixing.reduction),
    **dict.fromkeys(SOFTMAXES, mixing.softmax),
    **dict.fromkeys(NORMALISATIONS, mixing.normalisation),
    "Attention": mixing.attention,
    "Concat": layout.concat,
    "Conv": windows.convolve,
    "ConvInteger": windows.convolve,
    "ConvTranspose": windows.convolve_transposed,
    "DeformConv": mixing.everything,
    "DepthToSpace": layout.depth_to_space,
    "DynamicQuantizeLinear": layout.dynamic_quantise,
    "Einsum": mixing.einsum,
    "Expand": layout.expand,
    "Flatten": layout.reshape,
    "GRU": mixing.recurrent,
    "Gather": layout.gather,
    "Gemm": mixing.gemm,
    "GridSample": mixing.everything,
    "LRN": windows.local_response,
    "LSTM": mixing.recurrent,
    "MatMul": mixing.matmul(0, 1),
    "MatMulInteger": mixing.matmul(0, 1),
    "MaxRoiPool": mixing.everything,
    "MaxUnpool": windows.unpool,
    "Pad": layout.pad,
    "QLinearConv": windows.quantised_convolve,
    "QLinearMatMul": mixing.matmul(0, 3),
    "RNN": mixing.recurrent,
    "Reshape": layout.reshape,
    "Resize": resampling.resize,
    "RoiAlign": mixing.everything,
    "Slice": layout.slice_,
    "SpaceToDepth": layout.space_to_depth,
    "Split": layout.split,
    "Squeeze": layout.reshape,
    "Tile": layout.tile,
    "TopK": mixing.top_k,
    "Transpose": layout.transpose,
    "Unsqueeze": layout.reshape,
    "Upsample": resampling.resize,
    "com.microsoft.Attention": mixing.attention,
    "com.microsoft.DynamicQuantizeMatMul": mixing.matmul(0, 1),
    "com.microsoft.FusedConv": windows.fused_convolve,
    "com.microsoft.FusedGemm": mixing.gemm,
    "com.microsoft.FusedMatMul": mixing.matmul(0, 1),
    "com.microsoft.MatMulIntegerToFloat": mixing.matmul(0, 1),
    "com.microsoft.MultiHeadAttention": mixing.attention,
    "com.microsoft.QGemm": mixing.matmul(0, 3),
    "com.microsoft.QLinearConcat": layout.quantised_concat,
}
_CONSTANT = ("Shape", "Size")  # the same for every image of the size assumed


class Propagation:
    """The field of every tensor, either on the unbounded plane or exactly inside the image."""

    def __init__(self, graph: Graph, image: str, axes: Sequence[int], bounded: bool) -> None:
        self.graph = graph
        self.image = image
        self.axes = tuple(axes)
        self.bounded = bounded

    @cached_property
    def fields(self) -> dict[str, Field | None]:
        """Tensor -> field; None when it is not known. Tensors that do not depend on the image have no entry."""
        self._fields: dict[str, Field | None] = {self.image: self._image_field()}
        for node in self.graph.nodes:
            if node.op not in _CONSTANT and any(name in self._fields for name in operands(node)):
                self._apply(node)
        return self._fields

    def _image_field(self) -> Field:
        """Every pixel looks at itself."""
        shape = self.shape(self.image)
        reaches = tuple(_identity(len(shape), axis, shape[axis], self.bounded) for axis in self.axes)
        return Field(tuple((size,) for size in shape), reaches)

    def _apply(self, node: Node) -> None:
        outputs = [name for name in node.outputs if name]
        try:
            found = self._run(node)
            known = {name: field for name, field in zip(outputs, found, strict=True) if field is not None}
            if any(field.shape != self.shape(name) for name, field in known.items()):
                raise Unknown("the rule does not fit this use of the operator")
            self._fields.update(known)
        except Unknown:
            self._fields.update(dict.fromkeys(outputs))

    def _run(self, node: Node) -> Sequence[Field | None]:
        rule = RULES.get(node.op)
        if rule is None or any(name in self._fields and self._fields[name] is None for name in operands(node)):
            raise Unknown(node.op)
        found = rule(self, node)
        outputs = sum(bool(name) for name in node.outputs)
        return found if isinstance(found, list) else [found] * outputs

    def field(self, tensor: str) -> Field | None:
        """The field of a tensor; None when it does not depend on the image."""
        return self._fields.get(tensor)

    def shape(self, tensor: str) -> Shape:
        """The tensor's shape. Raises Unknown."""
        shape = self.graph.shape(tensor)
        if shape is None or None in shape:
            raise Unknown(f"shape of {tensor}")
        return tuple(size for size in shape if size is not None)

    def constant(self, tensor: str) -> np.ndarray:
        """The value of a constant tensor. Raises Unknown."""
        value = self._constants.value(tensor)
        if value is None:
            raise Unknown(f"value of {tensor}")
        return value

    @cached_property
    def _constants(self) -> ConstantValues:
        return ConstantValues(self.graph, constant_tensors(self.graph))


def _identity(rank: int, axis: int, size: int, bounded: bool) -> Reach:
    places = np.arange(size if bounded else 1, dtype=np.float64)
    values = places.reshape([-1 if place == axis else 1 for place in range(rank)])
    step = None if bounded else 1.0
    steps = tuple(step if place == axis else 0.0 for place in range(rank))
    return Reach(values, values, steps, (False,) * rank, np.inf if bounded else size)


def receptive_fields(graph: Graph, image: str, axes: Sequence[int] = (2, 3)) -> Mapping[str, ReceptiveField]:
    """The receptive field of every tensor, in pixels of the graph input `image`, whose spatial axes are `axes`."""
    plane = Propagation(graph, image, axes, bounded=False)
    inside = Propagation(graph, image, axes, bounded=True)
    result = {}
    for name in _tensors(graph):
        if name not in plane.fields:
            result[name] = ReceptiveField("none")
        elif (field := plane.fields[name]) is None:
            result[name] = ReceptiveField("unknown")
        else:
            result[name] = described(field, lambda name=name: inside.fields.get(name))  # type: ignore[misc]
    return result


def _tensors(graph: Graph) -> list[str]:
    return [*graph.inputs, *graph.initializers, *(name for node in graph.nodes for name in node.outputs if name)]
