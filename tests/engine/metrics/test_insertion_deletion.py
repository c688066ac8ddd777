"""Insertion and deletion against the paper's algorithm, pixel by pixel, and on photos."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from explained_networks import CURVED, PICTURES, inputs, network, values
from model_specs import load_model
from onnxray.engine.methods.grad_cam import grad_cam
from onnxray.engine.methods.saliency import saliency
from onnxray.engine.metrics.insertion_deletion import insertion_deletion, removal_order
from onnxray.engine.model import Model
from onnxray.engine.targets import Channel, Function, Mask
from onnxray.importers.errors import InputError

Shared = Callable[[str], Path]

PIXELS = 6 * 7


def by_hand(
    model: Model, order: np.ndarray, start: np.ndarray, end: np.ndarray, kind: int, steps: int
) -> tuple[list[float], float]:
    """Algorithm 1: pixels of `start` become those of `end`, the best first; one image [1, C, H, W] after the other."""
    current, curve = start.copy(), []
    places = [int(np.flatnonzero(order.ravel() == rank)[0]) for rank in range(PIXELS)]
    for step in range(steps + 1):
        for place in places[round((step - 1) / steps * PIXELS) if step else 0 : round(step / steps * PIXELS)]:
            y, x = divmod(place, 7)
            current[0, :, y, x] = end[0, :, y, x]
        curve.append(values(model, current, "scores")[0, kind])
    area = sum((before + after) / 2 / steps for before, after in pairwise(curve))
    return curve, area


@pytest.mark.parametrize("steps", [1, 5, PIXELS])
def test_the_algorithm_pixel_by_pixel(steps: int) -> None:
    model = network()
    found = saliency(model, PICTURES)
    result = insertion_deletion(model, found, PICTURES, steps=steps, baseline="black")
    black = inputs(model, np.zeros_like(PICTURES))
    for row, image in enumerate(inputs(model)):
        kind = values(model, image[None], "logits").argmax()
        order = removal_order(found.maps[row], 0)
        curve, area = by_hand(model, order, image[None], black[:1], kind, steps)
        np.testing.assert_allclose(result.deletion[row], curve, rtol=1e-5)
        np.testing.assert_allclose(result.deletion_auc[row], area, rtol=1e-5)
        curve, area = by_hand(model, order, black[:1], image[None], kind, steps)
        np.testing.assert_allclose(result.insertion[row], curve, rtol=1e-5)
        np.testing.assert_allclose(result.insertion_auc[row], area, rtol=1e-5)
        assert result.scored[row] == f"probability of class {kind}"


def test_the_order_falls_and_equal_values_are_mixed() -> None:
    maps = np.random.default_rng(1).integers(0, 3, (40, 30)).astype(np.float32)
    order = removal_order(maps, 0)
    assert sorted(order.ravel()) == list(range(maps.size))
    assert (np.diff(maps.ravel()[order.ravel().argsort()]) <= 0).all()
    upper = order[:20][maps[:20] == 0].mean(), order[20:][maps[20:] == 0].mean()
    assert abs(upper[0] - upper[1]) < 60  # of 400 places that they share
    assert (order == removal_order(maps, 0)).all() and (order != removal_order(maps, 1)).any()


def test_the_class_is_the_one_of_the_whole_image() -> None:
    """On the way other classes come first; the curve stays with the one that was explained."""
    model = network()
    found = saliency(model, PICTURES)
    result = insertion_deletion(model, found, PICTURES, steps=7)
    assert found.probabilities is not None
    np.testing.assert_allclose(result.deletion[:, 0], found.probabilities, rtol=1e-5)
    np.testing.assert_allclose(result.insertion[:, -1], found.probabilities, rtol=1e-5)
    black = values(model, inputs(model, np.zeros_like(PICTURES)), "scores")
    kinds = [int(label.split()[-1]) for label in found.targets]
    np.testing.assert_allclose(result.deletion[:, -1], black[range(3), kinds], rtol=1e-5)


@pytest.mark.parametrize(
    "target",
    [Channel("relu1", 2), Function("relu2", lambda value: value.amax((1, 2, 3))), Mask("relu2", 1), [1, None, "relu2"]],
    ids=["channel", "function", "mask", "several"],
)
def test_any_target(target: object) -> None:
    model = network()
    found = saliency(model, PICTURES[1:], target=target)  # type: ignore[arg-type]
    result = insertion_deletion(model, found, PICTURES[1:], target=target, steps=4)  # type: ignore[arg-type]
    probabilities = values(model, inputs(model, PICTURES[1:]), "scores")
    expected = [
        probabilities[row // 3, int(label[-1])] if label.startswith("class") else found.scores[row]
        for row, label in enumerate(found.targets)
    ]
    np.testing.assert_allclose(result.deletion[:, 0], expected, rtol=1e-4)
    assert result.deletion.shape == (len(found.images), 5)


@pytest.mark.parametrize("batch", ["1", "4"])
def test_networks_of_fixed_batch_size_and_budgets_change_nothing(batch: str) -> None:
    free, fixed = network(), network(CURVED.replace("[N,", f"[{batch},"))
    expected = insertion_deletion(free, saliency(free, PICTURES), PICTURES, steps=20)
    for model, memory in ((fixed, None), (free, "8GB")):
        found = insertion_deletion(model, saliency(model, PICTURES), PICTURES, steps=20, memory=memory)
        np.testing.assert_allclose(found.deletion, expected.deletion, rtol=1e-4)
        np.testing.assert_allclose(found.insertion, expected.insertion, rtol=1e-4)


def test_channels_last() -> None:
    text = CURVED.replace("float[N, 3, 6, 7] image", "float[N, 6, 7, 3] image").replace(
        "conv1 = Conv <pads = [1, 1, 1, 1]> (image",
        "planes = Transpose <perm = [0, 3, 1, 2]> (image)  conv1 = Conv <pads = [1, 1, 1, 1]> (planes",
    )
    model, first = network(text), network()
    model.spec = model.spec.override("test", layout="NHWC")
    found = insertion_deletion(model, saliency(model, PICTURES), PICTURES, steps=9)
    expected = insertion_deletion(first, saliency(first, PICTURES), PICTURES, steps=9)
    np.testing.assert_allclose(found.insertion, expected.insertion, rtol=1e-4)


def test_progress_counts_images() -> None:
    model, seen = network(), []
    found = saliency(model, PICTURES)
    insertion_deletion(model, found, PICTURES, steps=2, progress=lambda *counts: seen.append(counts))
    assert seen == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (PICTURES, {"steps": 0}, "steps expects a whole number of at least 1, found 0"),
        (PICTURES, {"baseline": "white"}, "baseline"),
        (PICTURES[:2], {}, "expected the images and targets of 3 rows, found those of 2"),
        (np.concatenate([PICTURES, PICTURES]), {}, "expected the images and targets of 3 rows, found more"),
        (PICTURES, {"target": Channel("relu1", 0)}, "row 1 explains class . in image#0, found relu1, channel 0 in"),
    ],
)
def test_bad_input(images: np.ndarray, options: dict[str, object], message: str) -> None:
    model = network()
    with pytest.raises(InputError, match=message):
        insertion_deletion(model, saliency(model, PICTURES), images, **options)  # type: ignore[arg-type]


def test_grad_cam_on_photos_beats_the_same_map_elsewhere(shared: Shared) -> None:
    """Its own areas against those of its maps moved around the edges. Maps of noise are beaten by insertion only:
    black pixels strewn over an image bring its score down as fast as the loss of the thing does."""
    model = load_model(shared, "models/derived/squeezenet1.1.onnx")
    photos = [shared(f"data/{name}") for name in ("skimage_images/coffee.png", "detection_photos/eagle.jpg")]
    found = grad_cam(model, photos)
    noise = np.random.default_rng(0).random(found.maps.shape, np.float32)
    height, width = found.maps.shape[1:]
    elsewhere = np.roll(found.maps, (height // 2, width // 2), (1, 2))
    true, moved, random = (
        insertion_deletion(model, replace(found, maps=maps), photos, steps=20)
        for maps in (found.maps, elsewhere, noise)
    )
    assert (true.deletion_auc < moved.deletion_auc / 2).all()
    assert (true.insertion_auc > 2 * moved.insertion_auc).all()
    assert (true.insertion_auc > 2 * random.insertion_auc).all()
