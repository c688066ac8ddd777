"""Heat maps: which colour each pixel gets, and where the picture shows through."""

from __future__ import annotations

import numpy as np
import pytest
from onnxray.engine.render import colormaps
from onnxray.engine.render.heatmap import Heat, heat_sheet

PICTURE = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)


def test_strength_runs_to_the_largest_value() -> None:
    values = np.arange(20.0).reshape(4, 5)
    np.testing.assert_allclose(Heat(PICTURE, values, percentile=100).strength, values / 19)
    half = Heat(PICTURE, values, percentile=50).strength
    np.testing.assert_allclose(half, np.minimum(values / 9.5, 1))


def test_signed_values_keep_their_sign() -> None:
    values = np.linspace(-4, 2, 20).reshape(4, 5)
    heat = Heat(PICTURE, values, signed=True, percentile=100)
    np.testing.assert_allclose(heat.strength, values / 4)
    assert (heat.colours[0, 0] == colormaps.table("diverging")[0]).all()
    assert (Heat(PICTURE, values, percentile=100).strength[values < 0] == 0).all()


def test_colours_are_the_maps() -> None:
    values = np.array([[0.0, 1.0]])
    heat = Heat(np.zeros((1, 2, 3), np.uint8), values, percentile=100)
    assert heat.colours.tolist() == [[colormaps.table("inferno")[i].tolist() for i in (0, 255)]]
    green = Heat(heat.picture, values, percentile=100, colormap="viridis")
    assert green.colours.tolist() == [[colormaps.table("viridis")[i].tolist() for i in (0, 255)]]


def test_the_picture_shows_through_in_grey_where_the_map_is_weak() -> None:
    values = np.zeros((4, 5))
    values[2, 3] = 1
    overlay = Heat(PICTURE, values, percentile=100).overlay.astype(float)
    grey = np.repeat(PICTURE.mean(-1, keepdims=True), 3, -1)
    np.testing.assert_allclose(overlay[values == 0], grey[values == 0], atol=0.5)
    last = colormaps.table("inferno")[255]
    np.testing.assert_allclose(overlay[2, 3], 0.35 * grey[2, 3] + 0.65 * last, atol=0.51)


@pytest.mark.parametrize("values", [np.zeros((4, 5)), np.full((4, 5), np.nan), np.full((4, 5), np.inf)])
def test_maps_of_nothing(values: np.ndarray) -> None:
    heat = Heat(PICTURE, values)
    assert (heat.strength == 0).all()
    np.testing.assert_allclose(heat.overlay, np.repeat(PICTURE.mean(-1, keepdims=True), 3, -1), atol=0.5)


def test_the_colours_extent_has_its_units() -> None:
    values = np.linspace(-4, 2, 20).reshape(4, 5)
    assert Heat(PICTURE, values, signed=True, percentile=100).extent("score") == "-4 to 4 score"
    assert Heat(PICTURE, values / 1000, percentile=100).extent("") == "0 to 0.004"


def test_a_sheet_has_a_row_an_image() -> None:
    large = np.repeat(np.repeat(PICTURE, 60, 0), 60, 1)  # about the size at which nothing is enlarged
    heats = [Heat(large, np.random.default_rng(seed).random((240, 300))) for seed in (0, 1)]
    captions = [["name", "class", "score"]] * 2
    sheet = np.asarray(heat_sheet(heats, captions, "title", "subtitle", ("0", "most", "own scale")))
    shown = [plane for heat in heats for plane in (heat.picture, heat.colours, heat.overlay)]
    found = [np.argwhere((sheet[:, :, None] == plane[0, 0]).all(-1)) for plane in shown]
    for plane, places in zip(shown, found, strict=True):
        corners = [tuple(place[:2]) for place in places]
        assert any(np.array_equal(sheet[y : y + 240, x : x + 300], plane) for y, x in corners)
