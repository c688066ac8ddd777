"""What the torch bridge computes otherwise than the file says: short lines that results carry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx import TensorProto

from ...importers.walk import all_nodes, all_tensors
from .carrying import carried_inputs, makes_levels

if TYPE_CHECKING:
    from ..model import Model
    from ..structure.graph import Node

_QUANTISED = (  # and those that start with QLinear
    "QuantizeLinear",
    "DynamicQuantizeLinear",
    "DynamicQuantizeMatMul",
    "ConvInteger",
    "MatMulInteger",
    "MatMulIntegerToFloat",
    "QGemm",
    "NhwcMaxPool",
)
_DEQUANTISING = "DequantizeLinear"
_NARROW = {TensorProto.FLOAT16: "float16", TensorProto.BFLOAT16: "bfloat16"}


def notes(model: Model) -> tuple[str, ...]:
    """One line for each way in which gradients are those of a network other than the file's; none for most files.

    >>> notes(onnxray.load("resnet20_int8.onnx"))
    ('quantised network: 53 quantised nodes run on floats of the same values; gradients pass their rounding straight …
    """
    operators = [node.op_type for node in all_nodes(model.proto.graph.node)]
    return tuple(filter(None, (_levels(operators), _rounding(model, operators), _narrow_floats(model), _pixels(model))))


def moves_in_steps(model: Model) -> bool:
    """Whether the network's values jump where its gradients pass straight through: it rounds."""
    operators = [node.op_type for node in all_nodes(model.proto.graph.node)]
    return any(map(quantises, operators)) or bool(_rounding(model, operators))


def quantises(operator: str) -> bool:
    return operator in _QUANTISED or operator.startswith("QLinear")


def _levels(operators: list[str]) -> str:
    quantised = sum(map(quantises, operators))
    weights = operators.count(_DEQUANTISING)
    if quantised:
        return (
            f"quantised network: {_nodes(quantised + weights, 'quantised')} on floats of the same values; gradients "
            "pass the rounding straight through and are zero where values saturate"
        )
    return f"quantised weights: {_nodes(weights, 'dequantising')} as the file says" if weights else ""


def _rounding(model: Model, operators: list[str]) -> str:
    casts = sum(node.op == "Cast" and _cuts_off(node, model) for node in model.graph.nodes)
    counts = {"Round": operators.count("Round"), "Cast-to-integer": casts}
    found = " and ".join(_nodes(count, kind) for kind, count in counts.items() if count)
    return f"{found} as the file says; gradients pass straight through" if found else ""


def _cuts_off(cast: Node, model: Model) -> bool:
    """Whether it makes integers of real numbers that gradients get through."""
    known = model.graph.types.get(cast.inputs[0])
    return known is not None and "float" in known.dtype and makes_levels(cast, model.graph)


def _nodes(count: int, kind: str) -> str:
    return f"{count} {kind} node runs" if count == 1 else f"{count} {kind} nodes run"


def _narrow_floats(model: Model) -> str:
    graph = model.proto.graph
    stored = (tensor.data_type for tensor in all_tensors(graph))
    declared = (value.type.tensor_type.elem_type for value in (*graph.input, *graph.output))
    kinds = {*stored, *declared}
    found = [name for kind, name in _NARROW.items() if kind in kinds]
    return f"{' and '.join(found)} network, computed in float32" if found else ""


def _pixels(model: Model) -> str:
    names = sorted(carried_inputs(model.graph))
    kinds = (f"{name} ({model.graph.types[name].dtype})" for name in names)
    return f"integer input {', '.join(kinds)}: gradients are those of its values as real numbers" if names else ""
