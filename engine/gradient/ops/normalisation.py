"""Normalisation layers."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ....importers.errors import InputError
from . import operator


@operator("BatchNormalization", since=9, several=True)
def batch_normalization(
    x: torch.Tensor,
    scale: torch.Tensor,
    bias: torch.Tensor,
    mean: torch.Tensor,
    variance: torch.Tensor,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    training_mode: int = 0,
) -> tuple[torch.Tensor, ...]:
    if training_mode:
        raise InputError("BatchNormalization in training mode: export the model for inference")
    return (F.batch_norm(x, mean, variance, scale, bias, False, 0.0, epsilon),)
