"""Correlations of two series of numbers."""

from __future__ import annotations

import numpy as np


def pearson(one: np.ndarray, other: np.ndarray) -> float:
    """-1 to 1; NaN where one of them does not vary, or there are no numbers."""
    if one.size == 0 or not np.ptp(one) or not np.ptp(other):
        return float("nan")
    return float(np.corrcoef(one, other)[0, 1])


def spearman(one: np.ndarray, other: np.ndarray) -> float:
    """The correlation of their ranks, whatever their shape."""
    return pearson(ranks(one), ranks(other))


def ranks(values: np.ndarray) -> np.ndarray:  # any shape -> flat
    """Ranks from 1 on; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse.ravel()]
