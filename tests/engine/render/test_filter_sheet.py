"""Pictures of filters: which filter and channel lands where, and in which colour."""

from __future__ import annotations

import numpy as np
import pytest
from onnxray.engine.render.filter_sheet import MOST_CHANNELS, MOST_FILTERS, filter_grid, filter_sheet, kinds_text
from onnxray.engine.structure.filters import Filters, filter_kinds


def _filters(values: np.ndarray, channels: str = "") -> Filters:
    return Filters("conv1", "conv1.weight", "Conv", "weight", channels, values.astype(np.float32))


def _pixels(found: Filters) -> np.ndarray:
    return np.asarray(filter_grid(found).picture).astype(int)


def test_a_filter_that_reads_red_is_red_in_either_order() -> None:
    values = np.zeros((1, 3, 3, 3))
    values[0, 0] = 1
    assert _pixels(_filters(values, "RGB"))[30, 30].tolist() == [255, 128, 128]
    assert _pixels(_filters(values[:, ::-1], "BGR"))[30, 30].tolist() == [255, 128, 128]


def test_a_dead_filter_is_flat() -> None:
    values = np.random.default_rng(0).normal(size=(2, 3, 3, 3))
    values[0] *= 1e-7
    picture = _pixels(_filters(values, "RGB"))
    assert (picture[:63, :63] == 128).all()
    assert np.ptp(picture[:63, 71:134]) > 200


def test_deeper_layers_show_the_strongest_filters_and_channels() -> None:
    values = np.random.default_rng(0).normal(size=(50, 40, 3, 3)) * 0.01
    strong_filters, strong_channels = np.arange(0, 40, 2), np.arange(3, 35, 2)
    values[np.ix_(strong_filters, strong_channels)] += 1
    grid = filter_grid(_filters(values))
    assert f"the {MOST_FILTERS} strongest of 50" in grid.note
    assert f"the {MOST_CHANNELS} strongest of 40" in grid.note
    planes = np.asarray(grid.picture)[25:, 45:][::47, ::47]  # the first pixel of each plane: 42 pixels and a gap of 5
    assert planes.shape[:2] == (MOST_FILTERS, MOST_CHANNELS)
    assert planes.min() > 200  # every plane shown is one of the strong ones


def test_a_row_has_one_range() -> None:
    values = np.array([[2.0, -1.0], [0.5, 0.25]])[:, :, None, None] * np.ones((1, 1, 3, 3))
    planes = _pixels(_filters(values))[25:, 45:][::47, ::47][..., 0]
    assert planes.tolist() == [[255, 64], [255, 191]]


def test_small_layers_are_shown_whole() -> None:
    grid = filter_grid(_filters(np.ones((4, 2, 5, 5))))
    assert "all 4" in grid.note
    assert "all 2" in grid.note


@pytest.mark.parametrize(("count", "told"), [(12, "all 12 filters"), (300, "the first 256 of 300 filters")])
def test_filters_of_one_plane(count: int, told: str) -> None:
    assert told in filter_grid(_filters(np.random.default_rng(0).normal(size=(count, 1, 3, 3)))).note


def test_matrices_are_blue_below_zero_and_red_above() -> None:
    picture = _pixels(_filters(np.array([[1.0, -1.0], [0.0, 1.0]])[:, :, None, None]))
    above, below, zero = picture[0, 0], picture[0, -1], picture[-1, 0]
    assert above[0] > above[2]
    assert below[2] > below[0]
    assert zero.min() > 240
    note = filter_grid(_filters(np.ones((1000, 800, 1, 1)))).note
    assert "the first 256 of 1000" in note
    assert "the first 512 of 800" in note


def test_nothing_in_it_is_a_picture() -> None:
    for shape in ((0, 3, 3, 3), (2, 0, 1, 1), (3, 4, 1, 1), (3, 4, 3, 3)):
        assert filter_sheet(_filters(np.zeros(shape))).width > 0
    assert filter_sheet(_filters(np.full((3, 4, 1, 1), np.nan))).width > 0


@pytest.mark.parametrize("channels", ["RGB", ""])
@pytest.mark.parametrize("side", [1, 3])
def test_what_is_not_finite_is_mid_grey(channels: str, side: int) -> None:
    values = np.random.default_rng(0).normal(size=(4, 3, side, side))
    values[0], values[1, 0], values[2, 1, 0, 0] = np.inf, np.nan, -np.inf
    found = _filters(values, channels)
    assert filter_sheet(found, filter_kinds(found)).width > 0
    if channels:
        assert (_pixels(found)[:60, :60] == 128).all()


def test_the_sheet_tells_the_kinds() -> None:
    values = np.random.default_rng(0).normal(size=(4, 3, 3, 3))
    values[:2, :] = values[:2, :1]  # two grey ones
    values[2] = [[[1]], [[-1]], [[0]]] * values[2, :1]
    values[3] = 0
    found = _filters(values, "RGB")
    kinds = filter_kinds(found)
    assert kinds is not None
    text = kinds_text(kinds)
    assert text.startswith("grey 67 %, coloured 33 %")
    assert text.endswith("of 3 filters; 1 dead")
    assert filter_sheet(found, kinds).height == filter_sheet(found).height + 20
    grey = filter_kinds(_filters(values[:, :1], "GREY"))
    assert grey is not None
    assert kinds_text(grey).startswith("oriented")
