"""Padding by torch."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ...structure.window_pads import Sides


def symmetric(sides: Sides) -> bool:
    """Whether torch's own padding can do it."""
    return all(begin == end >= 0 for begin, end in sides)


def pad(x: torch.Tensor, sides: Sides, value: float = 0.0) -> torch.Tensor:
    """The last axes widened (or, where negative, cut)."""
    if not any(map(any, sides)):
        return x
    return F.pad(x, [side for pair in reversed(sides) for side in pair], value=value)
