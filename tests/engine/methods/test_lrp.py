"""Relevance propagation against its equations on layers written as matrices, and against Captum on architectures."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import captum_networks
import captum_peers
import numpy as np
import onnxray
import pytest
import tiny_residual
import torch
import torchvision_networks as networks
from model_specs import load_model
from onnxray.engine.gradient.relevance import EPSILON, RELEVANCE_RULES, AlphaBeta, Epsilon, relevance_rule
from onnxray.engine.gradient.variants import Variants
from onnxray.engine.methods.lrp import RULES, lrp
from onnxray.engine.targets import ClassProbability, ClassScore
from onnxray.importers.errors import InputError
from tiny_residual import PICTURES, relative
from torch import nn

Shared = Callable[[str], Path]
Array = np.ndarray
Layer = tuple[Array, Array]  # matrix [made, read], bias [made]
Step = Callable[[Array, Layer, Array], Array]  # what is read, the layer, relevance of what is made -> of what is read


def stable(z: Array, epsilon: float = EPSILON) -> Array:
    return z + epsilon * np.where(z < 0, -1, 1)


def by_epsilon(epsilon: float) -> Step:
    """Bach et al. 2015, equation 58."""

    def step(x: Array, layer: Layer, relevance: Array) -> Array:
        products = layer[0] * x  # z_ij, [made, read]
        z = stable(products.sum(1) + layer[1], epsilon)
        return (products / z[:, None] * relevance[:, None]).sum(0)

    return step


def by_alpha_beta(alpha: float) -> Step:
    """Equation 60: products and biases of either sign for themselves."""

    def step(x: Array, layer: Layer, relevance: Array) -> Array:
        gone = np.zeros(len(x))
        for side, share in ((1, alpha), (-1, 1 - alpha)):
            products = np.where(side * layer[0] * x > 0, layer[0] * x, 0)
            bias = np.where(side * layer[1] > 0, layer[1], 0)
            gone += share * (products / stable(products.sum(1) + bias)[:, None] * relevance[:, None]).sum(0)
        return gone

    return step


def by_flat(x: Array, layer: Layer, relevance: Array) -> Array:
    """Evenly to all places with a weight."""
    read = (layer[0] != 0).astype(float)
    return (read / (read.sum(1, keepdims=True) + EPSILON) * relevance[:, None]).sum(0)


def steps_of(rule: str, epsilon: float = 1e-6, alpha: float = 0) -> tuple[Step, Step, Step]:
    """What the first layer does, other convolutions, dense layers."""
    return {
        "epsilon": (by_epsilon(epsilon),) * 3,
        "alpha-beta": (by_alpha_beta(alpha or 2),) * 3,
        "composite": (by_flat, by_alpha_beta(alpha or 1), by_epsilon(epsilon)),
    }[rule]


def by_hand(layers: tiny_residual.Layers, image: Array, target: int, steps: tuple[Step, Step, Step]) -> Array:
    first, convolution, dense = steps
    v = layers.forward(image)
    at = dense(v["active"], layers.scores, np.eye(3)[target] * v["scores"])
    at = dense(v["flat"], layers.hidden, at)  # Tanh and rectifiers hand on what arrives
    at = by_epsilon(EPSILON)(v["relu3"], layers.mean, at)
    shares = {name: v[name] / stable(v["sum"]) * at for name in ("conv3", "pool1")}
    inner = convolution(v["relu2"], layers.conv3, shares["conv3"])
    at = shares["pool1"] + convolution(v["pool1"], layers.conv2, inner)
    won = np.zeros(256)
    for arriving, window in zip(at, layers.windows, strict=True):
        won[window[v["relu1"][window].argmax()]] += arriving
    return first(v["centred"], layers.conv1, won)


DEFAULTS = {"composite": {"epsilon": 1e-6, "alpha": 1}, "epsilon": {"epsilon": 1e-6}, "alpha-beta": {"alpha": 2}}
GIVEN: list[tuple[str, dict[str, float]]] = [
    *((rule, {}) for rule in RULES),
    ("composite", {"epsilon": 0.25, "alpha": 2}),
    ("epsilon", {"epsilon": 0.25}),
    ("alpha-beta", {"alpha": 1}),
    ("alpha-beta", {"alpha": 1.5}),
]


@pytest.mark.parametrize("target", [0, 2])
@pytest.mark.parametrize(("rule", "given"), GIVEN)
def test_the_equations_by_hand(rule: str, given: dict[str, float], target: int) -> None:
    model = tiny_residual.network()
    layers, images = tiny_residual.Layers(model), tiny_residual.inputs(model)
    steps, options = steps_of(rule, **given), DEFAULTS[rule] | given
    expected = np.stack([by_hand(layers, image, target, steps) for image in images]).reshape(5, 1, 8, 8)
    exact = model.torch(precision=torch.float64).gradients(
        images.reshape(5, 1, 8, 8), ClassScore(target), ["image"], RELEVANCE_RULES[rule](**options)
    )
    assert relative(exact.gradients["image"], expected) < 1e-9
    found = lrp(model, PICTURES, target=target, rule=rule, **given)  # type: ignore[arg-type]
    assert found.raw is not None and found.gap is not None
    assert relative(found.raw, expected) < 1e-4
    assert relative(found.maps, expected.sum(1)) < 1e-4
    np.testing.assert_allclose(found.gap, expected.sum((1, 2, 3)) - found.scores, rtol=1e-3, atol=1e-4)
    assert found.signed and found.settings == {"rule": rule, **options}


def test_without_biases_nothing_is_lost(tmp_path: Path) -> None:
    """Conservation (Bach et al. 2015, equation 2)."""
    module = nn.Sequential(
        *(nn.Conv2d(1, 4, 3, 2, bias=False), nn.LeakyReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(4, 3, bias=False))
    )
    path = networks.export(module, torch.zeros(1, 1, 8, 8), "legacy", tmp_path / "free.onnx", any_batch=True)
    model = onnxray.load(path, mean=(128.0,), scale=(1 / 64,), channel_order="GREY", resize="stretch")
    for rule in ("epsilon", "composite"):
        found = lrp(model, PICTURES, target=1, rule=rule)
        assert found.gap is not None
        np.testing.assert_allclose(found.gap / found.scores, 0, atol=1e-3)


def test_equal_parameters_share_one_variant(monkeypatch: pytest.MonkeyPatch) -> None:
    model, made, make = tiny_residual.network(), [], Variants._made

    def counted(self: Variants, outputs: Any, rule: Any, leaves: Any) -> Any:
        made.append(rule)
        return make(self, outputs, rule, leaves)

    lrp(model, PICTURES, target=1)
    monkeypatch.setattr(Variants, "_made", counted)
    for options in ({}, {"epsilon": 1e-6}, {"alpha": 1}, {"epsilon": 1e-6, "alpha": 1.0}):
        lrp(model, PICTURES, target=1, **options)  # type: ignore[arg-type]
    assert not made
    for options in ({"epsilon": 0.1}, {"alpha": 2.0}, {"epsilon": 0.1}, {"alpha": np.float32(2)}):
        lrp(model, PICTURES, target=1, **options)  # type: ignore[arg-type]
    assert len(made) == 2 and made[0] != made[1]


# -- Captum ---


@pytest.mark.parametrize(
    ("name", "epsilon"),
    [
        *((name, EPSILON) for name in ("resnet18", "vgg11_bn", "squeezenet1_1", "googlenet", "densenet121")),
        ("squeezenet1_1", 0.25),
    ],
)
def test_against_captum(name: str, epsilon: float, tmp_path: Path) -> None:
    """Batch normalisation behind convolutions is taken into the module first, as Captum has it for a layer of its own.
    In float64 and with the same weights to the last digit, as epsilon divides by sums near zero."""
    module = captum_networks.without_normalisation(captum_networks.network(name))
    model = captum_networks.exported(module, name, tmp_path)
    images = captum_networks.inputs(model, captum_networks.pictures(name))
    rule = RELEVANCE_RULES["epsilon"](epsilon=epsilon)
    found = model.torch(precision=torch.float64).gradients(images.numpy(), ClassScore(3), ["image"], rule)
    from captum.attr._utils.lrp_rules import EpsilonRule

    expected = captum_peers.lrp(module, images, [3] * len(images), lambda: EpsilonRule(epsilon))
    assert relative(found.gradients["image"], expected) < 1e-6


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "googlenet"])
def test_alpha_1_beta_0_against_captum(name: str, tmp_path: Path) -> None:
    """Captum's keeps negative biases and takes every value for positive: so here biases are, and images."""
    module = captum_networks.without_normalisation(captum_networks.network(name))
    from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule

    class Stabilised(Alpha1_Beta0_Rule):
        STABILITY_FACTOR = EPSILON

    for layer in module.modules():
        if isinstance(layer, nn.Conv2d) and layer.bias is not None:
            layer.bias.clamp_(min=0)
    model = captum_networks.exported(module, name, tmp_path)
    model.spec = model.spec.override("test", mean=(0.0,))
    images = captum_networks.inputs(model, captum_networks.pictures(name))
    rule = relevance_rule("alpha 1", AlphaBeta(1), Epsilon())
    found = model.torch(precision=torch.float64).gradients(images.numpy(), ClassScore(3), ["image"], rule)
    assert relative(found.gradients["image"], captum_peers.lrp(module, images, [3] * len(images), Stabilised)) < 1e-6


# -- photos, batches, what there is no rule for ---


@pytest.mark.parametrize("rule", RULES)
def test_photos(shared: Shared, rule: str) -> None:
    """What biases take is a small part of a trained network's score."""
    model = load_model(shared, "models/derived/squeezenet1.1.onnx")
    photos = [str(shared(f"data/skimage_images/{name}.png")) for name in ("chelsea", "coffee")]
    found = lrp(model, photos, rule=rule)
    assert found.gap is not None
    assert (np.abs(found.gap) < 0.2 * found.scores).all()
    assert found.targets == ("Egyptian_cat (285)", "espresso (967)")


@pytest.mark.parametrize("rule", RULES)
def test_batches_and_fixed_sizes_give_what_single_images_give(rule: str) -> None:
    model = tiny_residual.network()
    singles = np.concatenate([lrp(model, PICTURES[i : i + 1], rule=rule).maps for i in range(5)])
    fixed = tiny_residual.network(tiny_residual.TEXT.replace("[N,", "[2,"))
    for network in (model, fixed):
        np.testing.assert_allclose(lrp(network, PICTURES, rule=rule).maps, singles, rtol=1e-3, atol=1e-5)


def test_what_there_is_no_rule_for_is_named_at_once() -> None:
    text = tiny_residual.TEXT.replace(
        "sum = Add (conv3, pool1)",
        """gate = Sigmoid (conv3) sum = Mul (gate, pool1)
        """,
    ).replace("active = Tanh (hidden)", "active = LpNormalization (hidden)")
    expected = (
        "layer-wise relevance propagation has no rule for Mul of two computed tensors (node sum); "
        "LpNormalization (node active): integrated_gradients needs none"
    )
    with pytest.raises(InputError, match=re.escape(expected)):
        lrp(tiny_residual.network(text), PICTURES)


def test_a_probability_has_no_rule(shared: Shared) -> None:
    model = load_model(shared, "models/onnx/ppocr_v2_cls/ch_ppocr_mobile_v2.0_cls_infer.onnx")
    with pytest.raises(InputError, match=r"no rule for .*Softmax"):
        lrp(model, str(shared("data/skimage_images/coffee.png")), target=ClassProbability(0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rule": "gamma"}, "rule expects composite, epsilon or alpha-beta, found 'gamma'"),
        *(({"epsilon": bad}, "epsilon expects a number above 0, found") for bad in (0, -1, math.nan, math.inf, "0.1")),
        ({"alpha": math.nan}, "alpha expects a number above 0, found nan"),
        ({"alpha": 0.5}, "alpha expects a number of at least 1, as beta is alpha - 1, found 0.5"),
        ({"rule": "epsilon", "alpha": 2}, "alpha is no option of the rule epsilon, which has epsilon"),
        ({"rule": "alpha-beta", "epsilon": 0.1}, "epsilon is no option of the rule alpha-beta, which has alpha"),
    ],
)
def test_errors(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)) as raised:
        lrp(tiny_residual.network(), PICTURES, **options)
    assert "\n" not in str(raised.value)
