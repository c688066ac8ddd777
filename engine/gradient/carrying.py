"""Which integers of a network are carried as floats, so that gradients get through them, and which stay integers.

Images that are fed as bytes, and integers that a Cast makes of real numbers, are carried where all that becomes of
them takes real numbers too: arithmetic, moves, casts, quantised operators. Indices, shapes and conditions stay what
they are. (What quantised operators make is always carried: see ops/levels.py.)
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import fx

from ..structure.graph import Graph, Node
from .builder import free_names, origin
from .ops.levels import saturated_through

_IMAGE_RANK = 3  # at least: [H, W, C]
_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
_CONTROL_FLOW = ("If", "Loop", "Scan")
_ANYWHERE = "Add Sub Mul Neg Abs Max Min Sum Relu Clip Concat Identity Cast MaxPool Where DepthToSpace SpaceToDepth"
_FIRST = (  # operators of which only the first input takes carried integers; the rest are shapes, indices …
    "Transpose Reshape Flatten Squeeze Unsqueeze Slice Split Pad Gather GatherElements GatherND Expand Tile Resize "
    "Upsample Compress ReduceMax ReduceMin ReduceSum TopK GlobalMaxPool CenterCropPad ReverseSequence"
)
_LEVELS = (
    "DequantizeLinear ConvInteger MatMulInteger QLinearConv QLinearMatMul "
    "com.microsoft.DequantizeLinear com.microsoft.MatMulIntegerToFloat com.microsoft.QLinearConv"
)
_QUESTIONS = "Shape Size ArgMax ArgMin NonZero Equal Less Greater LessOrEqual GreaterOrEqual"  # answers are exact
_TAKES_ALL = frozenset(f"{_ANYWHERE} {_LEVELS} {_QUESTIONS}".split())
_TAKES_FIRST = frozenset(_FIRST.split())
_ENDS = frozenset(_QUESTIONS.split())


def carried_inputs(graph: Graph) -> frozenset[str]:
    """Graph inputs of integers that are fed as floats: images."""
    return frozenset(name for name in graph.inputs if _is_image(name, graph) and _is_carried(name, graph))


def carry_casts(module: fx.GraphModule, tensors: Mapping[str, str], graph: Graph) -> None:
    """Let gradients through each Cast of real numbers to integers that are carried, in place.

    `tensors`: ONNX tensor -> fx node.
    """
    casts = {tensors.get(node.outputs[0]) for node in graph.nodes if node.op == "Cast" and makes_levels(node, graph)}
    for node in module.graph.nodes:
        made_from = origin(node)
        if node.name in casts and node.op == "call_function" and made_from is not None and made_from.op == "Cast":
            node.target = _cast_carried
    module.recompile()


def _cast_carried(x: torch.Tensor, *, to: torch.dtype, saturate: int = 1, round_mode: str = "up") -> torch.Tensor:
    return saturated_through(x, to) if x.is_floating_point() else x.to(to)


def _is_image(name: str, graph: Graph) -> bool:
    shape = graph.shape(name)
    return shape is not None and len(shape) >= _IMAGE_RANK and graph.types[name].dtype in _INTEGERS


def makes_levels(cast: Node, graph: Graph) -> bool:
    """Whether this Cast makes integers that are carried."""
    known = graph.types.get(cast.outputs[0])
    return known is not None and known.dtype in _INTEGERS and _is_carried(cast.outputs[0], graph)


def _is_carried(tensor: str, graph: Graph) -> bool:
    """Whether all that becomes of this integer tensor takes real numbers too."""
    captured = _captured(graph)
    waiting, seen = [tensor], {tensor}
    while waiting:
        name = waiting.pop()
        if name in captured or (name in graph.outputs and graph.types[name].dtype in ("int32", "int64")):
            return False
        for node in graph.consumers.get(name, ()):
            if not _takes(node, name):
                return False
            made = () if node.op in _ENDS else node.outputs
            waiting += [entry for entry in made if entry not in seen and graph.types[entry].dtype in _INTEGERS]
            seen |= set(made)
    return True


def _takes(node: Node, tensor: str) -> bool:
    if node.op in _TAKES_FIRST:
        return tensor not in node.inputs[1:]
    if node.op == "Where":
        return node.inputs[0] != tensor
    return node.op in _TAKES_ALL or node.op.startswith("com.microsoft.QLinear")


def _captured(graph: Graph) -> set[str]:
    """Tensors that control flow reads, whose bodies may do anything with them."""
    flows = [node for node in graph.nodes if node.op in _CONTROL_FLOW]
    bodies = [value for node in flows for value in node.attributes.values() if hasattr(value, "initializer")]
    return {name for node in flows for name in node.inputs} | {name for body in bodies for name in free_names(body)}
