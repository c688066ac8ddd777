"""Operators that read nothing but constants: shapes computed from shapes, weights prepared at every run."""

from __future__ import annotations

import math

import numpy as np
import onnx

from ..errors import InputError
from ..graph_builder import GraphBuilder
from .operator_writer import Layout, OperatorWriter
from .operators import OperatorFunction
from .reader import Operator

_LARGEST = 1 << 24  # numbers in or out
# Take more steps than there are numbers, and no converter leaves one that has nothing but constants.
_SLOW = ("CONV", "POOL", "FULLY_CONNECTED", "BATCH_MATMUL", "RESIZE", "LOCAL_RESPONSE", "TOPK", "ONE_HOT")


def fold(operator: Operator, layout: Layout, function: OperatorFunction) -> bool:
    """Compute the operator's outputs now and store them; False where it reads something else, or is too large.

    It is translated into a graph of its own, which ONNX's reference evaluates: onnxruntime divides as the processor
    does, and a constant chosen badly ends the process.
    """
    if any(word in operator.kind for word in _SLOW):
        return False
    values = {name: _value(layout, name) for name in operator.inputs if name}
    known = {name: value for name, value in values.items() if value is not None}
    if not known or len(known) < len(values) or sum(value.size for value in known.values()) > _LARGEST:
        return False
    scratch = Layout(layout.network, GraphBuilder("folded"), layout.dequantize)
    for name, value in known.items():
        scratch.tensors.store(name, value)
    function(OperatorWriter(operator, scratch))
    results = {name: scratch.tensors.value(name) for name in operator.outputs}
    computed = [name for name, value in results.items() if value is None]
    if computed:
        wanted = [scratch.tensors.last(name) for name in computed]
        sizes = [math.prod(dim if isinstance(dim, int) else _LARGEST for dim in scratch.graph.shape(t)) for t in wanted]
        if sum(sizes) > _LARGEST:
            return False
        results.update(zip(computed, _evaluate(operator, scratch.graph.finish(wanted)), strict=True))
    for name, result in results.items():
        assert result is not None
        layout.tensors.store(name, result)
    return True


def _value(layout: Layout, name: str) -> np.ndarray | None:
    value = layout.tensors.value(name)
    return layout.network.tensors[name].real if value is None else value


def _evaluate(operator: Operator, proto: onnx.ModelProto) -> list[np.ndarray]:
    from onnx.reference import ReferenceEvaluator

    try:
        with np.errstate(all="ignore"):
            return [np.asarray(value) for value in ReferenceEvaluator(proto).run(None, {})]
    except Exception as error:  # whatever NumPy makes of constants that do not fit
        raise InputError(
            f"{operator.kind} {operator.outputs[0]}: cannot be computed of its constants ({error})"
        ) from error
