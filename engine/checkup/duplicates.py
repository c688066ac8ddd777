"""Filters of one convolution that compute the same."""

from __future__ import annotations

import numpy as np

from ..structure.weights import DEAD
from .convolutions import Convolution

COSINE = 0.9999  # from here on two filters point the same way
_BIAS = 0.01  # of the larger bias, or of the layer's usual one: how far two may differ


def duplicates(conv: Convolution) -> list[tuple[tuple[int, ...], float]]:
    """Groups of channels, the first and those that repeat it, each with the least cosine to the first.

    Both weights and bias must agree but for one positive factor. A filter and its negative are no duplicates: behind
    a rectifier one carries what the other cuts off.
    """
    norms, groups = conv.norms, conv.node.attribute("group", 1)
    living = norms > DEAD * norms.max(initial=0)
    units = conv.weights.reshape(len(norms), -1) / np.where(living, norms, 1)[:, None]
    bias = conv.bias / np.where(living, norms, 1)
    usual = float(np.median(np.abs(bias[living]))) if living.any() else 0.0
    found: list[tuple[tuple[int, ...], float]] = []
    for members in np.split(np.arange(len(norms)), groups):  # other groups see other channels
        kept = members[living[members]]
        found += [(tuple(map(int, kept[rows])), cosine) for rows, cosine in _same(units[kept], bias[kept], usual)]
    return found


def _same(units: np.ndarray, bias: np.ndarray, usual: float) -> list[tuple[np.ndarray, float]]:
    """Rows of one group that agree with an earlier one."""
    cosines = units @ units.T
    larger = np.maximum(np.maximum(np.abs(bias[:, None]), np.abs(bias)), usual)
    alike = (cosines > COSINE) & (np.abs(bias[:, None] - bias) <= _BIAS * larger)
    taken = np.zeros(len(units), bool)
    found = []
    for row in range(len(units)):
        rows = np.flatnonzero(alike[row] & ~taken)
        rows = rows[rows >= row]
        if not taken[row] and len(rows) > 1:
            found.append((rows, float(cosines[row, rows].min())))
            taken[rows] = True
    return found
