"""Convolutions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F

from . import operator
from .padding import pad, window_pads

_CONVOLUTIONS: dict[int, Callable[..., torch.Tensor]] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


@operator("Conv")
def conv(
    x: torch.Tensor,  # [N, C, …]
    w: torch.Tensor,  # [M, C / group, …]
    b: torch.Tensor | None = None,  # [M]
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> torch.Tensor:
    rank = x.dim() - 2
    strides, dilations = strides or [1] * rank, dilations or [1] * rank
    sides = window_pads(x.shape[2:], w.shape[2:], strides, dilations, pads, auto_pad)
    if any(begin != end for begin, end in sides):  # torch's own padding is symmetric
        x, sides = pad(x, sides), [(0, 0)] * rank
    return _CONVOLUTIONS[rank](x, w, b, strides, [begin for begin, _ in sides], dilations, group)
