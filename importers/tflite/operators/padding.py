"""Borders: of one value, or mirrored."""

from __future__ import annotations

import numpy as np

from ...channels_last import to_first
from ..operator_writer import OperatorWriter

_LARGEST = 1 << 24  # numbers along one axis, or more of them


def pad(op: OperatorWriter) -> None:
    """Of zeros, or of the third input."""
    pads, first = _pads(op)
    value = [op.last(2)] if op.has(2) else []
    op.emit("Pad", [_image(op, first), _listed(op, pads), *value], first=first, moved=not op.has(2))


def mirror(op: OperatorWriter) -> None:
    """What lies inside, turned round; with the border itself (SYMMETRIC) or without it (REFLECT)."""
    pads, first = _pads(op)
    if not op.option("mode"):
        op.emit("Pad", [_image(op, first), _listed(op, pads)], first=first, moved=True, mode="reflect")
        return
    tensor = op.last()
    pads = _paddings(op)
    for axis, (side, (before, after)) in enumerate(zip(op.shape(), pads, strict=True)):
        if before or after:
            if max(before, after) > side or side + before + after > _LARGEST:
                raise op.error(f"borders of {before} and {after} cannot be mirrored from {side} numbers")
            order = np.pad(np.arange(side), (before, after), mode="symmetric")
            tensor = op.add(f"axis{axis}", "Gather", [tensor, op.int_list(f"order{axis}", order.tolist())], axis=axis)
    op.finish(tensor, moved=True)


def _pads(op: OperatorWriter) -> tuple[list[tuple[int, int]], bool]:
    """(before, after) an axis in the order in which the image is there, and whether that is channels first."""
    pads = _paddings(op)
    first = op.tensors.is_first(op.inputs[0])
    return [pads[axis] for axis in to_first(len(pads))] if first else pads, first


def _paddings(op: OperatorWriter) -> list[tuple[int, int]]:
    numbers, rank = op.ints(1), len(op.shape())
    if len(numbers) != 2 * rank or min(numbers, default=0) < 0 or max(numbers, default=0) > _LARGEST:
        raise op.error(f"its paddings {numbers} do not fit {rank} axes")
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _image(op: OperatorWriter, first: bool) -> str:
    return op.first() if first else op.last()


def _listed(op: OperatorWriter, pads: list[tuple[int, int]]) -> str:
    return op.int_list("pads", [pair[0] for pair in pads] + [pair[1] for pair in pads])


OPERATORS = {"PAD": pad, "PADV2": pad, "MIRROR_PAD": mirror}
