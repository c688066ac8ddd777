"""Pooling."""

from __future__ import annotations

import torch

from . import operator


@operator("GlobalAveragePool")
def global_average_pool(x: torch.Tensor) -> torch.Tensor:
    return x.mean(tuple(range(2, x.dim())), keepdim=True)
