"""Classes: the accuracy bars on real photos, and probabilities and logits of every kind of ending."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny_models
from model_specs import load_model
from onnxray.engine.images import prepare
from onnxray.engine.methods.predict import predict
from onnxray.engine.model import Model
from onnxray.engine.session import Session
from onnxray.engine.structure.classifier import find_classifier
from onnxray.importers.errors import InputError

Shared = Callable[[str], Path]

PICTURES = np.random.default_rng(0).integers(0, 256, (21, 8, 8), dtype=np.uint8)
ENDINGS = {
    "softmax": ("scores = Softmax (logits)", "ends in a softmax"),
    "logits": ("scores = Identity (logits)", "softmax was taken here"),
    "log-softmax": ("scores = LogSoftmax (logits)", "ends in a log-softmax"),
    "sigmoid": ("scores = Sigmoid (logits)", "ends in a sigmoid"),
    "by hand": (
        "powers = Exp (logits)  one = Constant <value = int64[1] {1}> ()  total = ReduceSum (powers, one)"
        "  scores = Div (powers, total)",
        "probabilities already",
    ),
    "dropout": ("soft = Softmax (logits)  kept = Dropout (soft)  scores = Identity (kept)", "ends in a softmax"),
}


def network(ending: str = "scores = Softmax (logits)", output: str = "float[batch, 3] scores") -> Model:
    text = tiny_models.CONV_NET.replace("scores = Softmax (logits)", ending)
    model = Model(tiny_models.model(text.replace("float[batch, 3] scores", output)), Path("tiny.onnx"))
    model.spec = model.spec.override("test", scale=(1 / 255,), resize="stretch")
    return model


def softmax(rows: np.ndarray) -> np.ndarray:
    return np.exp(rows) / np.exp(rows).sum(1, keepdims=True)


@pytest.mark.parametrize("ending", ENDINGS)
def test_probabilities_and_logits(ending: str) -> None:
    text, note = ENDINGS[ending]
    model = network(text)
    found = predict(model, PICTURES, top=2)
    batch = np.concatenate([prepare(picture, model.spec, (1, 1, 8, 8)) for picture in PICTURES])
    logits = Session(model).run(batch, ["logits"])["logits"]
    probabilities = 1 / (1 + np.exp(-logits)) if ending == "sigmoid" else softmax(logits)
    order = np.argsort(-logits, 1)[:, :2]
    assert note in found.note
    np.testing.assert_array_equal(found.indices, order)
    np.testing.assert_allclose(found.probabilities, np.take_along_axis(probabilities, order, 1), rtol=1e-4)
    if ending == "by hand":
        assert found.logits is None
    else:
        assert found.logits is not None
        np.testing.assert_allclose(found.logits, np.take_along_axis(logits, order, 1), rtol=1e-4)


def test_more_classes_than_there_are() -> None:
    assert predict(network(), PICTURES, top=9).indices.shape == (21, 3)


def test_labels() -> None:
    model = network()
    assert predict(model, PICTURES[:1]).labels == (("", "", ""),)
    model.spec = model.spec.override("test", labels=("a", "b", "c"))
    found = predict(model, PICTURES[:1])
    assert found.labels == (tuple("abc"[index] for index in found.indices[0]),)
    model.spec = model.spec.override("test", labels=("a", "b"))
    with pytest.raises(InputError, match="2 labels were given for the 3 classes"):
        predict(model, PICTURES)


def test_skipped_images_are_named(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_text("no image")
    np.save(tmp_path / "good.npy", PICTURES[0])
    found = predict(network(), tmp_path)
    assert [Path(name).name for name in found.images] == ["good.npy"]
    assert [Path(name).name for name, _ in found.skipped] == ["bad.png"]


@pytest.mark.parametrize(
    "output", ["float[batch, 2, 4, 4] pool1", "float[batch, 2, 8, 8] relu1", "float[32, 2, 1] lost"]
)
def test_a_network_that_is_no_classifier(output: str) -> None:
    column = "column = Constant <value = int64[3] {32, -1, 1}> ()"
    ending = f"scores = Softmax (logits)  {column}  lost = Reshape (flat, column)"
    with pytest.raises(InputError, match=r"expected a classifier.*`activations`"):
        predict(network(ending, output), PICTURES)


def test_the_softmax_output_is_chosen_among_several() -> None:
    model = network(output="float[batch, 3] logits, float[batch, 3] scores")
    classifier = find_classifier(model.graph)
    assert classifier is not None
    assert (classifier.output, classifier.kind, classifier.logits) == ("scores", "softmax", "logits")


def test_classes_behind_global_pooling() -> None:
    text = """
    <ir_version: 8, opset_import: ["" : 17]>
    net (float[N, 3, 4, 4] image) => (float[N, 5, 1, 1] prob) <float[5, 3, 1, 1] w>
    { conv = Conv (image, w)  pooled = GlobalAveragePool (conv)  prob = Softmax <axis = 1> (pooled) }
    """
    model = Model(tiny_models.model(text), Path("tiny.onnx"))
    pictures = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), dtype=np.uint8)
    found = predict(model, pictures)
    assert found.indices.shape == (2, 5)
    np.testing.assert_allclose(found.probabilities.sum(1), 1, rtol=1e-5)


# --- the bars ---


def test_squeezenet_on_500_photos(shared: Shared) -> None:
    found = predict(
        load_model(shared, "models/derived/squeezenet1.1.onnx"), shared("data/imagenet_sample_256/dev"), top=5
    )
    truth = np.array([int(Path(name).name.split("_")[0]) for name in found.images])
    hits = found.indices == truth[:, None]
    assert len(truth) == 500
    assert hits[:, 0].mean() >= 0.50
    assert hits.any(1).mean() >= 0.75


def test_resnet20_on_lossless_cifar10(shared: Shared) -> None:
    pictures = shared("data/cifar10/cifar10_lossless_train1000.npz")
    found = predict(load_model(shared, "models/derived/resnet20_cifar10.onnx"), pictures, top=1)
    assert (found.indices[:, 0] == np.load(pictures)["y"]).mean() >= 0.99
