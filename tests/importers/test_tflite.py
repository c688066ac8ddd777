"""TensorFlow Lite: the real models against Google's interpreter, their twins and what they are known to reach."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxray
import pytest
from onnxray.engine.methods.predict import predict
from onnxray.engine.structure.classifier import find_classifier
from onnxray.importers.certificate import certify, run_onnx
from PIL import Image

Shared = Callable[[str], Path]
MOBILENET = "models/tflite/mobilenet_v2_1.0_224_quant/mobilenet_v2_1.0_224_quant.tflite"
EMOTIONS = "models/tflite/fer_mini_xception/emotion_model_quantized.tflite"
FACES = "models/tflite/ultraface_rfb320/version-RFB-320_without_postprocessing.tflite"
PHOTOS = "data/imagenet_sample_256/dev"
HAPPY = 3  # angry disgust fear happy sad surprise neutral


@pytest.mark.parametrize("name", [MOBILENET, EMOTIONS, FACES])
def test_every_tensor_equals_googles_interpreters(shared: Shared, name: str) -> None:
    """Float ones to 1e-4 of their range, each rounded one on the interpreter's own inputs to one step."""
    path = shared(name)
    model = onnxray.load(path)
    certificate = certify(path, None, model.proto, per_layer=True)
    assert certificate.verified, list(certificate.verdict())
    assert certificate.reference.startswith("LiteRT") and len(certificate.inner) >= 30
    if name == FACES:  # nothing is rounded: the whole network is compared
        assert "on its inputs there" not in certificate.reads
        assert max(row.relative for row in certificate.outputs) <= 1e-5


def test_a_convolutional_network_has_no_transposes(shared: Shared) -> None:
    for name in (MOBILENET, EMOTIONS):
        assert "Transpose" not in {node.op_type for node in onnxray.load(shared(name)).proto.graph.node}
    nodes = [node.op_type for node in onnxray.load(shared(FACES)).proto.graph.node]
    assert nodes.count("Transpose") == 8  # a detector's heads are flattened in the file's order


def test_names_are_the_files(shared: Shared) -> None:
    graph = onnxray.load(shared(FACES)).proto.graph
    assert [value.name for value in (*graph.input, *graph.output)] == ["input_1", "Identity", "Identity_1"]
    shapes = [[dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in (*graph.input, *graph.output)]
    assert shapes == [[1, 3, 240, 320], [1, 4420, 4], [1, 4420, 2]]


# --- what they are known to reach ---


def test_mobilenet_on_photos(shared: Shared) -> None:
    """MANIFEST: 89 % and 97 % on another hundred; class 0 is the background. Labels and scale are in the file."""
    model = onnxray.load(shared(MOBILENET))
    assert (model.spec.mean, model.spec.scale) == ((128.0,), (1 / 128,))
    assert model.spec.origin["mean"] == "quantisation of input: its bytes are pixels"
    assert (len(model.labels), model.labels[0], model.labels[282]) == (1001, "background", "tabby, tabby cat")
    classifier = find_classifier(model.graph)
    assert classifier is not None and classifier.kind == "softmax"
    found = predict(model, sorted(shared(PHOTOS).glob("*.jpg"))[::5], top=5)
    truth = np.array([int(Path(name).name.split("_")[0]) + 1 for name in found.images])
    hits = found.indices == truth[:, None]
    assert len(truth) == 100 and hits[:, 0].mean() >= 0.80 and hits.any(1).mean() >= 0.95


def test_dequantised_mobilenet_sees_the_same(shared: Shared) -> None:
    rounded, floats = onnxray.load(shared(MOBILENET)), onnxray.load(shared(MOBILENET), dequantize=True)
    assert not {"QuantizeLinear", "DequantizeLinear"} & {node.op_type for node in floats.proto.graph.node}
    assert floats.proto.graph.node[-1].op_type == "Softmax"  # clipping it would hide that these are probabilities
    photos = sorted(shared(PHOTOS).glob("*.jpg"))[::20]
    first, second = (predict(model, photos, top=1).indices[:, 0] for model in (rounded, floats))
    assert (first == second).mean() >= 0.9
    assert "does not round as the file does" in certify(floats.path, None, floats.proto, options=floats.options).note


def test_the_astronaut_is_happy(shared: Shared) -> None:
    """MANIFEST: the Keras twin says 0.999."""
    with Image.open(shared("data/skimage_images/astronaut.png")) as file:
        face = np.asarray(file.convert("L").crop((170, 70, 280, 180)).resize((64, 64)), np.float32)
    proto = onnxray.load(shared(EMOTIONS), mean=127.5, scale=1 / 127.5).proto
    scores = run_onnx(proto, {"x": ((face - 127.5) / 127.5)[None, None]}, ["Identity"])["Identity"][0]
    assert scores.argmax() == HAPPY and scores[HAPPY] >= 0.99


def test_emotions_are_those_of_the_keras_twin(shared: Shared) -> None:
    """The same weights before they were rounded to 8 bits: no photo of a face differs in what it is taken for."""
    twin = onnxray.load(shared("models/keras_h5/fer_mini_xception/emotion_model.hdf5")).proto
    network = onnxray.load(shared(EMOTIONS)).proto
    with Image.open(shared("data/skimage_images/astronaut.png")) as file:
        grey = file.convert("L")
    for left, top, side in ((170, 70, 110), (160, 50, 130), (150, 40, 150), (180, 90, 90)):
        face = np.asarray(grey.crop((left, top, left + side, top + side)).resize((64, 64)), np.float32)
        image = ((face - 127.5) / 127.5)[None, None]
        ours = run_onnx(network, {"x": image}, ["Identity"])["Identity"]
        theirs = run_onnx(twin, {twin.graph.input[0].name: image}, [twin.graph.output[0].name])
        assert np.abs(ours - next(iter(theirs.values()))).max() <= 1e-3
        assert ours.argmax() == next(iter(theirs.values())).argmax()


def test_ultraface_finds_what_its_onnx_twin_finds(shared: Shared) -> None:
    """The two files hold batch normalisation folded differently: 1.5e-4 apart, in Google's interpreter too."""
    twin = onnx.load(shared("models/onnx/ultraface_rfb320/version-RFB-320.onnx"))
    with Image.open(shared("data/skimage_images/astronaut.png")) as file:
        pixels = np.asarray(file.convert("RGB").resize((320, 240)), np.float32)
    image = ((pixels - 127) / 128).transpose(2, 0, 1)[None]
    ours = run_onnx(onnxray.load(shared(FACES)).proto, {"input_1": image}, ["Identity_1"])["Identity_1"]
    theirs = run_onnx(twin, {"input": image}, ["scores"])["scores"]
    assert ours[0, :, 1].argmax() == theirs[0, :, 1].argmax()
    assert ours[0, :, 1].max() > 0.99 and np.abs(ours - theirs).max() <= 2e-4


@pytest.mark.parametrize("verb", [("summary",), ("graph", "-o", "net.html")])
def test_verbs_take_the_files(shared: Shared, cli: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch,
                              verb: tuple[str, ...]) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    code, _, error = cli(verb[0], shared(EMOTIONS), *verb[1:])
    assert code == 0, error


def test_gradients_of_the_dequantised_network(shared: Shared) -> None:
    photo = sorted(shared(PHOTOS).glob("*.jpg"))[:1]
    maps = onnxray.grad_cam(onnxray.load(shared(MOBILENET), dequantize=True), photo).maps
    assert np.isfinite(maps).all() and np.ptp(maps) > 0
