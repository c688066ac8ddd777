"""SmoothGrad, SmoothGrad² and VarGrad against loops over noisy copies, and against captum fed with the same noise."""

from __future__ import annotations

from pathlib import Path

import captum_peers
import gradient_peers
import numpy as np
import pytest
import tiny_models
import torch
from gradient_peers import RELATIVE, relative
from onnxray.engine.batching import resident_bytes
from onnxray.engine.images import prepare
from onnxray.engine.methods.saliency import saliency
from onnxray.engine.methods.smooth_grad import smooth_grad
from onnxray.engine.model import Model
from onnxray.importers.errors import InputError
from tolerances import assert_close

PICTURES = np.random.default_rng(0).integers(0, 256, (5, 8, 8), dtype=np.uint8)
CAPTUM = {"mean": "smoothgrad", "squared": "smoothgrad_sq", "variance": "vargrad"}


def network() -> Model:
    model = Model(tiny_models.model(), Path("tiny.onnx"))
    model.spec = model.spec.override("test", mean=(90.0,), scale=(1 / 64,), channel_order="GREY", resize="stretch")
    return model


def replica(kind: str, target: int, samples: int, noise: float, seed: int) -> np.ndarray:  # [N, 1, 8, 8]
    """Every noisy copy alone, all gradients held, put together by NumPy."""
    from onnxray.engine.methods.gradients import image_gradients
    from onnxray.engine.targets import ClassScore

    model, found = network(), []
    for picture in PICTURES:
        image = prepare(picture, model.spec, (1, 1, 8, 8))
        generator = torch.Generator().manual_seed(seed)
        spread = noise * (image.max() - image.min())
        copies = [image + spread * torch.randn((1, 8, 8), generator=generator).numpy() for _ in range(samples)]
        gradients = [image_gradients(model, copy.astype(np.float32), ClassScore(target))[1][0] for copy in copies]
        stack = np.stack(gradients).astype(np.float64)
        found.append({"mean": stack.mean(0), "squared": (stack**2).mean(0), "variance": stack.var(0)}[kind])
    return np.stack(found)


@pytest.mark.parametrize("kind", CAPTUM)
def test_the_equations_in_loops(kind: str) -> None:
    found = smooth_grad(network(), PICTURES, target=1, kind=kind, samples=11, noise=0.3, seed=4)
    expected = replica(kind, 1, 11, 0.3, 4)
    assert found.raw is not None and not found.signed and expected.any()
    assert_close(found.raw, expected.astype(np.float32))
    assert_close(found.maps, np.abs(expected).max(1).astype(np.float32))
    assert found.settings == {"kind": kind, "samples": 11, "noise": 0.3, "seed": 4}
    np.testing.assert_array_equal(found.scores, saliency(network(), PICTURES, target=1).scores)  # without noise


@pytest.mark.parametrize("kind", CAPTUM)
@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "vit"])
def test_against_captum(name: str, kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    peer, samples = gradient_peers.peer(name, tmp_path_factory.getbasetemp(), count=1), 6
    expected = captum_peers.smooth_grad(peer.of_float32, peer.inputs, [3], CAPTUM[kind], samples, 0.15)
    found = smooth_grad(peer.model, peer.pictures, target=3, kind=kind, samples=samples)
    assert relative(found.raw, expected) <= RELATIVE


def test_little_noise_is_the_gradient_itself() -> None:
    model = network()
    found = smooth_grad(model, PICTURES, target=0, samples=3, noise=1e-7)
    assert_close(found.maps, saliency(model, PICTURES, target=0).maps)


def test_every_image_gets_the_same_noise_whatever_the_batch() -> None:
    model = network()
    whole = smooth_grad(model, PICTURES, samples=9)
    single = [smooth_grad(model, PICTURES[i : i + 1], samples=9).maps for i in range(len(PICTURES))]
    assert_close(whole.maps, np.concatenate(single))
    assert_close(smooth_grad(model, PICTURES, samples=9, memory=resident_bytes() + (1 << 30)).maps, whole.maps)
    assert np.abs(smooth_grad(model, PICTURES, samples=9, seed=1).maps - whole.maps).max() > 1e-3


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"kind": "median"}, "kind expects mean, squared or variance, found 'median'"),
        ({"samples": 0}, "samples expects a whole number of at least 1, found 0"),
        ({"samples": 2.5}, "samples expects a whole number of at least 1, found 2.5"),
        ({"noise": 0.0}, "noise expects a number above 0, found 0.0"),
        ({"noise": float("nan")}, "noise expects a number above 0, found nan"),
        ({"target": 3}, "the network has no class 3: expected 0 to 2"),
    ],
)
def test_errors(keywords: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        smooth_grad(network(), PICTURES, **keywords)  # type: ignore[arg-type]
