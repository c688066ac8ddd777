"""How convolutions and pools count their borders."""

from __future__ import annotations

from collections.abc import Sequence

Sides = list[tuple[int, int]]  # (begin, end) a spatial axis


def window_pads(
    size: Sequence[int],  # [spatial] of the input
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    pads: Sequence[int] | None,  # [begin …, end …]
    auto_pad: str,
) -> Sides:
    """Explicit pads, whatever way the node states them."""
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        return [_same(*axis, auto_pad == "SAME_LOWER") for axis in zip(size, kernel, strides, dilations, strict=True)]
    if auto_pad == "VALID" or pads is None:
        return [(0, 0)] * len(size)
    return list(zip(pads[: len(size)], pads[len(size) :], strict=True))


def _same(size: int, kernel: int, stride: int, dilation: int, lower: bool) -> tuple[int, int]:
    outputs = -(-size // stride)
    return halved(max(0, (outputs - 1) * stride + (kernel - 1) * dilation + 1 - size), lower)


def halved(total: int, lower: bool) -> tuple[int, int]:
    """A padding shared by both sides; the odd one goes to the begin if `lower`."""
    less, more = total // 2, total - total // 2
    return (more, less) if lower else (less, more)
