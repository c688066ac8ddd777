"""Exported explanations against the methods of the same names, and in an environment that has onnxruntime alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from cam_peers import PICTURES, inputs, tiny
from explained_networks import network
from model_specs import load_model
from onnxray.engine.backward.heat_map import EXPORTED, heat_map_model
from onnxray.engine.images import ImageBatches
from onnxray.engine.methods import attribution_method
from onnxray.engine.model import Model
from onnxray.engine.targets import ClassScore
from onnxray.importers.errors import InputError

Shared = Callable[[str], Path]
NEAR = 1e-4  # of the largest value


def run(proto: onnx.ModelProto, batch: np.ndarray, **more: np.ndarray) -> dict[str, np.ndarray]:
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {session.get_inputs()[0].name: batch, **more}), strict=True))


def same(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.shape == expected.shape and np.abs(expected).max() > 0
    np.testing.assert_allclose(found, expected, rtol=0, atol=NEAR * np.abs(expected).max())


@pytest.mark.parametrize("method", EXPORTED)
def test_the_same_as_the_method(method: str) -> None:
    model = tiny()
    proto = heat_map_model(model, method)
    batch, explain = inputs(model), attribution_method(method)
    found = run(proto, batch)
    expected = explain(model, PICTURES)
    same(found["heatmap"], expected.maps)
    assert found["explained"].tolist() == [int(label.split()[-1].strip("()")) for label in expected.targets]
    (output,) = model.graph.outputs
    np.testing.assert_allclose(found[output], model.session().run(batch, [output])[output], atol=1e-6)
    wanted = np.array([2, 0, 1, 1, 2])
    chosen = run(proto, batch, target=wanted)
    assert chosen["explained"].tolist() == wanted.tolist()
    for row, target in enumerate(wanted.tolist()):
        same(chosen["heatmap"][row : row + 1], explain(model, PICTURES[row : row + 1], target=target).maps)
    same(run(heat_map_model(model, method, target=1), batch)["heatmap"], explain(model, PICTURES, target=1).maps)


@pytest.mark.parametrize("file", ["models/derived/squeezenet1.1.onnx", "models/derived/resnet20_cifar10.onnx"])
def test_real_files(file: str, shared: Shared) -> None:
    """In float64, where no rounding tips a ReLU or the winner of equal neighbours, the gradients are the same; in
    float32, as onnxruntime runs them, but for a few pixels."""
    model = load_model(shared, file)
    photos = [shared(f"data/skimage_images/{name}.png") for name in ("coffee", "chelsea", "astronaut")]
    ((_, batch),) = ImageBatches(photos, model, 8)
    exported = Model(heat_map_model(model, "saliency"), Path("heat.onnx"))
    exact = exported.torch(precision=torch.float64).run(batch, ["heatmap", "explained"])
    target, image = ClassScore(tuple(exact["explained"].tolist())), model.graph.inputs[0]
    found = model.torch(precision=torch.float64).gradients(batch, target, [image])
    expected = np.abs(found.gradients[image]).max(1)
    np.testing.assert_allclose(exact["heatmap"], expected, rtol=0, atol=1e-6 * expected.max())
    for method in ("saliency", "deconvnet", "guided_grad_cam"):
        maps = attribution_method(method)(model, photos).maps
        apart = np.abs(run(heat_map_model(model, method), batch)["heatmap"] - maps) / np.abs(maps).max()
        assert (apart > NEAR).mean() < 0.01, method


def test_onnxs_own_operators_that_pass_its_checks() -> None:
    for method in EXPORTED:
        proto = heat_map_model(tiny(), method)
        onnx.checker.check_model(proto, full_check=True)
        assert {node.domain for node in proto.graph.node} == {""}


ALONE = """
import sys, numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
(heat,) = session.run(["heatmap"], {"image": numpy.load(sys.argv[2])})
numpy.save(sys.argv[3], heat)
assert not {"torch", "onnx", "onnxray"} & set(sys.modules)
"""


def test_needs_onnxruntime_and_numpy_alone(tmp_path: Path) -> None:
    model = tiny()
    onnx.save(heat_map_model(model, "grad_cam"), tmp_path / "heat.onnx")
    np.save(tmp_path / "in.npy", inputs(model))
    files = [str(tmp_path / name) for name in ("heat.onnx", "in.npy", "out.npy")]
    subprocess.run([sys.executable, "-c", ALONE, *files], check=True)
    same(np.load(files[2]), attribution_method("grad_cam")(model, PICTURES).maps)


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (tiny, {"method": "rise"}, "--export of --method expects saliency, input_x_gradient, guided_backprop"),
        (tiny, {"method": "saliency", "layer": "conv"}, "saliency has no layer"),
        (tiny, {"method": "saliency", "target": 99}, "the network has no class 99, its classes are 0 to"),
        (tiny, {"layer": "nothing"}, "the network has no layer 'nothing'"),
    ],
)
def test_one_line_for_what_cannot_be(make: Callable[[], Model], options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        heat_map_model(make(), **options)
    assert "\n" not in str(raised.value)


def test_a_network_that_is_no_classifier() -> None:
    text = """
    <ir_version: 8, opset_import: ["" : 17]>
    maps (float[N, 3, 6, 7] image) => (float[N, 4, 6, 7] y) <float[4, 3, 3, 3] w>
    { y = Conv <pads = [1, 1, 1, 1]> (image, w) }"""
    with pytest.raises(InputError, match=r"the network has no output \[images, classes\]"):
        heat_map_model(network(text))
