"""Max-sensitivity against Captum's, with the same perturbations."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from explained_networks import LINEAR, PICTURES, edge_detector, inputs, network, values
from onnxray.engine.methods.grad_cam import grad_cam
from onnxray.engine.methods.input_x_gradient import input_x_gradient
from onnxray.engine.methods.saliency import saliency
from onnxray.engine.metrics import explaining
from onnxray.engine.metrics.max_sensitivity import max_sensitivity
from onnxray.importers.errors import InputError

SAMPLES, RADIUS = 10, 0.1


def perturbed(picture: np.ndarray) -> np.ndarray:  # [SAMPLES, H, W, 3]
    most = RADIUS * 255
    noise = np.random.default_rng(4).uniform(-most, most, (SAMPLES, *picture.shape))
    return np.clip(picture + noise.astype(np.float32), 0, 255)


def _given(changed: Any, _: Any) -> Any:
    """Captum's perturbation of an image: what was made before."""
    return changed


@pytest.mark.parametrize("method", [saliency, input_x_gradient])
def test_against_captum(method: Any) -> None:
    import torch
    import torchvision_networks as networks

    networks.torchvision_models()
    from captum.metrics import sensitivity_max

    model = network()
    kinds = values(model, inputs(model), "logits").argmax(1)
    torch_model = model.torch()

    def explain(x: torch.Tensor | tuple[torch.Tensor], kind: int) -> tuple[torch.Tensor]:
        x = (x[0] if isinstance(x, tuple) else x).detach().requires_grad_()
        with torch.enable_grad():
            logits = torch_model.forward({"image": x}, ["logits"])["logits"]
            (gradient,) = torch.autograd.grad(logits[:, kind].sum(), x)
        return ((gradient if method is saliency else gradient * x).detach().contiguous(),)

    result = max_sensitivity(model, PICTURES, method, radius=RADIUS, samples=SAMPLES, seed=4)
    for row, picture in enumerate(PICTURES):
        changed = torch.tensor(inputs(model, perturbed(picture)))
        expected = sensitivity_max(
            lambda x, row=row: explain(x, int(kinds[row])),
            torch.tensor(inputs(model, PICTURES[row : row + 1])),
            partial(_given, changed),
            n_perturb_samples=SAMPLES,
        )
        np.testing.assert_allclose(result.sensitivity[row], float(expected), rtol=1e-3)
    assert result.targets == tuple(f"class {kind}" for kind in kinds)
    assert (result.sensitivity > 0).all()


def test_what_a_linear_network_depends_on_is_everywhere_the_same() -> None:
    assert (max_sensitivity(network(LINEAR), PICTURES, saliency).sensitivity == 0).all()
    assert (max_sensitivity(network(LINEAR), PICTURES, input_x_gradient).sensitivity > 0.005).all()


def test_several_targets_options_and_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    model, method = network(), partial(grad_cam, layer="relu1")
    together = max_sensitivity(model, PICTURES, method, target=[0, "relu2:1"])
    monkeypatch.setattr(explaining, "_AT_ONCE", 3)
    apart = max_sensitivity(model, PICTURES, method, target=[0, "relu2:1"])
    np.testing.assert_allclose(apart.sensitivity, together.sensitivity, rtol=1e-5)
    assert together.targets == ("class 0", "relu2, channel 1") * 3
    assert together.images == tuple(f"image#{image}" for image in (0, 0, 1, 1, 2, 2))
    alone = max_sensitivity(model, PICTURES[:1], method, target="relu2:1")
    np.testing.assert_allclose(alone.sensitivity, together.sensitivity[1:2], rtol=1e-5)


def test_grey_images_keep_their_radius() -> None:
    """Noise of three channels of its own would be averaged on the way to the one that the network takes."""
    found = []
    for channels, order in ((1, "GREY"), (3, "RGB")):
        model = network(LINEAR.replace("N, 3, 6, 7", f"N, {channels}, 6, 7").replace("126", str(42 * channels)))
        model.spec = model.spec.override("test", mean=(0.0,), scale=(1.0,), channel_order=order)
        grey = np.full((1, 6, 7, channels), 128, np.uint8)
        found.append(max_sensitivity(model, grey, edge_detector, target=1, samples=30).sensitivity[0])
    assert found[0] > 1.3 * found[1]  # whose edges are those of the channels' mean


@pytest.mark.parametrize(
    ("options", "message"), [({"samples": 0}, "samples expects"), ({"radius": 0}, "radius expects a number above 0")]
)
def test_bad_input(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        max_sensitivity(network(), PICTURES, saliency, **options)
