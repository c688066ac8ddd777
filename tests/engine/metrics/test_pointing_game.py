"""The pointing game: hits and misses that can be seen, in pixels of the pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from explained_networks import LINEAR, inputs, network
from model_specs import load_model
from onnxray.engine.images import read_image
from onnxray.engine.methods.attribution import Attribution
from onnxray.engine.methods.grad_cam import grad_cam
from onnxray.engine.methods.saliency import saliency
from onnxray.engine.metrics.pointing_game import PointedClass, mask_of_boxes, pointing_game
from onnxray.engine.model import Model
from onnxray.importers.errors import InputError

Shared = Callable[[str], Path]

SIZE = (60, 140)  # of the pictures: the network's 6 x 7 pixels are 10 x 20 of them


def pointing(*places: tuple[int, int]) -> tuple[Model, Attribution]:
    """A network and maps with their largest value there, y and x in the network's pixels."""
    model = network(LINEAR)
    pictures = np.random.default_rng(0).integers(0, 256, (len(places), *SIZE, 3), np.uint8)
    found = saliency(model, pictures, target=1)
    maps = np.zeros_like(found.maps)
    for row, place in enumerate(places):
        maps[row][place] = 1
    return model, replace(found, maps=maps)


@pytest.mark.parametrize(("tolerance", "hits"), [(0, 1), (14, 1), (16, 2), (40, 3)])
def test_tolerance_in_pixels_of_the_picture(tolerance: float, hits: int) -> None:
    """The middle of the network's pixel (y, x) is at 10 y + 4.5, 20 x + 9.5, the box's corner at 54.5, 34.5."""
    model, found = pointing((1, 2), (2, 3), (4, 4))
    mask = mask_of_boxes([(0, 0, 55, 35)], SIZE)
    result = pointing_game(model, found, [mask] * 3, tolerance=tolerance)
    np.testing.assert_allclose(result.points, [(49.5, 14.5), (69.5, 24.5), (89.5, 44.5)], atol=1e-3)
    np.testing.assert_allclose(result.distances, [0, 15, np.hypot(35, 10)], atol=1e-3)
    assert result.classes == (PointedClass("class 1", 3, hits),)
    assert result.accuracy == pytest.approx(hits / 3)


@pytest.mark.parametrize("resize", ["stretch", "crop"])
@pytest.mark.parametrize("place", [(21, 55), (33, 70), (40, 88)])
def test_the_point_is_where_the_picture_has_it(resize: str, place: tuple[int, int]) -> None:
    """A bright spot of the picture, found again through the largest of the network's inputs."""
    model = network(LINEAR)
    model.spec = model.spec.override("test", resize=resize)
    picture = np.zeros((1, *SIZE, 3), np.uint8)
    picture[0, place[0] - 2 : place[0] + 3, place[1] - 2 : place[1] + 3] = 255
    found = saliency(model, picture, target=1)
    found = replace(found, maps=inputs(model, picture).sum(1))
    (point,) = pointing_game(model, found, [np.ones(SIZE)]).points
    height, width = (8.75, 8.75) if resize == "crop" else (10, 20)  # of one of the network's pixels
    assert abs(point[0] - place[1]) <= width / 2 + 1 and abs(point[1] - place[0]) <= height / 2 + 1


def test_classes_count_alike_and_flat_maps_miss() -> None:
    model, found = pointing((0, 0), (0, 0), (0, 0), (5, 6))
    maps = found.maps.copy()
    maps[2] = 0
    found = replace(found, maps=maps, targets=("cat", "cat", "cat", "dog"))
    near, far = mask_of_boxes([(0, 0, 9, 9)], SIZE), mask_of_boxes([(100, 40, 139, 59), (0, 58, 3, 60)], SIZE)
    result = pointing_game(model, found, [near, far, near, far])
    assert result.classes == (PointedClass("cat", 3, 1), PointedClass("dog", 1, 1))
    assert result.accuracy == pytest.approx((1 / 3 + 1) / 2)
    assert np.isinf(result.distances[2])


def test_masks_of_boxes() -> None:
    mask = mask_of_boxes([(1, 0, 3, 2), (4, 3, 5, 4)], (4, 5))
    expected = np.zeros((4, 5), bool)
    expected[0:2, 1:3] = expected[3, 4] = True
    np.testing.assert_array_equal(mask, expected)
    assert not mask_of_boxes([], (2, 2)).any()


def test_bad_input() -> None:
    model, found = pointing((0, 0), (1, 1))
    with pytest.raises(InputError, match="expected a mask for each of 2 rows, found 1"):
        pointing_game(model, found, [np.ones(SIZE)])
    with pytest.raises(InputError, match=r"masks \[h, w\] that are not empty, found \[60, 140\] for row 2"):
        pointing_game(model, found, [np.ones(SIZE), np.zeros(SIZE)])


# Photo, class and the thing's box as I see it: left, top, right, bottom as shares of the picture.
SEEN = [
    ("dog.jpg", "malamute", (0.17, 0.38, 0.40, 0.94)),
    ("dog.jpg", "mountain bike", (0.15, 0.20, 0.75, 0.75)),
]


def test_grad_cam_points_at_the_things_and_its_negative_does_not(shared: Shared) -> None:
    model = load_model(shared, "models/derived/squeezenet1.1.onnx")
    for photo, target, shares in SEEN:
        path = shared(f"data/detection_photos/{photo}")
        height, width = read_image(path).shape[:2]
        box = np.array(shares) * (width, height, width, height)
        found = grad_cam(model, path, target=target)
        mask = mask_of_boxes([tuple(box)], (height, width))
        assert pointing_game(model, found, [mask]).accuracy == 1
        away = replace(found, maps=np.roll(found.maps, (113, 113), (1, 2)))
        assert pointing_game(model, away, [mask]).accuracy == 0
