"""Histograms: bars as tall as the counts say."""

from __future__ import annotations

import numpy as np
from onnxray.engine.render.histogram import Histogram, histograms, sparkline


def _blue(picture: np.ndarray) -> np.ndarray:
    """Where the bars' colour is."""
    return (np.abs(picture.astype(int) - (0x3B, 0x6E, 0xA5)) < 30).all(-1)


def test_bars_are_proportional_to_counts() -> None:
    picture = np.asarray(histograms([("conv1", Histogram(np.array([100, 50, 0, 25]), 0.0, 4.0))]))
    heights = _blue(picture).sum(0)
    columns = np.flatnonzero(heights)
    quarter = (columns.max() - columns.min() + 1) / 4
    middles = [heights[int(columns.min() + (place + 0.5) * quarter)] for place in range(4)]
    assert middles[2] == 0
    assert abs(middles[1] / middles[0] - 0.5) < 0.05
    assert abs(middles[3] / middles[0] - 0.25) < 0.05


def test_a_log_axis_shows_rare_values() -> None:
    found = Histogram(np.array([100000, 1]), 0.0, 1.0)
    plain, log = (_blue(np.asarray(histograms([("a", found)], log=log)))[:, 200:].sum() for log in (False, True))
    assert log > plain + 100


def test_panels_stand_in_rows() -> None:
    panel = ("a very long name of a weight in a deep network", Histogram(np.ones(64), -1e-6, 1e-6))
    assert histograms([panel] * 9, columns=4).size == (4 * 280, 3 * 150)
    assert histograms([panel] * 2, columns=4).size == (2 * 280, 150)


def test_empty_and_constant_arrays_have_a_picture() -> None:
    for counts in (np.zeros(64), np.eye(64)[32]):
        for log in (False, True):
            assert histograms([("", Histogram(counts, -0.5, 0.5))], log=log).size == (280, 170 if log else 150)


def test_sparkline() -> None:
    assert sparkline(np.array([0, 1, 1000, 500]), 4) == " ▁█▄"
    assert sparkline(np.ones(64), 8) == "█" * 8
    assert sparkline(np.zeros(64), 3) == "   "
    assert len(sparkline(np.arange(10), 16)) == 16
