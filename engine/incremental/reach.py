"""reach: for a patch at many positions of the image, which part of every tensor it can change, and how that part is
computed; operators that are not in the table look at the whole."""

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
    graph: fx.Graph, constants: Constants, clean: Mapping[fx.Node, Any], image: Reaches, axes: Axes = (2, 3)
) -> tuple[Tensors, dict[fx.Node, Travel]]:
    """What is known of the tensors, and how the change of the image, which has these axes, travels through nodes, as
    far as it does."""
    tensors, found = Tensors(constants, clean, rounds_to_levels(graph)), dict[fx.Node, Travel]()
    (placeholder,) = (node for node in graph.nodes if node.op == "placeholder")
    tensors.reaches[placeholder], tensors.axes[placeholder] = image, axes
    changing = {placeholder}
    for node in graph.nodes:
        if node.op != "call_function" or not changing.union(tensors.sized).intersection(node.all_input_nodes):
            continue
        read = [source for source in node.all_input_nodes if source in changing]
        if not read or kind(node) in SIZES:
            tensors.sized.add(node)
            continue
        changing.add(node)
        travel = None if node in tensors.reaches else _travel(node, tensors, read)
        if travel is not None:
            found[node] = travel
            if travel.reach is not None:
                tensors.reaches[travel.node], tensors.axes[travel.node] = travel.reach, travel.axes
    return tensors, found


def _travel(node: fx.Node, tensors: Tensors, read: list[fx.Node]) -> Travel | None:
    if any(source not in tensors.reaches for source in read):
        return None
    makes = _OUR_OWN.get(node.target) or _TRAVELS.get(kind(node))
    maps = all(is_map(tensors.clean[tensor]) for tensor in (node, *read))
    return makes(node, tensors) if makes is not None and maps else None
