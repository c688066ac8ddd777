"""Every real ONNX and Caffe file of the shared collection through the bridge, on a photograph.

The certificate compares values with onnxruntime's, and gradients with differences of onnxruntime's outputs. A second
oracle of gradients is onnx2torch's copy of the network.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxray
import pytest
import torch
from model_specs import MODEL_SPECS, load_model
from onnxray.engine.gradient.certificate import certify
from onnxray.engine.gradient.torch_model import TorchModel
from onnxray.engine.images import image_input, prepare, read_image
from torchvision_networks import torchvision_models

BAR = 1e-4  # of a tensor's range
PHOTOS = {"ppocr": "page.png", "": "astronaut.png"}  # text for what reads text, a face for the rest

Shared = Callable[[str], Path]
Subject = tuple[onnxray.Model, np.ndarray]


@pytest.fixture(scope="module", params=MODEL_SPECS, ids=lambda name: Path(name).stem)
def subject(request: pytest.FixtureRequest, shared: Shared) -> Subject:
    model = load_model(shared, request.param)
    photo = read_image(shared("data/skimage_images/" + next(PHOTOS[part] for part in PHOTOS if part in request.param)))
    return model, prepare(photo, model.spec, image_input(model)[1])


def gradient(network: TorchModel, values: np.ndarray) -> torch.Tensor:
    """Of a seeded projection of all outputs, with respect to the image."""
    image, generator = torch.tensor(values, requires_grad=True), torch.Generator().manual_seed(2)
    (entry,), outputs = network.model.graph.inputs, network.model.graph.outputs
    found = network.forward({entry: image}, outputs).values()
    score = sum((value * torch.randn(value.shape, generator=generator)).sum() for value in found)
    return torch.autograd.grad(score, image)[0].double().flatten()


def test_outputs_are_onnxruntimes(subject: Subject) -> None:
    model, image = subject
    found, expected = model.torch().run(image), model.session().run(image)
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name].shape == value.shape and found[name].dtype == value.dtype
        assert np.abs(found[name] - value).max() <= BAR * np.ptp(value), name


def test_it_certifies(subject: Subject) -> None:
    found = certify(*subject, per_node=False)
    assert found.passed and found.bar == BAR and not found.missing
    assert found.gradients.checked


def test_gradient_is_onnx2torchs(subject: Subject) -> None:
    """Where rounding moves a value across the kink of a ReLU, a few pixels differ."""
    torchvision_models()  # which onnx2torch imports
    model, image = subject
    found, expected = (gradient(network, image) for network in (model.torch(), model.torch(via="onnx2torch")))
    assert torch.nn.functional.cosine_similarity(found, expected, dim=0) > 0.9999
    assert (found - expected).norm() <= 1e-2 * expected.norm()
    assert len(model.torch(via="onnx2torch").ours) < len(model.graph.nodes) / 4  # else it is no other opinion
