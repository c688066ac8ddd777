"""The definition: windows are laid out, and each output is the sum of products of its channel alone."""

from __future__ import annotations

import numpy as np

from ..overlay.reference import overlay


def convolve(
    background: np.ndarray,  # [H, W, C]
    patches: np.ndarray,  # [P, h, w, C]
    patches_at: np.ndarray,  # [P, 2]
    at: np.ndarray,  # [P, 2]
    size: tuple[int, int],
    weight: np.ndarray,  # [kh, kw, C]
    bias: np.ndarray,  # [C]
    strides: tuple[int, int],
    dilations: tuple[int, int],
    lowest: float,
    highest: float,
) -> np.ndarray:  # [P, *size, C]
    spans = [(count - 1) * stride + 1 for count, stride in zip(size, strides, strict=True)]
    reach = [(taps - 1) * dilation for taps, dilation in zip(weight.shape[:2], dilations, strict=True)]
    read = (spans[0] + reach[0], spans[1] + reach[1])
    windows = overlay(background, patches, patches_at, at, read, 0.0)
    made = np.zeros((len(patches), *size, weight.shape[2]), background.dtype) + bias
    for row, column in np.ndindex(*weight.shape[:2]):
        top, left = row * dilations[0], column * dilations[1]
        seen = windows[:, top : top + spans[0] : strides[0], left : left + spans[1] : strides[1]]
        made += weight[row, column] * seen
    return made.clip(lowest, highest)
