"""What overlay computes, position by position."""

from __future__ import annotations

import numpy as np


def overlay(
    background: np.ndarray,  # [H, W, C]
    patches: np.ndarray,  # [P, h, w, C]
    patches_at: np.ndarray,  # [P, 2]
    at: np.ndarray,  # [P, 2]
    size: tuple[int, int],
    fill: float,
) -> np.ndarray:  # [P, *size, C]
    made = np.full((len(patches), *size, background.shape[2]), fill, background.dtype)
    for position in range(len(patches)):
        whole = background.copy()
        y, x = patches_at[position]
        whole[y : y + patches.shape[1], x : x + patches.shape[2]] = patches[position]
        top, left = at[position]
        rows = slice(max(top, 0), min(top + size[0], whole.shape[0]))
        columns = slice(max(left, 0), min(left + size[1], whole.shape[1]))
        if rows.start < rows.stop and columns.start < columns.stop:
            inside = made[position, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
            inside[...] = whole[rows, columns]
    return made
