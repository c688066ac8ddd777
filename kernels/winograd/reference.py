"""The definition: each output is the sum of products of the weight and the 3 x 3 places that it covers."""

from __future__ import annotations

import numpy as np


def convolve(
    x: np.ndarray,  # [N, H, W, C]
    weight: np.ndarray,  # [M, C, 3, 3]
    bias: np.ndarray,  # [M]
    padding: tuple[int, int, int, int],  # zeros above, left, below, right
    lowest: float,
    highest: float,
) -> np.ndarray:  # [N, H + above + below - 2, W + left + right - 2, M]
    above, left, below, right = padding
    padded = np.pad(x, ((0, 0), (above, below), (left, right), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))  # [N, H', W', C, 3, 3]
    return np.clip(np.einsum("nhwcij,mcij->nhwm", windows, weight, optimize=True) + bias, lowest, highest)
