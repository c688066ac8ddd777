"""Sums, means and the like along axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..layer_writer import LayerWriter

_OPERATIONS = (
    *("ReduceSum", "ReduceL1", "ReduceSumSquare", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd"),
    *("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp"),
)


def reduction(layer: LayerWriter) -> None:
    """Along some axes or all, times a factor; of all it leaves one number."""
    op = layer.choice(0, dict(enumerate(_OPERATIONS)), "operation")
    rank = len(layer.blob_shape())
    axes = sorted({layer.blob_axis(axis) for axis in layer.wholes(3)})
    if axes and not layer.whole(5):
        raise layer.error("the file is of an NCNN that counted axes otherwise; make it again, as NCNN asks, too")
    if layer.whole(1, 1) or not axes:
        axes = list(range(1, rank + 1))
    keep = bool(layer.whole(4))
    whole = len(axes) == rank and not keep
    factor = layer.number(2, 1.0)
    inputs = list(layer.inputs)
    attributes: dict[str, Any] = {"keepdims": int(keep or whole)}
    if op == "ReduceSum":
        inputs.append(layer.ints("axes", axes))
    else:
        attributes["axes"] = axes
    steps: list[tuple[str, list[str]]] = []
    if whole and rank > 1:
        steps.append(("Reshape", [layer.ints("one", [0, 1])]))
    if factor != 1:
        steps.append(("Mul", [layer.constant("factor", factor)]))
    if not steps:
        layer.emit(op, inputs, **attributes)
        return
    tensor = layer.first(op, inputs, then="result", **attributes)
    for role, (kind, others) in enumerate(steps[:-1]):
        tensor = layer.add(f"step{role}", kind, [tensor, *others])
    layer.emit(steps[-1][0], [tensor, *steps[-1][1]])


def cumulative_sum(layer: LayerWriter) -> None:
    """Running sum along an axis."""
    axis = layer.constant("axis", layer.blob_axis(layer.whole(0)), np.int64)
    layer.emit("CumSum", [layer.inputs[0], axis])


LAYERS: dict[str, Callable[[LayerWriter], None]] = {"CumulativeSum": cumulative_sum, "Reduction": reduction}
