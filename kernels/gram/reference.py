"""Gram matrices by their definition."""

from __future__ import annotations

import numpy as np


def gram(
    x: np.ndarray,  # [N, C, L]
    divisor: float,
) -> np.ndarray:  # [N, C, C]
    """X Xᵀ / divisor of each image: how much every two channels are active at the same places."""
    wide = x.astype(np.float64)
    return (wide @ wide.transpose(0, 2, 1) / divisor).astype(x.dtype)
