"""Small networks and methods for the metrics' tests, with explanations known by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tiny_models
from onnxray.engine.images import channels_first, image_input, prepare
from onnxray.engine.methods.attributing import attribution
from onnxray.engine.methods.attribution import Attribution, Maps, Method
from onnxray.engine.methods.forward import forward
from onnxray.engine.model import Model
from onnxray.engine.targets import Target

# Three scores, each a weighted sum of all numbers of the input.
LINEAR = """
<ir_version: 8, opset_import: ["" : 17]>
linear (float[N, 3, 6, 7] image) => (float[N, 3] scores)
<float[126, 3] w, float[3] b>
{
    flat = Flatten (image)
    scores = Gemm (flat, w, b)
}
"""
# Two convolutions, a dense layer, and a softmax that is not sure.
CURVED = """
<ir_version: 8, opset_import: ["" : 17]>
curved (float[N, 3, 6, 7] image) => (float[N, 3] scores)
<float[4, 3, 3, 3] conv1_w, float[4] conv1_b, float[5, 4, 3, 3] conv2_w, float[5, 3] fc_w, float[3] fc_b>
{
    conv1 = Conv <pads = [1, 1, 1, 1]> (image, conv1_w, conv1_b)
    relu1 = Relu (conv1)
    conv2 = Conv <pads = [1, 1, 1, 1]> (relu1, conv2_w)
    relu2 = Relu (conv2)
    mean = GlobalAveragePool (relu2)
    tenth = Constant <value = float {0.1}> ()
    small = Mul (mean, tenth)
    flat = Flatten (small)
    logits = Gemm (flat, fc_w, fc_b)
    scores = Softmax (logits)
}
"""
PICTURES = np.random.default_rng(0).integers(0, 256, (3, 6, 7, 3), dtype=np.uint8)


def network(text: str = CURVED) -> Model:
    """Of BGR images, with a mean and scales of their own."""
    model = Model(tiny_models.model(text), Path("explained.onnx"))
    options = {"mean": (100.0, 110.0, 120.0), "scale": (1 / 60, 1 / 50, 1 / 40), "channel_order": "BGR"}
    model.spec = model.spec.override("test", resize="stretch", **options)
    return model


def inputs(model: Model, pictures: np.ndarray = PICTURES) -> np.ndarray:
    """What the network is fed for these pictures."""
    shape = image_input(model)[1]
    return np.concatenate([prepare(picture, model.spec, shape) for picture in pictures])


def values(model: Model, batch: np.ndarray, tensor: str) -> np.ndarray:
    """A tensor of the network for inputs, in float64."""
    return model.session().run(batch, [tensor])[tensor].astype(np.float64)


def edge_detector(model: Model, images: Any, *, target: Any = None) -> Attribution:
    """The image's own edges, whatever the network and the target: what a sanity check must catch."""

    def explain(batch: np.ndarray, wanted: Target) -> Maps:
        grey = channels_first(batch, model.spec).mean(1)
        edges = np.abs(np.diff(grey, axis=1, prepend=0)) + np.abs(np.diff(grey, axis=2, prepend=0))
        return Maps(forward(model, batch, wanted)[0], edges, "image")

    return attribution(model, images, target, Method("edge_detector", "edges", explain))
