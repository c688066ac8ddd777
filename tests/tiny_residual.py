"""A tiny residual network whose linear layers are written out as matrices, so that rules of propagation can be, too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tiny_models
from numpy.lib.stride_tricks import sliding_window_view
from onnxray.engine.images import prepare
from onnxray.engine.model import Model

Array = np.ndarray

TEXT = """
<ir_version: 8, opset_import: ["" : 17]>
residual (float[N, 1, 8, 8] image) => (float[N, 3] scores)
<float middle = {0.2}, float[4, 1, 3, 3] w1, float[4] b1, float[4, 4, 3, 3] w2, float[4] b2, float[4, 4, 3, 3] w3,
 float[4] scale, float[4] shift, float[4] mean, float[4] variance = {0.5, 1, 2, 3},
 float[5, 4] w4, float[5] b4, float[3, 5] w5, float[3] b5>
{
    centred = Sub (image, middle)
    conv1 = Conv <pads = [1, 1, 1, 1]> (centred, w1, b1)
    norm1 = BatchNormalization (conv1, scale, shift, mean, variance)
    relu1 = Relu (norm1)
    pool1 = MaxPool <kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]> (relu1)
    conv2 = Conv <pads = [1, 1, 1, 1]> (pool1, w2, b2)
    relu2 = Relu (conv2)
    conv3 = Conv <pads = [1, 1, 1, 1]> (relu2, w3)
    sum = Add (conv3, pool1)
    relu3 = Relu (sum)
    pooled = GlobalAveragePool (relu3)
    flat = Flatten (pooled)
    hidden = Gemm <transB = 1> (flat, w4, b4)
    active = Tanh (hidden)
    scores = Gemm <transB = 1> (active, w5, b5)
}
"""
PICTURES = np.random.default_rng(0).integers(0, 256, (5, 8, 8), dtype=np.uint8)


def network(text: str = TEXT) -> Model:
    model = Model(tiny_models.model(text), Path("residual.onnx"))
    model.spec = model.spec.override("test", mean=(128.0,), scale=(1 / 64,), channel_order="GREY", resize="stretch")
    return model


def inputs(model: Model, pictures: Array = PICTURES) -> Array:  # [n, 64] float64
    batch = [prepare(picture, model.spec, (1, 1, 8, 8)) for picture in pictures]
    return np.concatenate(batch).reshape(len(pictures), -1).astype(np.float64)


class Layers:
    """Each layer's matrix [made, read] and bias [made], batch normalisation taken in; the windows of the pooling."""

    def __init__(self, model: Model) -> None:
        w = {name: model.graph.weight(name).astype(np.float64) for name in model.graph.initializers}
        self.middle = float(w["middle"])
        scale = w["scale"] / np.sqrt(w["variance"] + 1e-5)
        bias = (w["b1"] - w["mean"]) * scale + w["shift"]
        self.conv1 = matrix(w["w1"] * scale[:, None, None, None], 8), bias.repeat(64)
        self.conv2 = matrix(w["w2"], 4), w["b2"].repeat(16)
        self.conv3 = matrix(w["w3"], 4), np.zeros(64)
        self.mean = np.kron(np.eye(4), np.full((1, 16), 1 / 16)), np.zeros(4)
        self.hidden, self.scores = (w["w4"], w["b4"]), (w["w5"], w["b5"])
        self.windows = [_window(*place) for place in np.ndindex(4, 4, 4)]

    def forward(self, image: Array) -> dict[str, Array]:  # [64] -> name -> values
        v = {"centred": image - self.middle}
        v["conv1"] = _apply(self.conv1, v["centred"])
        v["relu1"] = np.maximum(v["conv1"], 0)
        v["pool1"] = np.array([v["relu1"][window].max() for window in self.windows])
        v["conv2"] = _apply(self.conv2, v["pool1"])
        v["relu2"] = np.maximum(v["conv2"], 0)
        v["conv3"] = _apply(self.conv3, v["relu2"])
        v["sum"] = v["conv3"] + v["pool1"]
        v["relu3"] = np.maximum(v["sum"], 0)
        v["flat"] = _apply(self.mean, v["relu3"])
        v["hidden"] = _apply(self.hidden, v["flat"])
        v["active"] = np.tanh(v["hidden"])
        v["scores"] = _apply(self.scores, v["active"])
        return v


def matrix(weight: Array, size: int) -> Array:
    """The matrix of a 3x3 convolution with padding 1 of maps of this size."""
    inside = weight.shape[1] * size**2
    basis = np.pad(np.eye(inside).reshape(inside, -1, size, size), ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = sliding_window_view(basis, (3, 3), (2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, weight).reshape(inside, -1).T


def _window(channel: int, row: int, column: int) -> list[int]:
    """The places in [4, 8, 8] that one of 3x3 with stride 2 and padding 1 holds."""
    rows, columns = ([p for p in range(2 * at - 1, 2 * at + 2) if p >= 0] for at in (row, column))
    return [channel * 64 + y * 8 + x for y in rows for x in columns]


def _apply(layer: tuple[Array, Array], x: Array) -> Array:
    return layer[0] @ x + layer[1]


def relative(found: Array, expected: Array) -> float:
    """The largest difference, as a share of the largest value."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())
