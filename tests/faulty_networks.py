"""A small network whose faults are planted: healthy as it is, its first layer a bank of Gabor filters and blobs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tiny_models
from onnx import numpy_helper
from onnxray.engine.model import Model, load

TEXT = """
<ir_version: 8, opset_import: ["" : 17]>
planted (float[N, 3, 48, 48] image) => (float[N, 3] scores)
<float[12, 3, 7, 7] w1, float[12] b1, float[8, 12, 3, 3] w2, float[8] b2, float[6, 8, 3, 3] w3, float[6] b3,
 float[5, 6, 1, 1] w4, float[5] b4, float[5, 3] w5>
{
    conv1 = Conv <pads = [3, 3, 3, 3], strides = [2, 2]> (image, w1, b1)
    relu1 = Relu (conv1)
    conv2 = Conv <pads = [1, 1, 1, 1]> (relu1, w2, b2)
    relu2 = Relu (conv2)
    conv3 = Conv <pads = [1, 1, 1, 1]> (relu2, w3, b3)
    low = Constant <value = float {0.0}> ()
    high = Constant <value = float {6.0}> ()
    clip3 = Clip (conv3, low, high)
    conv4 = Conv (clip3, w4, b4)
    leaky4 = LeakyRelu (conv4)
    mean = GlobalAveragePool (leaky4)
    flat = Flatten (mean)
    scores = MatMul (flat, w5)
}
"""
PICTURES = np.random.default_rng(0).integers(0, 256, (5, 48, 48, 3), dtype=np.uint8)
Weights = dict[str, np.ndarray]


def first_filters(high: float = 0.28, low: float = 0.05) -> np.ndarray:  # [12, 3, 7, 7]
    """What Zeiler and Fergus saw of a stride of 4: half of very high frequencies, half of very low ones, few between.

    `high`, `low`: cycles a pixel.
    """
    y, x = np.mgrid[:7, :7] - 3.0
    window = np.exp(-(x**2 + y**2) / (2 * 1.75**2))
    filters = np.empty((12, 3, 7, 7))
    for place in range(12):
        angle, phase = np.pi * (place // 2) / 6, 0.9 * place
        wave = np.cos(2 * np.pi * (low if place % 2 else high) * (x * np.cos(angle) + y * np.sin(angle)) + phase)
        colour = np.array((1.0, 1.0, 1.0) if place % 4 < 2 else (1.0, 0.3, -0.5))
        filters[place] = colour[:, None, None] * wave * window
    return filters / np.sqrt(np.square(filters).sum((1, 2, 3), keepdims=True))


def proto(plant: Callable[[Weights], None] | None = None, stride: int = 2) -> onnx.ModelProto:
    """The network, after `plant` has changed its weights; nodes are called as what they make."""
    model = tiny_models.model(TEXT)
    weights = {tensor.name: numpy_helper.to_array(tensor).copy() for tensor in model.graph.initializer}
    weights["w1"] = first_filters().astype(np.float32)
    for name, inputs in (("w2", 108), ("w3", 72), ("w4", 6)):
        weights[name] /= np.float32(np.sqrt(inputs))
    for name in ("b1", "b2", "b3", "b4"):
        weights[name] = np.float32(0.1) * weights[name]
    if plant is not None:
        plant(weights)
    for tensor in model.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(weights[tensor.name].astype(np.float32), tensor.name))
    for node in model.graph.node:
        node.name = node.output[0]
        for attribute in node.attribute:
            if attribute.name == "strides":
                attribute.ints[:] = [stride, stride]
    return model


def save(path: Path, **options: Any) -> Path:
    """Write `proto(**options)` to `path` and return it."""
    onnx.save(proto(**options), path)
    return path


def network(path: Path, **options: Any) -> Model:
    """The same, loaded."""
    settings = {"mean": (127.5,), "scale": (1 / 50,), "channel_order": "RGB", "resize": "stretch"}
    return load(save(path, **options), **settings)
