"""A hundred calls of each method leave nothing behind: neither memory nor tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
import torch
from leaks import assert_nothing_is_left
from onnxray.engine.methods import ATTRIBUTIONS, attribution_method
from onnxray.engine.methods.gradients import image_gradients
from onnxray.engine.methods.saliency import saliency
from onnxray.engine.model import Model

SIDE = 96
# Of small feature maps, as Recipro-CAM runs once a place.
TEXT = f"""
<ir_version: 8, opset_import: ["" : 17]>
small (float[N, 3, {SIDE}, {SIDE}] image) => (float[N, 3] scores)
<float[4, 3, 4, 4] conv1_w, float[4, 4, 3, 3] conv2_w, float[3, 4] fc_w, float[3] fc_b>
{{
    conv1 = Conv <strides = [4, 4]> (image, conv1_w)
    relu1 = Relu (conv1)
    pool1 = MaxPool <kernel_shape = [4, 4], strides = [4, 4]> (relu1)
    conv2 = Conv <pads = [1, 1, 1, 1]> (pool1, conv2_w)
    relu2 = Relu (conv2)
    mean = GlobalAveragePool (relu2)
    flat = Flatten (mean)
    logits = Gemm <transB = 1> (flat, fc_w, fc_b)
    scores = Softmax (logits)
}}
"""
# Coarse, as segmentation takes its time for noise.
PICTURES = np.random.default_rng(0).integers(0, 256, (2, 6, 6, 3), dtype=np.uint8).repeat(16, 1).repeat(16, 2)
INPUT_BYTES = 4 * PICTURES.size  # float32
FEW: dict[str, dict[str, Any]] = {
    "smooth_grad": {"samples": 3},
    "integrated_gradients": {"steps": 3},
    "expected_gradients": {"samples": 3},
    "rise": {"samples": 4},
    "occlusion": {"patch": 3, "stride": 3},
}


@pytest.fixture
def model() -> Model:
    model = Model(tiny_models.model(TEXT), Path("small.onnx"))
    model.spec = model.spec.override("test", mean=(128.0,), scale=(1 / 64,), channel_order="RGB", resize="stretch")
    return model


@pytest.mark.parametrize("name", ATTRIBUTIONS)
def test_nothing_is_left(model: Model, name: str) -> None:
    method = attribution_method(name)
    assert_nothing_is_left(lambda: method(model, PICTURES, **FEW.get(name, {})), INPUT_BYTES)


@pytest.mark.parametrize("what", ["a tensor", "memory"])
def test_what_is_left_is_found(model: Model, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Any] = []

    def hoarding(*arguments: Any) -> tuple[np.ndarray, np.ndarray]:
        scores, gradient = image_gradients(*arguments)
        kept.append(torch.from_numpy(scores) if what == "a tensor" else gradient.copy())
        return scores, gradient

    monkeypatch.setattr("onnxray.engine.methods.saliency.image_gradients", hoarding)
    with pytest.raises(AssertionError):
        assert_nothing_is_left(lambda: saliency(model, PICTURES), INPUT_BYTES)
