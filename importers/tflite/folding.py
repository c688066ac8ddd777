"""Operators that read nothing but constants: shapes computed from shapes, weights prepared at every run."""

from __future__ import annotations

import math

import numpy as np

from ..certificate import run_onnx
from ..graph_builder import GraphBuilder
from .operator_writer import Layout, OperatorWriter
from .operators import OperatorFunction
from .reader import Operator

_LARGEST = 1 << 24  # numbers in or out


def fold(operator: Operator, layout: Layout, function: OperatorFunction) -> bool:
    """Compute the operator's outputs now and store them; False where it reads something else, or is too large.

    It is translated into a graph of its own, which onnxruntime runs.
    """
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
        found = run_onnx(scratch.graph.finish(wanted), {}, wanted)
        results.update({name: found[tensor] for name, tensor in zip(computed, wanted, strict=True)})
    for name, result in results.items():
        assert result is not None
        layout.tensors.store(name, result)
    return True


def _value(layout: Layout, name: str) -> np.ndarray | None:
    value = layout.tensors.value(name)
    return layout.network.tensors[name].real if value is None else value
