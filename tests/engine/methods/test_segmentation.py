"""Segmentation by saliency: planted objects, a real photo with its mask, and what it says where it cannot."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tiny_models
from model_specs import load_model
from onnxray.engine.methods.segmentation import cut, segmentation
from onnxray.engine.model import Model
from onnxray.importers.errors import MissingExtra
from PIL import Image

Shared = Callable[[str], Path]


def picture() -> tuple[np.ndarray, np.ndarray]:
    """A red disc, and far from it a smaller one, on green noise; and where the large one is."""
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 30, (96, 96, 3)).astype(np.uint8)
    pixels[..., 1] += 100
    y, x = np.mgrid[:96, :96]
    large = (y - 40) ** 2 + (x - 34) ** 2 < 22**2
    small = (y - 80) ** 2 + (x - 80) ** 2 < 6**2
    pixels[large | small, 0] += 200
    return pixels, large


def test_a_planted_object_is_cut_out_whole() -> None:
    """Saliency in a part of the disc is enough; the other disc, of the same colours, is no part of it."""
    pixels, disc = picture()
    y, x = np.mgrid[:96, :96]
    salient = np.exp(-((y - 40) ** 2 + (x - 30) ** 2) / 200) + np.random.default_rng(1).random((96, 96)) / 50
    found = cut(cv2, pixels, salient.astype(np.float32), 0.95, 0.3, seed=0)
    assert (found & disc).sum() / (found | disc).sum() > 0.97


def test_nothing_to_go_by() -> None:
    pixels, _ = picture()
    assert not cut(cv2, pixels, np.zeros((96, 96), np.float32), 0.95, 0.3, seed=0).any()


def test_an_object_that_looks_like_its_background_is_not_lost() -> None:
    """Colours cannot tell them apart: what is salient is the object, rather than nothing."""
    pixels = np.random.default_rng(0).integers(0, 256, (96, 96, 3)).astype(np.uint8)
    y, x = np.mgrid[:96, :96]
    salient = np.exp(-((y - 40) ** 2 + (x - 30) ** 2) / 200).astype(np.float32)
    assert cut(cv2, pixels, salient, 0.95, 0.3, seed=0)[36:45, 26:35].all()


def test_batches_give_what_single_images_give() -> None:
    model = Model(tiny_models.model(), Path("tiny.onnx"))
    many = np.random.default_rng(1).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    whole = segmentation(model, many)
    assert set(np.unique(whole.maps)) <= {0, 1}
    assert whole.settings == {"high": 0.95, "low": 0.3, "seed": 0}
    for row in range(3):
        np.testing.assert_array_equal(whole.maps[row], segmentation(model, many[row : row + 1]).maps[0])


def test_a_bird(shared: Shared) -> None:
    """SqueezeNet, which never saw an outline, against the mask that came with the photo."""
    model = load_model(shared, "models/derived/squeezenet1.1.onnx")
    found = segmentation(model, shared("data/detection_photos/bird_segmentation.bmp"))
    with Image.open(shared("data/detection_photos/bird_segmentation_mask.bmp")) as mask:
        right = np.asarray(mask.convert("L").resize((227, 227), Image.Resampling.NEAREST)) > 0
    inside = found.maps[0] > 0
    assert (inside & right).sum() / (inside | right).sum() > 0.8


def test_without_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def refuse(name: str, *rest: Any, **named: Any) -> Any:
        if name == "cv2":
            raise ImportError(name)
        return original(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtra, match=r'segmentation needs .*pip install "onnxray\[verify\]"'):
        segmentation(Model(tiny_models.model(), Path("tiny.onnx")), np.zeros((1, 8, 8), np.uint8))
