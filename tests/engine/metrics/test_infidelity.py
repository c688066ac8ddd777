"""Infidelity against Captum's, with the same perturbations; on a linear network true maps have none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from explained_networks import LINEAR, PICTURES, inputs, network
from onnxray.engine.methods.grad_cam import grad_cam
from onnxray.engine.methods.integrated_gradients import integrated_gradients
from onnxray.engine.methods.saliency import saliency
from onnxray.engine.metrics.infidelity import infidelity, random_square
from onnxray.engine.model import Model
from onnxray.importers.errors import InputError

SAMPLES = 12


def captums(
    model: Model, image: np.ndarray, kind: int, raw: np.ndarray, perturbed: list[Any], normalize: bool
) -> float:
    """Of one image; `perturbed`: I and x - I, [SAMPLES, C, H, W]."""
    import torch
    import torchvision_networks as networks

    networks.torchvision_models()
    from captum.metrics import infidelity as peer

    network = model.torch()

    def forward(x: torch.Tensor) -> torch.Tensor:
        tensor = "logits" if "logits" in network.tensors else "scores"
        return network.forward({"image": x}, [tensor])[tensor][:, kind]

    first, second = (torch.tensor(np.stack(part), dtype=torch.float32) for part in zip(*perturbed, strict=True))
    found = peer(
        forward,
        lambda _: (first, second),
        torch.tensor(image[None]),
        torch.tensor(raw[None], dtype=torch.float32),
        n_perturb_samples=SAMPLES,
        normalize=normalize,
    )
    return float(found)


def squares(model: Model, image: np.ndarray, black: np.ndarray) -> list[np.ndarray]:
    """What `infidelity` takes out of the image."""
    generator = np.random.default_rng(5)
    return [np.where(random_square(generator, (6, 7), 0.5), image - black, 0) for _ in range(SAMPLES)]


@pytest.mark.parametrize("slopes", [True, False])
def test_squares_against_captum(slopes: bool) -> None:
    model = network()
    method = saliency if slopes else integrated_gradients
    found = method(model, PICTURES)
    assert found.raw is not None
    result = infidelity(model, found, PICTURES, slopes=slopes, samples=SAMPLES, square=0.5, seed=5)
    black = inputs(model, np.zeros_like(PICTURES))
    for row, image in enumerate(inputs(model)):
        taken = squares(model, image, black[row])
        # Captum multiplies shares of the score with 1 where something is taken: its decorator divides by x - baseline.
        weights = taken if slopes else [np.where(part != 0, 1.0, 0.0) for part in taken]
        perturbed = [(weight, image - part) for weight, part in zip(weights, taken, strict=True)]
        kind = int(found.targets[row].split()[-1])
        for normalize, value in ((False, result.infidelity[row]), (True, result.scaled[row])):
            expected = captums(model, image, kind, found.raw[row], perturbed, normalize)
            np.testing.assert_allclose(value, expected, rtol=1e-3)


def test_noise_against_captum() -> None:
    model = network()
    found = saliency(model, PICTURES)
    assert found.raw is not None
    options: dict[str, Any] = {"slopes": True, "perturbation": "noise", "noise": 0.2}
    result = infidelity(model, found, PICTURES, samples=SAMPLES, seed=5, **options)
    scale = np.array(model.spec.scale)[:, None, None] * 255 * 0.2
    for row, image in enumerate(inputs(model)):
        generator = np.random.default_rng(5)
        noise = [generator.normal(size=image.shape) * scale for _ in range(SAMPLES)]
        kind = int(found.targets[row].split()[-1])
        perturbed = [(part, image - part) for part in noise]
        expected = captums(model, image, kind, found.raw[row], perturbed, False)
        np.testing.assert_allclose(result.infidelity[row], expected, rtol=1e-3)


def test_true_maps_of_a_linear_network_have_none() -> None:
    model = network(LINEAR)
    black = integrated_gradients(model, PICTURES, baseline="black")
    gradients = saliency(model, PICTURES)
    for result in (
        infidelity(model, black, PICTURES),
        infidelity(model, gradients, PICTURES, slopes=True),
        infidelity(model, gradients, PICTURES, slopes=True, perturbation="noise"),
    ):
        assert (result.changes > 1).all()
        assert (result.infidelity < 1e-6 * result.changes).all()


def test_maps_without_a_unit_are_judged_scaled() -> None:
    model = network(LINEAR)
    found = integrated_gradients(model, PICTURES, baseline="black")
    assert found.raw is not None
    louder = infidelity(model, replace(found, raw=found.raw * 1000), PICTURES)
    assert (louder.infidelity > 1000 * louder.changes).all() and (louder.scaled < 1e-6 * louder.changes).all()
    empty = infidelity(model, replace(found, raw=None, maps=np.zeros_like(found.maps)), PICTURES)
    np.testing.assert_allclose(empty.infidelity, empty.changes)
    np.testing.assert_allclose(empty.scaled, empty.changes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"perturbation": "salt"}, "perturbation expects squares or noise, found 'salt'"),
        ({"perturbation": "noise"}, "noise can be judged with slopes only"),
        ({"slopes": True}, "a raw value for every number of the input, grad_cam has none such"),
        ({"square": 2}, "square expects a share of the image's side"),
        ({"samples": 0}, "samples expects a whole number"),
    ],
)
def test_bad_input(options: dict[str, Any], message: str) -> None:
    model = network()
    with pytest.raises(InputError, match=message):
        infidelity(model, grad_cam(model, PICTURES), PICTURES, **options)
