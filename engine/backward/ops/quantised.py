"""Quantising and dequantising: gradients go straight through the rounding and stop where a level saturates, as in
engine/gradient/ops/levels.py."""

from __future__ import annotations

import numpy as np

from ..step import Backward, Gradients, Step, Unsupported

_LEVELS = {np.dtype(name): np.iinfo(name) for name in ("uint8", "int8", "uint16", "int16")}


def _quantised(step: Step) -> Gradients:
    """Of levels x / scale + zero."""
    zero, write = step.constant(2), step.write
    dtype = np.dtype(step.graph.types[step.y].dtype)
    if dtype not in _LEVELS:
        raise Unsupported(f"levels of type {dtype}")
    moved = np.zeros(1, np.float32) if zero is None else zero.astype(np.float32)
    scale = _along(step, step.constant(1))
    steps, low, high = write("Div", step.x, scale), _LEVELS[dtype].min - moved, _LEVELS[dtype].max - moved
    above = write("GreaterOrEqual", steps, _along(step, low))
    inside = write("And", above, write("LessOrEqual", steps, _along(step, high)))
    return [step.where(inside, write("Div", step.gradient, scale))]


def _dequantised(step: Step) -> Gradients:
    return [step.write("Mul", step.gradient, _along(step, step.constant(1)))]


def _along(step: Step, values: np.ndarray | None) -> str:
    """One for all, or one for each index of an axis."""
    assert values is not None
    if values.ndim > 1 or step.attribute("block_size", 0):
        raise Unsupported("blocks")
    shape = [1] * len(step.shape(step.x))
    if values.size > 1:
        shape[step.attribute("axis", 1)] = -1
    return step.write.constant(values.astype(np.float32).reshape(shape))


TABLE: dict[str, Backward] = {"QuantizeLinear": _quantised, "DequantizeLinear": _dequantised}
