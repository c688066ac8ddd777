"""Expected gradients against loops over their draws, against integrated gradients, and their completeness."""

from __future__ import annotations

from pathlib import Path

import gradient_peers
import numpy as np
import pytest
import tiny_models
import torch
from gradient_peers import RELATIVE, Peer, relative
from onnxray.engine.images import prepare
from onnxray.engine.methods.expected_gradients import _draw, expected_gradients
from onnxray.engine.methods.integrated_gradients import integrated_gradients
from onnxray.engine.model import Model
from onnxray.importers.errors import InputError
from tolerances import assert_close

GENERATOR = np.random.default_rng(0)
PICTURES = GENERATOR.integers(0, 256, (5, 8, 8), dtype=np.uint8)
OTHERS = GENERATOR.integers(0, 256, (20, 8, 8), dtype=np.uint8)


def network() -> Model:
    model = Model(tiny_models.model(), Path("tiny.onnx"))
    model.spec = model.spec.override("test", mean=(90.0,), scale=(1 / 64,), channel_order="GREY", resize="stretch")
    return gradient_peers.in_double(model)


def replica(peer: Peer, background: np.ndarray, samples: int, target: int) -> tuple[np.ndarray, np.ndarray]:
    """The mean of (x - x') * dS/dx at x' + a (x - x'), one draw and one image at a time, of the source's own torch
    module; and what its sums miss."""
    generator = np.random.default_rng(0)
    starts = _draw(peer.model, background, samples, generator)
    alphas = generator.random(samples)
    references, found, gaps = peer.prepared(background), [], []
    for image in peer.inputs:
        total, change = torch.zeros_like(image), 0.0
        for number, alpha in zip(starts.drawn, alphas, strict=True):
            way = image - references[number]
            point = (references[number] + alpha * way)[None].requires_grad_()
            (gradient,) = torch.autograd.grad(peer.of_float32(point)[0, target], point)
            total += way * gradient[0]
            change += float(peer.module(image[None])[0, target] - peer.module(references[number][None])[0, target])
        found.append((total / samples).numpy())
        gaps.append(found[-1].sum() - change / samples)
    return np.stack(found), np.array(gaps)


@pytest.mark.parametrize("name", ["squeezenet1_1", "resnet18", "vit"])
def test_the_equation_in_loops(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Captum's GradientShap is the same but draws by NumPy's global state: there is no handing it our draws."""
    peer = gradient_peers.peer(name, tmp_path_factory.getbasetemp())
    background = gradient_peers.pictures(4, peer.pictures.shape[1], seed=3)
    expected, gaps = replica(peer, background, 7, 3)
    found = expected_gradients(peer.model, peer.pictures, target=3, background=background, samples=7)
    assert relative(found.raw, expected) <= RELATIVE
    assert relative(found.maps, expected.sum(1)) <= RELATIVE
    assert found.gap is not None
    np.testing.assert_allclose(found.gap, gaps, rtol=1e-4, atol=1e-4 * np.abs(gaps).max())
    drawn = _draw(peer.model, background, 7, np.random.default_rng(0)).drawn
    names = [f"image#{number}" for number in sorted(set(drawn))]
    assert found.settings == {"background": names, "samples": 7, "seed": 0}


def test_from_one_start_it_comes_near_integrated_gradients() -> None:
    """As they draw the same integral's points at random."""
    model, start = network(), OTHERS[0]
    found = expected_gradients(model, PICTURES, target=1, background=start, samples=3000)
    exact = integrated_gradients(model, PICTURES, target=1, baseline=start, steps=300)
    assert relative(found.maps, exact.maps) < 0.05
    assert found.gap is not None and np.abs(found.gap).max() < 0.05 * np.abs(exact.maps.sum((1, 2))).max()


def test_draws_are_fair_and_hold_no_more_images_than_samples() -> None:
    model = network()
    starts = _draw(model, OTHERS, 4000, np.random.default_rng(1))
    counts = np.bincount(starts.drawn, minlength=20)
    assert starts.readable == 20 and len(counts) == 20
    assert counts.min() > 200 - 5 * 14 and counts.max() < 200 + 5 * 14  # five standard deviations
    few = _draw(model, OTHERS, 3, np.random.default_rng(1))
    assert set(few.images) == set(few.drawn) and few.readable == 20
    for number, image in few.images.items():
        assert_close(image[None], prepare(OTHERS[number], model.spec, (1, 1, 8, 8)))


def test_the_images_themselves_are_the_background() -> None:
    model = network()
    found = expected_gradients(model, PICTURES, samples=9)
    given = expected_gradients(model, PICTURES, background=PICTURES, samples=9)
    np.testing.assert_array_equal(found.maps, given.maps)
    assert found.settings == given.settings


def test_batches_give_what_single_images_give() -> None:
    model = network()
    whole = expected_gradients(model, PICTURES, background=OTHERS, samples=9)
    single = [expected_gradients(model, PICTURES[i], background=OTHERS, samples=9) for i in range(5)]
    assert_close(whole.maps, np.concatenate([one.maps for one in single]))
    other = expected_gradients(model, PICTURES, background=OTHERS, samples=9, seed=1)
    assert np.abs(other.maps - whole.maps).max() > 1e-3


@pytest.mark.parametrize(
    ("images", "keywords", "message"),
    [
        (PICTURES[0], {}, "starts from other images, found none: give some as background"),
        (PICTURES, {"samples": 0}, "samples expects a whole number of at least 1, found 0"),
        (PICTURES, {"background": "nowhere/"}, "nowhere"),
        (PICTURES, {"target": 3}, "the network has no class 3: expected 0 to 2"),
    ],
    ids=["one", "samples", "background", "target"],
)
def test_errors(images: np.ndarray, keywords: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        expected_gradients(network(), images, **keywords)  # type: ignore[arg-type]
