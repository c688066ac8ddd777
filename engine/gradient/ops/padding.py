"""How convolutions and pools count their borders."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F


def window_pads(
    size: Sequence[int],  # [spatial] of the input
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    pads: Sequence[int] | None,  # [begin …, end …]
    auto_pad: str,
) -> list[tuple[int, int]]:  # (begin, end) a spatial axis
    """Explicit pads, whatever way the node states them."""
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        return [_same(*axis, auto_pad == "SAME_LOWER") for axis in zip(size, kernel, strides, dilations, strict=True)]
    if auto_pad == "VALID" or pads is None:
        return [(0, 0)] * len(size)
    return list(zip(pads[: len(size)], pads[len(size) :], strict=True))


def _same(size: int, kernel: int, stride: int, dilation: int, lower: bool) -> tuple[int, int]:
    outputs = -(-size // stride)
    total = max(0, (outputs - 1) * stride + (kernel - 1) * dilation + 1 - size)
    less, more = total // 2, total - total // 2
    return (more, less) if lower else (less, more)


def pad(x: torch.Tensor, pads: Sequence[tuple[int, int]], value: float = 0.0) -> torch.Tensor:
    """The last axes widened (or, where negative, cut)."""
    return F.pad(x, [side for pair in reversed(pads) for side in pair], value=value)
