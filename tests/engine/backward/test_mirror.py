"""The deconvnet on onnxruntime against the one that torch runs, and against one in NumPy: every layer, random units."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import backward_runs
import deconvnet_networks
import deconvnet_oracle
import numpy as np
import onnx
import onnxray
import pytest
import torch
import torchvision_networks
from model_specs import load_model
from onnxray.engine.backward.mirror import Mirror, mirror
from onnxray.engine.backward.network import prepared
from onnxray.engine.gradient.rules import DECONVNET
from onnxray.engine.images import ImageBatches
from onnxray.engine.model import Model
from onnxray.engine.structure.semantics import constant_tensors

Shared = Callable[[str], Path]
NEAR = 1e-4  # of the largest value
UNITS = 20  # of each layer
LENET = "models/caffe/lenet_mnist/lenet_iter_10000.caffemodel"
FILES = (
    LENET,
    "models/caffe/cifar10_quick/cifar10_quick_iter_5000.caffemodel",
    "models/derived/resnet20_cifar10.onnx",
    "models/derived/squeezenet1.1.onnx",
)


@pytest.fixture(autouse=True)
def prepared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is the same for every layer of a network, and takes most of a mirror's time, is not repeated."""
    monkeypatch.setattr("onnxray.engine.backward.mirror.prepared", cache(prepared))


def layers(model: Model) -> list[str]:
    """All that depends on the image."""
    constant = constant_tensors(model.graph)
    made = (name for node in model.graph.nodes for name in node.outputs[:1] if name not in constant)
    return [name for name in made if model.graph.types[name].dtype == "float32"]


def same(found: np.ndarray, expected: np.ndarray) -> None:
    """Each row to a share of its own largest value."""
    axes = tuple(range(1, expected.ndim))
    most = np.abs(expected).max(axes, keepdims=True)
    assert found.shape == expected.shape and most.any()
    assert (np.abs(found - expected) <= NEAR * most).all()


def random_units(shape: tuple[int, ...], count: int) -> np.ndarray:
    """1 at one place of each, else 0."""
    random, units = np.random.default_rng(0), np.zeros((count, *shape), np.float32)
    units.reshape(count, -1)[np.arange(count), random.integers(0, np.prod(shape), count)] = 1
    return units


class Exact:
    """What torch has of a network and an image, in float64."""

    def __init__(self, model: Model, image: np.ndarray, tensors: list[str]) -> None:
        self._image = torch.from_numpy(image).double().requires_grad_()
        exact = model.torch(precision=torch.float64)
        self._made = exact.forward({model.graph.inputs[0]: self._image}, tensors, DECONVNET)
        self.values = {name: value.detach().numpy() for name, value in self._made.items()}
        self.values.update(exact_switches(model, image, tensors[-1]))

    def project(self, layer: str, units: np.ndarray) -> np.ndarray:
        """By the rule."""
        arriving = torch.from_numpy(units).double()
        return np.concatenate([self._of_unit(self._made[layer], unit[None]) for unit in arriving])

    def _of_unit(self, made: torch.Tensor, unit: torch.Tensor) -> np.ndarray:
        return torch.autograd.grad(made, self._image, unit, retain_graph=True)[0].numpy()


def exact_switches(model: Model, image: np.ndarray, layer: str) -> dict[str, np.ndarray]:
    """Of the MaxPools before a layer, by their names in the pass written as ONNX."""
    proto, begin, _ = backward_runs.with_backward(model, layer, model.graph.inputs, "deconvnet")
    switches = [name for node in proto.graph.node if node.op_type == "MaxPool" for name in node.output[1:]]
    both, shape = Model(proto, model.path), model.graph.shape(layer) or ()
    feeds = {model.graph.inputs[0]: image, begin: np.zeros([size or 1 for size in shape], np.float32)}
    return both.torch(precision=torch.float64).run(feeds, switches) if switches else {}


def mirrored(back: Mirror, image: np.ndarray, exact: Mapping[str, np.ndarray], units: np.ndarray) -> np.ndarray:
    """What the mirrored network gives, having been checked what the forward one records.

    Of neighbours that are equal but for float32's rounding another may win than in float64. Such switches, which are
    few, are those of float64 in the comparison: a sum that passes through another place has nothing in common."""
    value, recorded = back.forward(image)
    same(value, exact[back.layer])
    for name, found in recorded.items():
        if found.dtype == np.int64:
            assert (found != exact[name]).mean() < 1e-3
            recorded[name] = exact[name]
    return back.backward(units, recorded)


def check_layers(model: Model, image: np.ndarray, every: int = 1) -> None:
    chosen = layers(model)[::-every][::-1]
    exact = Exact(model, image, chosen)
    for layer in chosen:
        back, units = mirror(model, layer), random_units(exact.values[layer].shape[1:], UNITS)
        same(mirrored(back, image, exact.values, units), exact.project(layer, units))


def small(model: Model, side: int) -> Model:
    """The same network for smaller images, where all but the mean at its end are convolutions and pools."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    del proto.graph.value_info[:]
    for axis in (2, 3):
        proto.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = side
    made = Model(proto, model.path)
    made.spec = model.spec.override("test", size=(side, side))
    return made


def photo(model: Model, shared: Shared) -> np.ndarray:
    ((_, image),) = ImageBatches([shared("data/skimage_images/chelsea.png")], model, 1)
    return image


@pytest.mark.parametrize("file", FILES)
def test_layers_of_real_files(file: str, shared: Shared) -> None:
    model = load_model(shared, file)
    model = small(model, 67) if "squeezenet" in file else model
    check_layers(model, photo(model, shared))


@pytest.mark.parametrize("name", deconvnet_networks.NETWORKS)
def test_layers_of_papers_networks(name: str) -> None:
    model = deconvnet_networks.network(name)
    check_layers(model, deconvnet_networks.image(model))


@pytest.mark.parametrize(("name", "every"), [("unet", 1), ("googlenet", 23)])
def test_layers_of_exported_networks(name: str, every: int, tmp_path: Path) -> None:
    model = onnxray.load(torchvision_networks.exported(name, "legacy", tmp_path, any_batch=True))
    check_layers(model, torchvision_networks.images(name).numpy(), every)


def check_steps(model: Model, image: np.ndarray, chosen: list[str]) -> None:
    """End to end in float32, against float64."""
    chain = deconvnet_oracle.Chain(model.proto, chosen[-1])
    values = chain.forward(image[0].astype(np.float64))
    for layer in chosen:
        back, units = mirror(model, layer), random_units(values[layer].shape, 3)
        value, recorded = back.forward(image)
        same(value, values[layer][None])
        same(back.backward(units, recorded), np.stack([chain.project(layer, unit) for unit in units]))


def test_lenet_step_by_step(shared: Shared) -> None:
    model = load_model(shared, LENET)
    check_steps(model, photo(model, shared), [name for name in layers(model) if name not in model.graph.outputs])


def test_zfnet_step_by_step() -> None:
    model = deconvnet_networks.network("zfnet")
    chosen = ["conv1", "conv2", "conv3", "conv4", "conv5", "logits"]
    check_steps(model, deconvnet_networks.image(model), chosen)
