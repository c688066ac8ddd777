"""Sequences in which only some steps count, for operators that know nothing of it but lengths.

The steps that count are moved to the front of each sequence, what an operator makes of them is moved back: where a
step does not count, Keras repeats what the step before gave, or has zeros.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from ..layer_writer import LayerWriter


@dataclass(frozen=True)
class Masked:
    """A sequence's mask, prepared."""

    mask: str  # [N, T] of true and false
    lengths: str  # [N], int32: how many steps count
    front: str  # [N, T, K]: those first
    numbers: str  # [N, T]: 1 where a step counts
    counted: str  # [N, T]: how many do up to and with this one


def to_front(layer: LayerWriter, x: str, mask: str) -> Masked:
    """x [N, T, K] with the steps that count first, in their order."""
    numbers = layer.add("mask_numbers", "Cast", [mask], to=TensorProto.INT64)
    counted = layer.add("mask_counted", "CumSum", [numbers, layer.constant("mask_axis", 1, np.int64)])
    total = layer.add("mask_total", "ReduceSum", [numbers, layer.ints("mask_axes", [1])], keepdims=0)
    lengths = layer.add("mask_lengths", "Cast", [total], to=TensorProto.INT32)
    steps = layer.add("mask_steps", "Shape", [mask], start=1, end=2)
    floats = layer.add("mask_floats", "Cast", [mask], to=TensorProto.FLOAT)
    order = layer.graph.temporary(f"{layer.name}/mask_order")
    # Of equal numbers TopK takes the earlier ones first.
    top = layer.graph.temporary(f"{layer.name}/mask_sorted")
    layer.graph.node("TopK", [floats, steps], [top, order], name=f"{layer.name}/mask_order")
    return Masked(mask, lengths, _gathered(layer, "front", x, order), numbers, counted)


def spread(layer: LayerWriter, role: str, masked: Masked, steps: str, *, backward: bool, zeros: bool) -> str:
    """steps [N, T, K] of what counts, in the order of time, at their own places again.

    Elsewhere what came before, in the direction of the run, or `zeros`; nothing came before the first that counts.
    """
    if backward:
        index = layer.add(f"{role}index", "Sub", [masked.counted, masked.numbers])
        total = layer.add(f"{role}total", "ReduceSum", [masked.numbers, layer.ints("mask_axes", [1])], keepdims=1)
        seen = layer.add(f"{role}seen", "Less", [index, total])
    else:
        before = layer.add(f"{role}before", "Sub", [masked.counted, layer.constant("one", 1, np.int64)])
        index = layer.add(f"{role}index", "Max", [before, layer.constant("zero", 0, np.int64)])
        seen = layer.add(f"{role}seen", "Greater", [masked.counted, layer.constant("none", 0, np.int64)])
    found = _gathered(layer, f"{role}spread", steps, index)
    wide = layer.add(f"{role}shown", "Unsqueeze", [masked.mask if zeros else seen, layer.ints("last", [2])])
    return layer.add(f"{role}masked", "Where", [wide, found, layer.constant("nothing", 0)])


def _gathered(layer: LayerWriter, role: str, x: str, index: str) -> str:
    """x [N, T, K] at the steps that index [N, T] says."""
    wide = layer.add(f"{role}_index", "Unsqueeze", [index, layer.ints("last", [2])])
    return layer.add(role, "GatherND", [x, wide], batch_dims=1)
