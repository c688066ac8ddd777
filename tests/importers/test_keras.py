"""The real Keras models: parity with Keras of every output and every layer, and what they are good for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny_keras
from onnxray.importers import load
from onnxray.importers.certificate import BAR, certify
from onnxray.importers.input_spec import read_input_spec
from PIL import Image
from tiny_keras import functional, given, layer, noise

Shared = Callable[[str], Path]

EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
MODEL = "models/keras_h5/fer_mini_xception/emotion_model.hdf5"
FACE = (170, 65, 290, 185)  # of the astronaut: left, top, right, bottom


def test_every_layer_within_the_bar(shared: Shared) -> None:
    path = shared(MODEL)
    proto = load(path)
    certificate = certify(path, None, proto, per_layer=True)
    assert certificate.verified and [row.name for row in certificate.outputs] == ["predictions"]
    assert certificate.worst is not None and certificate.worst.relative <= BAR == 1e-4
    compared = {row.name for row in (*certificate.outputs, *certificate.inner)}
    named = {node.output[0] for node in proto.graph.node if "/" not in node.output[0]}
    assert named == compared and len(compared) == 45
    spec = read_input_spec(proto)
    assert spec is not None and (spec.size, spec.channel_order, spec.layout) == ((64, 64), "GREY", "NCHW")


def _face(shared: Shared, size: int = 64) -> np.ndarray:
    """[1, 1, size, size], as the network was trained."""
    image = Image.open(shared("data/skimage_images/astronaut.png")).convert("L").crop(FACE).resize((size, size))
    return ((np.asarray(image, np.float32) / 255 - 0.5) * 2)[None, None]


def test_the_astronaut_is_happy(shared: Shared) -> None:
    (scores,) = tiny_keras.run(load(shared(MODEL)), _face(shared))
    assert EMOTIONS[int(scores.argmax())] == "happy" and scores.max() > 0.9


def test_its_twin_of_tensorflow_lite_says_the_same(shared: Shared) -> None:
    """The twin's weights are rounded to 8 bits."""
    twin = load(shared("models/tflite/fer_mini_xception/emotion_model_quantized.tflite"))
    face = _face(shared)
    shape = [dim.dim_value for dim in twin.graph.input[0].type.tensor_type.shape.dim]
    (ours,), theirs = tiny_keras.run(load(shared(MODEL)), face), tiny_keras.run(twin, face)[0]
    assert shape[1:] == [1, 64, 64]
    assert ours.argmax() == theirs.argmax()
    np.testing.assert_allclose(ours, theirs, atol=0.05)


def test_certificates_of_every_kind_of_input(tmp_path: Path) -> None:
    """Several inputs, one of them indices; outputs of four axes, of three and of two; a model as a layer."""
    part = functional([given("i", 6, 6, 3), layer("ReLU", "act", ["i"], max_value=1.0)], ["i"], ["act"], "part")
    layers = [
        given("image", 6, 6, 3),
        layer("InputLayer", "words", [], batch_input_shape=[None, 5], dtype="int32"),
        layer("Embedding", "rows", ["words"], input_dim=9, output_dim=4),
        layer("Conv1D", "slide", ["rows"], filters=2, kernel_size=[3], padding="causal"),
        {**part, "name": "part", "inbound_nodes": [[["image", 0, 0, {}]]]},
        layer("AveragePooling2D", "pool", ["part"], pool_size=[3, 3], strides=[2, 2], padding="same"),
        layer("Flatten", "flat", ["pool"]),
        layer("Dense", "scores", ["flat"], units=3, activation="softmax"),
    ]
    model = functional(layers, ["image", "words"], ["pool", "slide", "scores"])
    weights = {
        "rows": [("rows/embeddings:0", noise(9, 4))],
        "slide": [("slide/kernel:0", noise(3, 4, 2)), ("slide/bias:0", noise(2))],
        "scores": [("scores/kernel:0", noise(27, 3)), ("scores/bias:0", noise(3))],
    }
    path = tiny_keras.write_h5(tmp_path / "net.h5", model, weights)
    proto = load(path)
    certificate = certify(path, None, proto, per_layer=True)
    assert certificate.verified, list(certificate.verdict())
    assert [row.name for row in certificate.outputs] == ["pool", "slide", "scores"]
    assert [row.shape for row in certificate.outputs] == [(2, 3, 3, 3), (2, 5, 2), (2, 3)]


def test_what_keras_cannot_read_is_not_verified(tmp_path: Path) -> None:
    entry = layer("Convolution2D", "c", nb_filter=2, nb_row=1, nb_col=1, border_mode="valid", dim_ordering="tf")
    entry["config"]["batch_input_shape"] = [None, 4, 4, 3]
    architecture = {"class_name": "Sequential", "config": [{"class_name": "Convolution2D", "config": entry["config"]}]}
    path = tiny_keras.write_h5(
        tmp_path / "old.h5", architecture, {"c": [("W", noise(1, 1, 3, 2)), ("b", noise(2))]}, "1.2.0"
    )
    certificate = certify(path, None, load(path))
    assert not certificate.verified and "Keras cannot run this file" in certificate.note


def test_without_keras_the_note_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tiny_keras.write_h5(
        tmp_path / "r.h5", functional([given("x", 3), layer("ReLU", "r", ["x"])], ["x"], ["r"]), {}
    )
    monkeypatch.setattr("onnxray.importers.keras.oracle.find_spec", lambda name: None)
    assert "pip install keras" in certify(path, None, load(path)).note
