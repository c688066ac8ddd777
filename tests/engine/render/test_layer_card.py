"""Cards, strips and landscapes: colours and places by hand."""

from __future__ import annotations

import numpy as np
import pytest
from onnxray.engine.render import colormaps
from onnxray.engine.render.layer_card import MOST_CELLS, Card, layer_card, strip
from onnxray.engine.render.surface import surface
from onnxray.importers.errors import InputError

CARD = Card(
    "conv1", "Conv", (("mean", "1"),), np.arange(4), np.linspace(0, 1, 5), np.full((20, 30, 3), 77, np.uint8), "a note"
)


def colours(picture: object) -> set[tuple[int, int, int]]:
    return {tuple(pixel) for pixel in np.asarray(picture).reshape(-1, 3).tolist()}


def test_strip_has_a_cell_a_value() -> None:
    values = np.arange(250, dtype=np.float32)
    pixels = np.asarray(strip(values))
    cell = pixels.shape[1] // 100
    table = colormaps.table("viridis")
    for index in (0, 99, 100, 249):
        row, column = divmod(index, 100)
        expected = table[round(255 * index / 249)]
        np.testing.assert_array_equal(pixels[row * 32 + 13, column * cell + cell // 2], expected)
    assert (pixels[2 * 32 + 13, 50 * cell :] == 255).all()  # the third row ends after 50 values


def test_strip_of_very_many_values_shows_the_first() -> None:
    values = np.arange(2_000_000, dtype=np.float32)
    assert np.array_equal(np.asarray(strip(values)), np.asarray(strip(values[:MOST_CELLS])))


def test_strip_of_signed_values_is_white_at_zero() -> None:
    pixels = np.asarray(strip(np.array([-4.0, 0.0, 2.0])))
    cell = pixels.shape[1] // 3
    blue, middle, red = (pixels[5, index * cell + 1].astype(int) for index in range(3))
    assert blue[2] > blue[0]
    assert red[0] > red[2]
    assert middle.min() > 240


@pytest.mark.parametrize("shape", [(1, 5, 7), (3, 9, 9), (6, 300, 200), (70, 4, 4), (10, 6), (2, 3, 4, 5), (12,), ()])
def test_values_of_every_rank_have_a_picture(shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).normal(size=shape)
    found = colours(layer_card(values, CARD))
    assert (77, 77, 77) in found  # the input
    assert len(found) > 20


def test_a_tensor_without_values() -> None:
    assert (77, 77, 77) in colours(layer_card(np.zeros((0, 4, 4)), CARD))


def test_only_the_channels_asked_for_are_drawn() -> None:
    values = np.stack([np.full((4, 4), 0.0), np.eye(4), np.full((4, 4), 0.0)])
    yellow = tuple(int(level) for level in colormaps.table("viridis")[255])
    assert yellow in colours(layer_card(values, CARD, [1]))
    assert yellow not in colours(layer_card(values, CARD, [0, 2]))


def test_landscape_shows_the_highest_and_the_lowest_place() -> None:
    plane = np.zeros((12, 16))
    plane[3:9, 4:12] = 1
    found = np.asarray(surface(plane, "a map")).astype(int)
    for level in (0, 255):
        assert (np.abs(found - colormaps.table("viridis")[level].astype(int)).sum(-1) < 60).sum() > 100
    with pytest.raises(ValueError, match=r"\(2, 3, 4\)"):
        surface(np.zeros((2, 3, 4)), "maps")


def test_an_unknown_colour_map() -> None:
    with pytest.raises(InputError, match="no colour map"):
        layer_card(np.zeros((2, 4, 4)), CARD, colormap="rainbow")
