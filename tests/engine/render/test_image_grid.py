"""Image grids: where each value lands, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
from onnxray.engine.render.image_grid import image_grid


def test_every_value_is_where_it_belongs() -> None:
    planes = np.arange(12, dtype=np.float64).reshape(3, 2, 2)
    pixels = np.asarray(image_grid(planes, columns=2, gap=1, scale=3, normalise="shared"))
    expected = np.full((15, 15), 255)
    for index, plane in enumerate(planes):
        top, left = 1 + 7 * (index // 2), 1 + 7 * (index % 2)
        expected[top : top + 6, left : left + 6] = np.kron(np.rint(plane * 255 / 11), np.ones((3, 3)))
    assert (pixels == expected[..., None]).all()


def test_each_plane_has_its_own_range_unless_shared() -> None:
    planes = np.array([[[0.0, 1.0]], [[0.0, 10.0]]])
    own = np.asarray(image_grid(planes, columns=1, gap=0, scale=1))[..., 0]
    shared = np.asarray(image_grid(planes, columns=1, gap=0, scale=1, normalise="shared"))[..., 0]
    assert own.tolist() == [[0, 255], [0, 255]]
    assert shared.tolist() == [[0, 26], [0, 255]]


def test_zero_is_mid_grey_when_centred() -> None:
    pixels = np.asarray(image_grid(np.array([[[-1.0, 0.0, 3.0]]]), gap=0, scale=1, zero_centred=True))[0, :, 0]
    assert pixels.tolist() == [85, 128, 255]


def test_colours_keep_their_ratio() -> None:
    red, grey = [1.0, 0.0, 0.0], [0.5, 0.5, 0.5]
    pixels = np.asarray(image_grid(np.array([[[red, grey]]]), gap=0, scale=1))[0]
    assert pixels.tolist() == [[255, 0, 0], [128, 128, 128]]


def test_bytes_are_colours_already() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), np.uint8)
    pixels = np.asarray(image_grid(photo, columns=2, gap=0, scale=1))
    assert (pixels == np.concatenate(photo, axis=1)).all()


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (4, 2), (20, 5), (32, 8), (64, 8), (96, 12), (7, 3), (13, 4)])
def test_grids_are_nearly_square(count: int, columns: int) -> None:
    assert image_grid(np.zeros((count, 3, 3)), gap=0, scale=1).width == 3 * columns


def test_small_planes_are_enlarged_by_a_whole_factor() -> None:
    width = image_grid(np.zeros((64, 3, 3)), gap=0).width
    assert width % (8 * 3) == 0
    assert width >= 8 * 30


def test_captions_stand_below_their_planes() -> None:
    planes = np.zeros((2, 4, 4))
    plain, captioned = (image_grid(planes, columns=2, gap=6, scale=5, captions=c) for c in (None, ["0", ""]))
    assert captioned.height > plain.height
    below = np.asarray(captioned)[6 + 20 : -6]
    assert below[:, :26].min() < 200 <= below[:, 32:].min()


def test_captions_of_two_lines_have_room_for_both() -> None:
    planes = np.zeros((1, 40, 80))
    one, two = (image_grid(planes, gap=6, scale=1, captions=[words]) for words in ("above", "above\nbelow"))
    more = two.height - one.height
    assert more > 8
    np.testing.assert_array_equal(np.asarray(two)[: 6 + 40 + 12], np.asarray(one)[: 6 + 40 + 12])
    assert np.asarray(two)[-6 - more :].min() < 200  # the second line's letters


def test_a_grid_of_nothing_is_a_picture() -> None:
    assert image_grid(np.zeros((0, 3, 3))).width > 0


@pytest.mark.parametrize("shape", [(4,), (4, 4), (1, 2, 2, 4), (1, 1, 2, 2, 3)])
def test_other_ranks_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected planes"):
        image_grid(np.zeros(shape))


def test_captions_must_match() -> None:
    with pytest.raises(ValueError, match="expected a caption a plane, found 1 for 2"):
        image_grid(np.zeros((2, 3, 3)), captions=["a"])
