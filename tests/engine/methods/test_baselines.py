"""Baselines as the network takes them, against their pixels by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny_models
from onnxray.engine.images import prepare
from onnxray.engine.methods.baselines import baseline_inputs
from onnxray.engine.model import Model

TEXT = """
<ir_version: 8, opset_import: ["" : 17]>
any (float[N, 3, 40, 60] image) => (float[N, 3, 40, 60] same)
{
    same = Relu (image)
}
"""
LAST = TEXT.replace("[N, 3, 40, 60]", "[N, 40, 60, 3]")
MEAN, SCALE = np.array([120.0, 110.0, 100.0], np.float32), np.array([1 / 60, 1 / 50, 1 / 40], np.float32)
PICTURES = np.random.default_rng(0).integers(0, 256, (2, 40, 60, 3), dtype=np.uint8)


def network(order: str = "RGB", layout: str = "NCHW") -> Model:
    model = Model(tiny_models.model(TEXT if layout == "NCHW" else LAST), Path("any.onnx"))
    options = {"mean": tuple(MEAN.tolist()), "scale": tuple(SCALE.tolist()), "resize": "stretch"}
    model.spec = model.spec.override("test", channel_order=order, layout=layout, **options)
    return model


def batch_of(model: Model) -> np.ndarray:
    return np.concatenate([prepare(picture, model.spec, model.input_shapes["image"]) for picture in PICTURES])


def pixels(model: Model, baseline: str | float | np.ndarray, seed: int = 0) -> np.ndarray:  # [2, 40, 60, 3] RGB
    """The inputs made of the baseline, back in pixels by hand."""
    found = baseline_inputs(model, batch_of(model), baseline, seed)
    found = found if model.spec.layout == "NHWC" else found.transpose(0, 2, 3, 1)
    levels = found / SCALE + MEAN
    return levels[..., ::-1] if model.spec.channel_order == "BGR" else levels


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("order", ["RGB", "BGR"])
def test_in_pixels_whatever_the_network_takes(order: str, layout: str) -> None:
    model = network(order, layout)
    np.testing.assert_allclose(pixels(model, "black"), 0, atol=1e-3)
    np.testing.assert_allclose(pixels(model, 77.5), 77.5, rtol=1e-4)
    colours = PICTURES.mean((1, 2), keepdims=True)
    np.testing.assert_allclose(pixels(model, "mean"), np.broadcast_to(colours, PICTURES.shape), rtol=1e-4)
    np.testing.assert_allclose(pixels(model, PICTURES[1]), PICTURES[[1, 1]], atol=1e-2)


def test_a_grey_picture_serves_as_one_of_colours() -> None:
    np.testing.assert_allclose(pixels(network(), PICTURES[0, ..., 0])[0], PICTURES[0, ..., :1].repeat(3, -1), atol=1e-2)


def test_a_picture_of_another_size_is_resized() -> None:
    np.testing.assert_allclose(pixels(network(), np.full((7, 9, 3), 50, np.uint8)), 50, rtol=1e-4)


def test_noise_is_uniform_and_the_same_for_every_image() -> None:
    model = network()
    first, second = np.rint(pixels(model, "noise", seed=3)).astype(int)
    np.testing.assert_array_equal(first, second)
    assert first.min() < 5 and first.max() > 250 and 120 < first.mean() < 135
    assert (np.rint(pixels(model, "noise", seed=4))[0] != first).mean() > 0.9


def test_blur_is_a_gaussian_of_a_twentieth_of_the_shorter_side() -> None:
    """On a white point: its variance, and all of its light."""
    model = network()
    point = np.zeros((40, 60, 3), np.uint8)
    point[20:24, 30:34] = 255
    batch = prepare(point, model.spec, (1, 3, 40, 60))
    plane = (baseline_inputs(model, batch, "blur", 0)[0, 0] / SCALE[0] + MEAN[0]).astype(np.float64)
    assert abs(plane.sum() / (255 * 16) - 1) < 0.05
    x = np.arange(60)
    weights = plane.sum(0) / plane.sum()
    variance = (weights * (x - (weights * x).sum()) ** 2).sum()
    assert variance == pytest.approx(2.0**2 + 15 / 12, rel=0.15)  # the filter's, and the square's own
