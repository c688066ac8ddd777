"""Which tensors hold a network's units: what its activation functions make of a convolution or a dense layer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..structure.composites import with_activations
from ..structure.graph import Graph, Node
from .convolutions import layer_name, operators, stored_value

_LAYERS = ("Conv", "ConvTranspose", "com.microsoft.FusedConv", "DeformConv", "QLinearConv", "ConvInteger")
_DENSE = ("Gemm", "MatMul", "QLinearMatMul", "MatMulInteger", "com.microsoft.QGemm")
_SAME_CHANNEL = operators(  # of these the output's channel is the input's
    "Add AveragePool BatchNormalization Cast DequantizeLinear Div Dropout GlobalAveragePool GlobalMaxPool Identity "
    "InstanceNormalization LRN MaxPool Mul QuantizeLinear Sub"
)
_MAPS = operators("Concat GroupNormalization Pad Resize Slice Split Sum Upsample")  # other channels, the same axis
_RECTIFYING = ("Relu", "ThresholdedRelu")
_CURVED = operators(
    "Celu Elu Gelu HardSigmoid HardSwish LeakyRelu Mish PRelu Selu Sigmoid Softplus Softsign Swish Tanh "
    "com.microsoft.FastGelu com.microsoft.Gelu com.microsoft.QuickGelu com.microsoft.QLinearSigmoid "
    "com.microsoft.QLinearLeakyRelu"
)
_BOUNDS = {"Sigmoid": (0.0, 1.0), "HardSigmoid": (0.0, 1.0), "Tanh": (-1.0, 1.0)}


@dataclass(frozen=True)
class Units:
    """One tensor [N, C, H, W] or [N, C] of units."""

    tensor: str
    layer: str  # the convolution or dense layer whose channels these are, else the activation function
    rectified: bool  # never below 0
    bounds: tuple[float, float]  # -inf and inf where there is none; the 0 of a rectifier is none

    @property
    def bounded(self) -> bool:
        """Whether units can be stuck at a bound."""
        return any(math.isfinite(bound) for bound in self.bounds)


def find_units(graph: Graph) -> Iterator[Units]:
    """The units of a graph, in its order. The graph's outputs are answers, not units."""
    for node in with_activations(graph, partial(stored_value, graph)):
        kind = _kind(graph, node)
        if kind is None or not node.inputs or node.outputs[0] in graph.outputs:
            continue
        layer, shape = _layer(graph, node), graph.shape(node.outputs[0])
        if layer is not None and shape is not None and len(shape) in (2, 4):
            yield Units(node.outputs[0], layer, *kind)


def _kind(graph: Graph, node: Node) -> tuple[bool, tuple[float, float]] | None:
    """Whether an activation function rectifies, and its bounds; None: it is none."""
    if node.op in _RECTIFYING:
        return True, (-math.inf, math.inf)
    if node.op == "Clip":
        low, high = _clip_bounds(graph, node)
        return low == 0, (low if low else -math.inf, high)
    if node.op == "com.microsoft.FusedConv":
        return (True, (-math.inf, math.inf)) if node.attribute("activation") == "Relu" else None
    if node.op == "DequantizeLinear":
        return (True, (-math.inf, math.inf)) if _cuts_at_zero(graph, node) else None
    if node.op in _CURVED:
        return False, _BOUNDS.get(node.op, (-math.inf, math.inf))
    return None


def _clip_bounds(graph: Graph, node: Node) -> tuple[float, float]:
    bounds = []
    for place, (name, default) in enumerate((("min", -math.inf), ("max", math.inf)), 1):
        stored = graph.constant(node.inputs[place]) if place < len(node.inputs) and node.inputs[place] else None
        bounds.append(float(node.attribute(name, default) if stored is None else np.asarray(stored).item()))
    return bounds[0], bounds[1]


def _cuts_at_zero(graph: Graph, node: Node) -> bool:
    """Whether the type's lowest number stands for 0: quantisers drop a rectifier before such a range."""
    zero = graph.constant(node.inputs[2]) if len(node.inputs) > 2 else None
    return zero is not None and zero.dtype.kind in "iu" and bool((zero == np.iinfo(zero.dtype).min).all())


def _layer(graph: Graph, node: Node) -> str | None:
    """The layer that a unit's channels belong to; None when their axis is not known to be the second."""
    own, tensor = True, node.inputs[0]
    if node.op == "com.microsoft.FusedConv":
        return layer_name(node)
    while (maker := graph.producers.get(tensor)) is not None:
        if maker.op in _LAYERS or (maker.op in _DENSE and len(graph.shape(tensor) or ()) == 2):
            return layer_name(maker if own else node)
        moving = [name for name in maker.inputs if name and stored_value(graph, name) is None]
        activates = _kind(graph, maker) is not None
        if not moving or (maker.op not in _SAME_CHANNEL | _MAPS and not activates):
            return None
        if activates and node.op == "DequantizeLinear":
            return None  # these units have been seen already
        own = own and len(moving) == 1 and maker.op in _SAME_CHANNEL
        tensor = moving[0]
    return None
