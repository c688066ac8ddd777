"""Integrated gradients against fine sums of onnxruntime's differences, against captum, and their completeness."""

from __future__ import annotations

from pathlib import Path

import gradient_peers
import numpy as np
import pytest
import tiny_models
import torch
import torchvision_networks as networks
from gradient_peers import RELATIVE, relative
from onnxray.engine.images import prepare
from onnxray.engine.methods.integrated_gradients import integrated_gradients
from onnxray.engine.model import Model
from onnxray.importers.errors import InputError
from tolerances import assert_close

PICTURES = np.random.default_rng(0).integers(0, 256, (3, 5, 6, 3), dtype=np.uint8)
# Smooth, so that few steps are exact, and of doubles, so that differences are derivatives.
SMOOTH = """
<ir_version: 8, opset_import: ["" : 17]>
smooth (double[N, 3, 5, 6] image) => (double[N, 4] scores)
<double[90, 8] places, double[8, 4] fc>
{
    flat = Flatten (image)
    mixed = MatMul (flat, places)
    tenth = Constant <value = double {0.1}> ()
    small = Mul (mixed, tenth)
    active = Tanh (small)
    scores = MatMul (active, fc)
}
"""


def smooth(order: str = "RGB") -> Model:
    model = Model(tiny_models.model(SMOOTH), Path("smooth.onnx"))
    model.spec = model.spec.override(
        "test", mean=(120.0, 110.0, 100.0), scale=(1 / 60, 1 / 50, 1 / 40), channel_order=order, resize="stretch"
    )
    return gradient_peers.in_double(model)


def inputs(model: Model, pictures: np.ndarray) -> np.ndarray:
    shape = model.input_shapes["image"]
    return np.concatenate([prepare(picture, model.spec, shape) for picture in pictures]).astype(np.float64)


def score(model: Model, batch: np.ndarray, target: int) -> np.ndarray:
    return np.asarray(model.session().run(batch, ["scores"])["scores"][:, target])


def replica(model: Model, start: np.ndarray, end: np.ndarray, target: int) -> np.ndarray:  # [N, 3, 5, 6]
    """Equation 3 of the paper for 400 middle steps, each gradient of central differences of onnxruntime's score."""
    steps, step = 400, 1e-4
    way, found = end - start, np.zeros(end.shape)
    points = np.stack([start + (k + 0.5) / steps * way for k in range(steps)])  # [steps, N, 3, 5, 6]
    for place in np.ndindex(end.shape[1:]):
        for side in (1, -1):
            moved = points.copy()
            moved[:, :, *place] += side * step
            values = score(model, moved.reshape(-1, *end.shape[1:]), target).reshape(steps, -1)
            found[:, *place] += side * values.mean(0) / (2 * step)
    return way * found


@pytest.mark.parametrize("order", ["RGB", "BGR"])
@pytest.mark.parametrize("rule", ["gauss-legendre", "riemann"])
def test_the_equation_by_differences_of_onnxruntime(rule: str, order: str) -> None:
    model = smooth(order)
    start, end = inputs(model, np.zeros_like(PICTURES)), inputs(model, PICTURES)
    expected = replica(model, start, end, 2)
    found = integrated_gradients(model, PICTURES, target=2, rule=rule, steps=50 if rule == "gauss-legendre" else 400)
    assert relative(found.raw, expected) <= RELATIVE
    assert relative(found.maps, expected.sum(1)) <= RELATIVE
    assert found.signed and found.ends == ("against", "for") and found.gap is not None
    change = score(model, end, 2) - score(model, start, 2)
    np.testing.assert_allclose(expected.sum((1, 2, 3)), change, rtol=1e-4)
    np.testing.assert_allclose(found.gap, 0, atol=1e-4 * np.abs(change).max())


def test_the_gap_is_by_how_much_the_sum_misses_the_scores_change() -> None:
    model = smooth()
    start, end = inputs(model, np.zeros_like(PICTURES)), inputs(model, PICTURES)
    found = integrated_gradients(model, PICTURES, target=1, steps=3, rule="riemann")
    assert found.raw is not None and found.gap is not None and np.abs(found.gap).min() > 1e-2
    change = score(model, end, 1) - score(model, start, 1)
    np.testing.assert_allclose(found.gap, found.raw.sum((1, 2, 3)) - change, atol=1e-4)


NAMES = ["resnet18", "squeezenet1_1", "densenet121", "vit"]


@pytest.mark.parametrize("name", NAMES)
def test_against_captum(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    networks.torchvision_models()
    from captum.attr import IntegratedGradients

    peer = gradient_peers.peer(name, tmp_path_factory.getbasetemp())
    black = peer.prepared(np.zeros_like(peer.pictures))
    method = IntegratedGradients(peer.of_float32)
    expected, delta = method.attribute(peer.inputs, black, target=3, n_steps=10, return_convergence_delta=True)
    found = integrated_gradients(peer.model, peer.pictures, target=3, steps=10)
    assert relative(found.raw, expected) <= RELATIVE and found.gap is not None
    np.testing.assert_allclose(found.gap, delta.detach().numpy(), rtol=1e-3, atol=1e-4 * np.abs(found.scores).max())


def test_the_trapezoidal_sum_against_captum(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Captum 0.9 weights the n points of [0, 1], 1 / (n - 1) apart, with 1 / n: its sums miss a share of 1 / n of the
    integral. With the trapezoid's own width they agree."""
    networks.torchvision_models()
    from captum.attr import IntegratedGradients

    peer, steps = gradient_peers.peer("squeezenet1_1", tmp_path_factory.getbasetemp()), 9
    black = peer.prepared(np.zeros_like(peer.pictures))
    method = IntegratedGradients(peer.of_float32)
    theirs = method.attribute(peer.inputs, black, target=3, n_steps=steps, method="riemann_trapezoid")
    found = integrated_gradients(peer.model, peer.pictures, target=3, steps=steps, rule="riemann")
    assert relative(found.raw, theirs * steps / (steps - 1)) <= RELATIVE


@pytest.mark.parametrize("baseline", ["mean", "blur", "noise", 128, np.full((5, 6, 3), 7, np.uint8)], ids=str)
def test_starts_from_the_baseline(baseline: str | float | np.ndarray) -> None:
    """Complete for each of them, and another map than from black."""
    from onnxray.engine.methods.baselines import baseline_inputs

    model = smooth()
    batch = inputs(model, PICTURES)
    start = baseline_inputs(model, batch, baseline, 5)
    found = integrated_gradients(model, PICTURES, target=0, baseline=baseline, seed=5)
    change = score(model, batch, 0) - score(model, start, 0)
    assert found.raw is not None and found.gap is not None
    np.testing.assert_allclose(found.raw.sum((1, 2, 3)), change, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.gap, 0, atol=1e-4)
    assert np.abs(found.maps - integrated_gradients(model, PICTURES, target=0).maps).max() > 1e-3
    assert found.to_json()["settings"]["steps"] == 50


def test_batches_give_what_single_images_give() -> None:
    model = smooth()
    whole = integrated_gradients(model, PICTURES, baseline="noise", steps=7)
    single = [integrated_gradients(model, PICTURES[i : i + 1], baseline="noise", steps=7) for i in range(3)]
    assert_close(whole.maps, np.concatenate([one.maps for one in single]))
    assert whole.gap is not None
    assert_close(whole.gap, np.concatenate([one.gap for one in single if one.gap is not None]))


def test_no_more_than_eight_images_run_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many the steps: what a run holds does not grow with them."""
    model, sizes = smooth(), []
    network, once = model.torch(), type(model.torch())._gradients_once

    def counted(self: object, feeds: dict[str, np.ndarray], *rest: object) -> object:
        sizes.append(len(feeds["image"]))
        return once(network, feeds, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(type(network), "_gradients_once", counted)
    integrated_gradients(model, PICTURES[:1], target=0, steps=50)
    assert sizes == [8] * 6 + [2]


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"rule": "simpson"}, "rule expects gauss-legendre or riemann, found 'simpson'"),
        ({"steps": 1}, "steps expects a whole number of at least 2, found 1"),
        ({"baseline": "white"}, "baseline expects black, mean, blur, noise or a colour #rrggbb, found 'white'"),
        ({"baseline": 300}, "a grey level 0..255 or a picture, found 300"),
        ({"baseline": PICTURES}, "baseline expects one picture, found 3"),
        ({"baseline": np.full((5, 6, 3), -1.0)}, "pixels are 0..255 or 0..1, found -1"),
        ({"target": 4}, "the network has no class 4: expected 0 to 3"),
    ],
    ids=str,
)
def test_errors(keywords: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        integrated_gradients(smooth(), PICTURES, **keywords)  # type: ignore[arg-type]


def test_torch_keeps_no_gradients_of_the_way() -> None:
    model = smooth()
    integrated_gradients(model, PICTURES, target=0, steps=4)
    assert not any(buffer.requires_grad for buffer in model.torch().module.buffers())
    assert torch.is_grad_enabled()
