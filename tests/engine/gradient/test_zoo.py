"""Real architectures through both of torch's exporters and back: the same values and the same gradients as the source.

The oracles are onnxruntime (values) and the torch module that the file was exported from (values and gradients).
Exports take most of the time, so without CI or ONNXRAY_ZOO=all in the environment each architecture is tested by one
exporter: torch's default one where that can write it.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnxray
import pytest
import torch
import torchvision_networks as zoo
from onnxray.engine.gradient.certificate import certify
from onnxray.engine.gradient.torch_model import TorchModel
from torch import Tensor

BAR = 1e-4  # of a tensor's range
ALL = bool(os.environ.get("CI")) or os.environ.get("ONNXRAY_ZOO") == "all"
FILES = [(name, exporter) for name, exporter in zoo.EXPORTS if ALL or exporter == zoo.ARCHITECTURES[name].exporters[0]]


@dataclass(frozen=True)
class Subject:
    """An exported network, and the source it was exported from."""

    name: str
    exporter: str
    model: onnxray.Model

    @property
    def image(self) -> Tensor:
        return zoo.images(self.name)

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        return tuple(self.model.graph.outputs)

    def of_bridge(self, images: Tensor) -> list[Tensor]:
        """The outputs in float64, differentiable in the images."""
        values = TorchModel(self.model, torch.float64).forward({"image": images}, self.outputs)
        return [values[name] for name in self.outputs]

    def of_source(self, images: Tensor) -> list[Tensor]:
        """The outputs of the torch module, in the images' type."""
        network = zoo.network(self.name)
        return zoo.flat((network if images.dtype == torch.float32 else deepcopy(network).to(images.dtype))(images))


@pytest.fixture(scope="module", params=FILES, ids="-".join)
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    name, exporter = request.param
    file = zoo.exported(name, exporter, tmp_path_factory.mktemp("zoo"))
    yield Subject(name, exporter, onnxray.load(file))
    file.unlink()  # they are several GB together
    gc.collect()  # modules and their graphs hold each other, and all weights


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference, as a share of the expected values' range."""
    assert found.shape == expected.shape and found.dtype == expected.dtype
    return float(np.abs(found - expected).max() / np.ptp(expected))


def gradient(outputs: Callable[[Tensor], Sequence[Tensor]], images: Tensor) -> np.ndarray:
    """Of a seeded projection of all outputs, with respect to the images; in float64."""
    images = images.double().requires_grad_()
    generator = torch.Generator().manual_seed(2)
    values = [value for value in outputs(images) if value.is_floating_point()]
    score = sum((value * torch.randn(value.shape, generator=generator)).sum() for value in values)
    return torch.autograd.grad(score, images)[0].numpy()


def cosine(first: np.ndarray, second: np.ndarray) -> float:
    first, second = first.ravel().astype(np.float64), second.ravel().astype(np.float64)
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


def assert_same_gradient(found: np.ndarray, expected: np.ndarray) -> None:
    """Direction and length. In float32 rounding moves values across the kinks of ReLU and pooling, each of which
    changes a deep network's gradient by about a hundredth; in float64 only the rounding of folded weights is left."""
    assert np.linalg.norm(expected) > 0
    assert cosine(found, expected) > 0.9999
    assert np.linalg.norm(found - expected) <= 1.5e-2 * np.linalg.norm(expected)  # as 0.9999, and the length


def test_every_node_certifies(subject: Subject) -> None:
    found = certify(subject.model, subject.image.numpy(), gradients=False)
    assert found.passed and found.bar == BAR and not found.missing
    assert [row.name for row in found.outputs if row.passed] == list(subject.outputs)


def test_values_are_the_sources(subject: Subject) -> None:
    """What a detector decides (labels) exactly."""
    found = subject.model.torch().run(subject.image.numpy())
    with torch.no_grad():
        values = subject.of_source(subject.image)
    for name, value in zip(subject.outputs, values, strict=True):
        assert value.numel()
        if value.is_floating_point():
            assert relative(found[name], value.numpy()) <= BAR, name
        else:
            np.testing.assert_array_equal(found[name], value.numpy())


def test_gradient_is_the_sources(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two-stage detectors cut the gradient between their stages, which ONNX cannot say: compared without the cut."""
    found = gradient(subject.of_bridge, subject.image)
    if subject.name == "fasterrcnn_mobilenet_320":
        assert cosine(found, gradient(subject.of_source, subject.image)) < 0.99
        monkeypatch.setattr(torch.Tensor, "detach", lambda tensor: tensor)
    expected = gradient(subject.of_source, subject.image)
    monkeypatch.undo()
    assert_same_gradient(found, expected)


@pytest.mark.parametrize("exporter", zoo.EXPORTERS)
@pytest.mark.parametrize("name", ["resnet18", "shufflenet_v2", "vit_b_16", "lraspp", "unet", "hourglass"])
def test_a_batch_is_its_images(name: str, exporter: str, tmp_path: Path) -> None:
    file = zoo.exported(name, exporter, tmp_path, any_batch=True)
    network, images = onnxray.load(file).torch(), zoo.images(name, 3).numpy()
    file.unlink()
    together, single = network.run(images), [network.run(image[None]) for image in images]
    for output, values in together.items():
        assert relative(values, np.concatenate([part[output] for part in single])) <= 1e-5
