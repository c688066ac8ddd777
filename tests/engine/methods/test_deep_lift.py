"""DeepLIFT against its equations on layers written as matrices, and against Captum on real architectures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import captum_networks
import captum_peers
import numpy as np
import pytest
import tiny_residual
import torch
from model_specs import load_model
from onnxray.engine.batching import resident_bytes
from onnxray.engine.gradient.rescale import Rescale
from onnxray.engine.methods.deep_lift import deep_lift
from onnxray.engine.targets import ClassScore
from onnxray.importers.errors import InputError
from tiny_residual import PICTURES, relative

Shared = Callable[[str], Path]
Array = np.ndarray


def slope(x: Array, y: Array, x0: Array, y0: Array) -> Array:
    """Rescale rule, arXiv:1704.02685, section 3.5.2."""
    return (y - y0) / (x - x0)


def by_hand(layers: tiny_residual.Layers, image: Array, baseline: Array, target: int) -> Array:
    """Multipliers chained backwards (equation 3), times the differences of the pixels."""
    v, v0 = layers.forward(image), layers.forward(baseline)
    m = layers.scores[0][target] * slope(v["hidden"], v["active"], v0["hidden"], v0["active"])
    m = m @ layers.hidden[0] @ layers.mean[0] * slope(v["sum"], v["relu3"], v0["sum"], v0["relu3"])
    inner = m @ layers.conv3[0] * slope(v["conv2"], v["relu2"], v0["conv2"], v0["relu2"])
    m = m + inner @ layers.conv2[0]
    handed = np.zeros(256)
    for arriving, window in zip(m, layers.windows, strict=True):
        here, there = v["relu1"][window], v0["relu1"][window]
        larger = max(here.max(), there.max())
        handed[window[here.argmax()]] += arriving * (larger - there.max())
        handed[window[there.argmax()]] += arriving * (here.max() - larger)
    change = v["relu1"] - v0["relu1"]
    m = np.divide(handed, change, out=np.zeros(256), where=change != 0)  # elsewhere the next slope is 0 as well
    m = m * slope(v["conv1"], v["relu1"], v0["conv1"], v0["relu1"]) @ layers.conv1[0]
    return m * (image - baseline)


@pytest.mark.parametrize("target", [0, 2])
def test_the_equations_by_hand(target: int) -> None:
    model = tiny_residual.network()
    other = np.random.default_rng(9).integers(0, 256, (8, 8), dtype=np.uint8)
    found = deep_lift(model, PICTURES, target=target, baseline=other)
    layers, images = tiny_residual.Layers(model), tiny_residual.inputs(model)
    baseline = tiny_residual.inputs(model, other[None])[0]
    expected = np.stack([by_hand(layers, image, baseline, target) for image in images]).reshape(5, 1, 8, 8)
    change = [layers.forward(image)["scores"][target] - layers.forward(baseline)["scores"][target] for image in images]
    np.testing.assert_allclose(expected.sum((1, 2, 3)), change, rtol=1e-9)  # the replica adds up
    assert found.raw is not None and found.gap is not None
    assert relative(found.raw, expected) < 1e-4
    assert relative(found.maps, expected.sum(1)) < 1e-4
    assert np.abs(found.gap).max() < 1e-4 * np.abs(found.scores).max()
    assert found.signed and found.settings["baseline"] is other


ELEMENTWISE = {
    "Relu": "y = Relu (x)",
    "Relu6": "y = Clip (x, zero, six)",
    "LeakyRelu": "y = LeakyRelu <alpha = 0.3> (x)",
    "Sigmoid": "y = Sigmoid (x)",
    "Softplus": "y = Softplus (x)",
    "Swish": "a = Sigmoid (x) y = Mul (x, a)",
    "Gelu": "a = Div (x, root) b = Erf (a) c = Add (b, one) d = Mul (x, c) y = Mul (d, half)",
    "HardSwish": "y = HardSwish (x)",
}


@pytest.mark.parametrize("name", [*ELEMENTWISE, "Softmax", "GlobalMaxPool"])
def test_activations_hand_on_all_of_their_change(name: str) -> None:
    """Elementwise ones each place its own; the others in total."""
    nodes = ELEMENTWISE.get(name, "y = Softmax <axis = 3> (x)" if name == "Softmax" else "y = GlobalMaxPool (x)")
    text = f"""
    <ir_version: 8, opset_import: ["" : 17]>
    one (float[N, 3, 4, 5] image) => (float end)
    <float zero = {{0}}, float one = {{1}}, float six = {{6}}, float half = {{0.5}}, float root = {{1.4142135}}>
    {{ x = Neg (image) {nodes} end = Neg (y) }}
    """
    network = tiny_residual.network(text).torch(precision=torch.float64)
    image, baseline = np.random.default_rng(1).uniform(-8, 8, (2, 2, 3, 4, 5)).astype(np.float32).astype(np.float64)
    baseline[0, 0] = image[0, 0]  # no difference: the derivative, not 0 / 0
    rescale = Rescale()
    with rescale.recording():
        before = network.gradients(baseline, _Total(), ["image"], rescale.rule)
    found = network.gradients(image, _Total(), ["image"], rescale.rule)
    raw = found.gradients["image"] * (image - baseline)
    assert np.isfinite(found.gradients["image"]).all()
    np.testing.assert_allclose(raw.sum((1, 2, 3)), found.scores - before.scores, rtol=1e-9, atol=1e-9)
    if name in ELEMENTWISE:
        values = [network.run(x, ["end"])["end"] for x in (image, baseline)]
        weights = torch.linspace(1, 2, 60).double().numpy().reshape(3, 4, 5)
        np.testing.assert_allclose(raw, weights * (values[0] - values[1]), atol=1e-9)


class _Total:
    """The sum of the output `end`, places weighted."""

    label = "total"

    def tensor(self, model: Any) -> str:
        return "end"

    def score(self, value: Any) -> Any:
        rows = value.flatten(1)
        return (rows * torch.linspace(1, 2, rows.shape[1]).to(rows)).sum(1)


@pytest.mark.parametrize("name", ["resnet18", "vgg11_bn", "squeezenet1_1", "googlenet"])
def test_against_captum(name: str, tmp_path: Path) -> None:
    """With its pooling mended. The baseline is no even colour, as then the maxima of whole maps are tied."""
    module = captum_networks.without_normalisation(captum_networks.network(name))
    model = captum_networks.exported(module, name, tmp_path)
    module = captum_networks.with_pools_apart(module).double()
    *pictures, other = captum_networks.pictures(name, 3)
    images = captum_networks.inputs(model, np.stack(pictures))
    baseline = captum_networks.inputs(model, other[None]).expand_as(images)
    expected = captum_peers.deep_lift(module, images, baseline, [3] * len(images))
    network, rescale = model.torch(precision=torch.float64), Rescale()
    with rescale.recording():
        network.gradients(baseline.numpy(), ClassScore(3), ["image"], rescale.rule)
    multipliers = network.gradients(images.numpy(), ClassScore(3), ["image"], rescale.rule).gradients["image"]
    assert relative(multipliers * (images - baseline).numpy(), expected) < 1e-6
    single = deep_lift(model, np.stack(pictures), target=3, baseline=other)  # which may take another of two like maxima
    assert single.raw is not None and single.gap is not None
    assert relative(single.raw, expected) < 1e-2
    assert np.abs(single.gap).max() < 1e-4


@pytest.mark.parametrize("baseline", ["black", "mean", "blur"])
def test_photos_add_up(shared: Shared, baseline: str) -> None:
    model = load_model(shared, "models/derived/squeezenet1.1.onnx")
    photos = [str(shared(f"data/skimage_images/{name}.png")) for name in ("chelsea", "coffee")]
    found = deep_lift(model, photos, baseline=baseline)
    assert found.gap is not None
    assert np.abs(found.gap).max() < 1e-4 * found.scores.min()
    assert found.targets == ("Egyptian_cat (285)", "espresso (967)")


# -- images, batches, options ---


def test_batches_fixed_sizes_and_budgets_give_what_single_images_give(monkeypatch: pytest.MonkeyPatch) -> None:
    from onnxray.engine.batching import Batching

    model = tiny_residual.network()
    singles = np.concatenate([deep_lift(model, PICTURES[i : i + 1], baseline="mean").maps for i in range(5)])
    np.testing.assert_allclose(deep_lift(model, PICTURES, baseline="mean").maps, singles, rtol=1e-4, atol=1e-6)
    for size in (1, 2):
        fixed = tiny_residual.network(tiny_residual.TEXT.replace("[N,", f"[{size},"))
        np.testing.assert_allclose(deep_lift(fixed, PICTURES, baseline="mean").maps, singles, rtol=1e-4, atol=1e-6)
    monkeypatch.setattr(Batching, "slice_size", lambda *_: 2)
    in_slices = deep_lift(model, PICTURES, target=[None, 1], baseline="mean", memory=resident_bytes() + (1 << 30))
    np.testing.assert_allclose(in_slices.maps[::2], singles, rtol=1e-4, atol=1e-6)


def test_products_of_tensors_leave_a_gap() -> None:
    """It is what the plain gradients there cost."""
    gated = tiny_residual.TEXT.replace("sum = Add", "gate = Sigmoid (conv3) sum = Mul").replace(
        "(conv3, pool1)", "(gate, pool1)"
    )
    model = tiny_residual.network(gated)
    found = deep_lift(model, PICTURES, target=1)
    black = np.zeros((1, 8, 8), np.uint8)
    before = deep_lift(model, black, target=1, baseline="mean").scores
    assert found.raw is not None and found.gap is not None
    missing = found.raw.sum((1, 2, 3)) - (found.scores - before)
    np.testing.assert_allclose(found.gap, missing, rtol=1e-3, atol=1e-5)
    assert np.abs(found.gap).min() > 1e-3


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"baseline": "grey"}, "baseline expects black, mean, blur"),
        ({"baseline": 300}, "a grey level 0..255"),
        ({"target": 3}, "the network has no class 3: expected 0 to 2"),
        ({"memory": "1MB"}, "memory budget of 1 MiB leaves 0 B"),
    ],
)
def test_errors(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        deep_lift(tiny_residual.network(), PICTURES, **keywords)
