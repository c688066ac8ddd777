"""reach: for a patch at many positions of the image or of a tensor inside, which part of every tensor behind it can
change, and how that part is computed; operators that are not in the table look at the whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import getitem
from typing import Any

from torch import fx

from ..gradient.constants import Constants
from ..gradient.kinds import kind, rounds_to_levels
from ..gradient.products import linear
from . import local, sliding
from .resampling import resampled
from .steps import Axes
from .travel import Tensors, Travel, in_place, is_map
from .windows import Reaches

_ELEMENTWISE = (
    *("Relu", "Relu6", "LeakyRelu", "PRelu", "ThresholdedRelu", "Elu", "Celu", "Selu", "Softplus", "Softsign"),
    *("Sigmoid", "Tanh", "HardSigmoid", "HardSwish", "Swish", "Mish", "Gelu", "com.microsoft.QuickGelu", "Clip"),
    *("Abs", "Neg", "Exp", "Log", "Sqrt", "Erf", "Sign", "Floor", "Ceil", "Round", "Reciprocal", "Pow"),
    *("Add", "Sub", "Mul", "Div", "Min", "Max", "Sum", "Mean", "Identity", "Dropout", "Cast"),
)
_REDUCTIONS = (
    *("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin"),
    *("ReduceProd", "ReduceSum", "ReduceSumSquare"),
)
_TRAVELS: Mapping[str, Callable[[fx.Node, Tensors], Travel | None]] = {
    "Conv": sliding.convolution,
    "ConvTranspose": sliding.transposed,
    "MaxPool": sliding.maxima,
    "AveragePool": sliding.means,
    "SpaceToDepth": sliding.blocks_to_channels,
    "DepthToSpace": sliding.channels_to_blocks,
    **dict.fromkeys(_ELEMENTWISE, local.elementwise),
    **dict.fromkeys(("BatchNormalization", "LRN"), local.of_channels),
    "Concat": local.concatenation,
    **dict.fromkeys(("Split", "LpNormalization"), local.along_axis),
    **dict.fromkeys(("Softmax", "LogSoftmax"), local.softmax),
    **dict.fromkeys(("LayerNormalization", "RMSNormalization"), local.from_axis),
    "MatMul": local.product,
    **dict.fromkeys(_REDUCTIONS, local.reduction),
    "GlobalAveragePool": local.global_mean,
    "Gather": local.pick,
    "Transpose": local.transposition,
    **dict.fromkeys(("Reshape", "Squeeze", "Unsqueeze", "Flatten"), local.reshape),
    **dict.fromkeys(("Slice", "Pad", "CenterCropPad", "Resize", "Upsample"), resampled),
}
_OUR_OWN: Mapping[Any, Callable[[fx.Node, Tensors], Travel | None]] = {getitem: in_place, linear: local.product}
SIZES = ("Shape", "Size")  # operators that look at nothing else


def travels(
    graph: fx.Graph, constants: Constants, clean: Mapping[fx.Node, Any], changed: fx.Node, change: Reaches, axes: Axes
) -> tuple[Tensors, dict[fx.Node, Travel]]:
    """What is known of the tensors, and how the change of this one, which has these axes, travels through nodes, as far
    as it does."""
    tensors, found = Tensors(constants, clean, rounds_to_levels(graph)), dict[fx.Node, Travel]()
    tensors.reaches[changed], tensors.axes[changed] = change, axes
    tensors.passed_by.update(node for node in graph.nodes if node.op == "placeholder" and node is not changed)
    changing = {changed}
    for node in graph.nodes:
        read = [source for source in node.all_input_nodes if source in changing]
        by_value = bool(read) or not tensors.passed_by.isdisjoint(node.all_input_nodes)
        if node.op != "call_function" or node is changed:
            continue
        if not by_value or kind(node) in SIZES:
            if by_value or not tensors.sized.isdisjoint(node.all_input_nodes):
                tensors.sized.add(node)
            continue
        if not read:
            tensors.passed_by.add(node)
            continue
        changing.add(node)
        if node not in tensors.reaches and all(source in tensors.reaches for source in read):
            for beside in _read_beside(node, tensors, read):
                _add(local.unchanged(beside, read, tensors), beside, tensors, found)
            travel = _travel(node, tensors)
            if travel is not None:
                _add(travel, node, tensors, found)
    return tensors, found


def _add(travel: Travel, node: fx.Node, tensors: Tensors, found: dict[fx.Node, Travel]) -> None:
    found[node] = travel
    if travel.reach is not None:
        tensors.reaches[travel.node], tensors.axes[travel.node] = travel.reach, travel.axes


def _read_beside(node: fx.Node, tensors: Tensors, read: list[fx.Node]) -> list[fx.Node]:
    """Maps as large as those that change, which do not."""
    value, size = tensors.value(read[0]), tensors.size(read[0])
    return [
        other
        for other in node.all_input_nodes
        if kind(node) in (*_ELEMENTWISE, "Concat") and other in tensors.passed_by and is_map(tensors.clean[other])
        if tensors.value(other).dim() == value.dim() and tensors.size(other, tensors.axes[read[0]]) == size
        if other not in tensors.reaches
    ]


def _travel(node: fx.Node, tensors: Tensors) -> Travel | None:
    makes = _OUR_OWN.get(node.target) or _TRAVELS.get(kind(node))
    maps = all(is_map(tensors.clean[tensor]) for tensor in (node, *tensors.changing(node)))
    return makes(node, tensors) if makes is not None and maps else None
