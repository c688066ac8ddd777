"""Kernel, stride, dilation and padding of Caffe2, which has several ways to state each."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..graph_builder import Dim
from ..same_padding import same_padding
from .operator_writer import OperatorWriter

NOTSET, VALID, SAME, CAFFE = range(4)  # of legacy_pad


def sides(operator: OperatorWriter, name: str, axes: int, default: int) -> list[int]:
    """A number a spatial axis: from NAMEs, NAME, or NAME_h and NAME_w. Raises InputError for one below 1."""
    values = operator.integers(f"{name}s")
    if operator.has(name):
        values = [operator.integer(name)] * axes
    elif operator.has(f"{name}_h") and operator.has(f"{name}_w"):
        values = [operator.integer(f"{name}_h"), operator.integer(f"{name}_w")]
    values = values or [default] * axes
    if len(values) != axes or min(values) < 1:
        raise operator.error(f"{name}: expected {axes} numbers above 0, found {values}")
    return values


def stated_pads(operator: OperatorWriter, axes: int) -> list[int]:
    """All starts, then all ends. Raises InputError for one below 0."""
    values = operator.integers("pads")
    if operator.has("pad"):
        values = [operator.integer("pad")] * (2 * axes)
    elif all(operator.has(f"pad_{edge}") for edge in "tlbr"):
        values = [operator.integer(f"pad_{edge}") for edge in "tlbr"]
    values = values or [0] * (2 * axes)
    if len(values) != 2 * axes or min(values) < 0:
        raise operator.error(f"pads: expected {2 * axes} numbers, none below 0, found {values}")
    return values


def pads(
    operator: OperatorWriter,
    sizes: Sequence[Dim],
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
) -> list[int]:
    """As `stated_pads`, with what `legacy_pad` makes of them."""
    mode, stated = operator.integer("legacy_pad"), stated_pads(operator, len(kernel))
    if mode == NOTSET:
        return stated
    if mode == VALID:
        return [0] * len(stated)
    known = operator.sizes(sizes)
    if mode == SAME:
        reach = [(side - 1) * step + 1 for side, step in zip(kernel, dilation, strict=True)]
        pairs = [same_padding(*side) for side in zip(known, stride, reach, strict=True)]
    elif mode == CAFFE:
        steps = zip(known, kernel, stride, stated[: len(kernel)], strict=True)
        pairs = [(pad, _caffe_end(size, side, step, pad)) for size, side, step, pad in steps]
    else:
        raise operator.error(f"expected a legacy_pad of 0 to 3, found {mode}")
    return [start for start, _ in pairs] + [end for _, end in pairs]


def _caffe_end(size: int, kernel: int, stride: int, pad: int) -> int:
    """Places behind a side so that windows reach its end, as Caffe's pooling has them; it looks at one pad only."""
    last = math.ceil((size + 2 * pad - kernel) / stride) * stride  # where the last window starts
    if pad and last >= size + pad:
        last -= stride
    return max(last + kernel - size - pad, 0)
