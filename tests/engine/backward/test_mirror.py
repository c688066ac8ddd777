"""The deconvnet on onnxruntime against the one that torch runs: every layer of real networks, random units."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from model_specs import load_model
from onnxray.engine.backward.mirror import mirror
from onnxray.engine.gradient.rules import DECONVNET
from onnxray.engine.images import ImageBatches
from onnxray.engine.model import Model
from onnxray.engine.structure.places import is_feature_map
from onnxray.engine.targets import Function

Shared = Callable[[str], Path]
NEAR = 1e-4  # of the largest value
UNITS = 20  # of each layer


def layers(model: Model) -> list[str]:
    """Feature maps that depend on the image through something."""
    made = (name for node in model.graph.nodes for name in node.outputs[:1])
    return [name for name in made if is_feature_map(model.graph, name)]


def by_torch(model: Model, layer: str, image: np.ndarray, units: np.ndarray) -> np.ndarray:
    weights = torch.from_numpy(units)
    target = Function(layer, lambda value: (value * weights.to(value)).flatten(1).sum(1), "units")
    name = model.graph.inputs[0]
    return model.torch().gradients(image.repeat(len(units), 0), target, [name], rule=DECONVNET).gradients[name]


@pytest.mark.parametrize(
    ("file", "every"),
    [
        ("models/caffe/lenet_mnist/lenet_iter_10000.caffemodel", 1),
        ("models/caffe/cifar10_quick/cifar10_quick_iter_5000.caffemodel", 1),
        ("models/derived/resnet20_cifar10.onnx", 9),
        ("models/derived/squeezenet1.1.onnx", 17),
    ],
)
def test_layers_of_real_files(file: str, every: int, shared: Shared) -> None:
    model, random = load_model(shared, file), np.random.default_rng(0)
    ((_, image),) = ImageBatches([shared("data/skimage_images/chelsea.png")], model, 1)
    for layer in layers(model)[::every]:
        back = mirror(model, layer)
        value, recorded = back.forward(image)
        units = np.zeros((UNITS, *value.shape[1:]), np.float32)
        for unit in units:
            unit[tuple(random.integers(0, value.shape[1:]))] = 1
        found, expected = back.backward(units, recorded), by_torch(model, layer, image, units)
        apart = np.abs(found - expected) / np.abs(expected).max()
        # Rounding may tip a ReLU on the way back, or the winner of equal neighbours.
        assert (apart > NEAR).mean() < 1e-4 and apart.max() < 1e-2, layer


def test_lenet_step_by_step(shared: Shared) -> None:
    """The pass in loops: filters transposed, maxima back to where they were. No ReLU lies before the dense layers."""
    model = load_model(shared, "models/caffe/lenet_mnist/lenet_iter_10000.caffemodel")
    first, second = (node for node in model.graph.nodes if node.op == "Conv")
    w1, b1 = (model.graph.weight(name).astype(np.float64) for name in first.inputs[1:])
    w2 = model.graph.weight(second.inputs[1]).astype(np.float64)
    ((_, image),) = ImageBatches([shared("data/skimage_images/chelsea.png")], model, 1)
    made = np.zeros((20, 24, 24))
    for y, x in np.ndindex(24, 24):
        made[:, y, x] = (w1 * image[0, :, y : y + 5, x : x + 5]).sum((1, 2, 3)) + b1
    back = mirror(model, second.outputs[0])
    value, recorded = back.forward(image)
    for unit, row, column in ((0, 0, 0), (17, 3, 5), (49, 7, 2)):
        units = np.zeros((1, *value.shape[1:]), np.float32)
        units[0, unit, row, column] = 1
        pooled, unpooled, expected = np.zeros((20, 12, 12)), np.zeros((20, 24, 24)), np.zeros((1, 28, 28))
        pooled[:, row : row + 5, column : column + 5] = w2[unit]
        for channel, y, x in np.ndindex(20, 12, 12):
            window = made[channel, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2]
            down, right = np.unravel_index(window.argmax(), (2, 2))
            unpooled[channel, 2 * y + down, 2 * x + right] = pooled[channel, y, x]
        for channel, y, x in np.ndindex(20, 24, 24):
            expected[:, y : y + 5, x : x + 5] += unpooled[channel, y, x] * w1[channel]
        found = back.backward(units, recorded)[0]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
