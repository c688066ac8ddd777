"""Colour maps: the colours that matplotlib has, ranges, and what is painted for NaN."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
from onnxray.engine.render import colormaps
from onnxray.importers.errors import InputError

_MATPLOTLIB = {"grey": "gray", "viridis": "viridis", "inferno": "inferno", "turbo": "turbo", "diverging": "RdBu_r"}


@pytest.mark.parametrize("name", colormaps.COLORMAPS)
def test_tables_are_matplotlibs(name: str) -> None:
    expected = matplotlib.colormaps[_MATPLOTLIB[name]](np.arange(256))[:, :3] * 255
    assert np.abs(colormaps.table(name) - expected).max() <= 1.5  # one part in 255, and rounding


def test_range_is_the_arrays_own_unless_given() -> None:
    array = np.array([[-1.0, 0.0, 3.0]])
    assert colormaps.apply(array)[0, :, 0].tolist() == [0, 64, 255]
    assert colormaps.apply(array, low=0.0, high=2.0)[0, :, 0].tolist() == [0, 0, 255]


def test_the_middle_of_a_diverging_map_is_zero() -> None:
    colours = colormaps.apply(np.array([[-1.0, 0.0, 4.0, 1.0]]), "diverging")[0].astype(int)
    assert np.ptp(colours[1]) <= 1  # no colour
    assert colours[0, 2] > colours[0, 0]  # blue below
    assert colours[2, 0] > colours[2, 2]  # red above
    assert colours[2, 1] < colours[3, 1]  # the more, the deeper


def test_what_is_not_finite() -> None:
    array = np.array([[np.nan, np.inf, -np.inf, 1.0, 2.0]])
    assert colormaps.apply(array)[0, :, 0].tolist() == [128, 255, 0, 0, 255]
    assert colormaps.apply(np.full((2, 2), np.nan)).tolist() == [[[128] * 3] * 2] * 2
    assert colormaps.apply(np.full((1, 1), 5.0)).tolist() == [[[0, 0, 0]]]


def test_shapes_and_types() -> None:
    assert colormaps.apply(np.zeros((2, 3, 4, 5), np.float16), "viridis").shape == (2, 3, 4, 5, 3)
    assert colormaps.apply(np.array([[0, 255]], np.uint8)).dtype == np.uint8


def test_an_unknown_map_is_named() -> None:
    with pytest.raises(InputError, match="did you mean viridis"):
        colormaps.apply(np.zeros((1, 1)), "virids")
