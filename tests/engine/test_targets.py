"""Targets: every score against its definition written out in loops, in NumPy and torch; names and errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from onnxray.engine.methods.predict import predict
from onnxray.engine.model import Model
from onnxray.engine.targets import (
    Box,
    Channel,
    ClassProbability,
    ClassScore,
    Function,
    Layer,
    Mask,
    Neuron,
    Target,
    TopClass,
    as_target,
    parse_target,
    settled,
)
from onnxray.engine.targets.regions import overlap
from onnxray.importers.errors import InputError

GENERATOR = np.random.default_rng(0)
BATCH = GENERATOR.normal(size=(9, 1, 8, 8)).astype(np.float32)
MAPS = GENERATOR.normal(size=(2, 3, 4, 5))
MASK = np.arange(20).reshape(4, 5) % 3 == 0
ENDINGS = {
    "softmax": "scores = Softmax (logits)",
    "log-softmax": "scores = LogSoftmax (logits)",
    "sigmoid": "scores = Sigmoid (logits)",
    "open": "scores = Identity (logits)",
}
HEADS = """
<ir_version: 8, opset_import: ["" : 17]>
heads (float[N, 1, 8, 8] image) => (float[N, 16, 4] boxes, float[N, 16] scores, float[N, 16, 3] classes)
<float[4, 1, 2, 2] boxes_w, float[1, 1, 2, 2] scores_w, float[3, 1, 2, 2] classes_w>
{
    b = Conv <strides = [2, 2]> (image, boxes_w)
    boxes_shape = Constant <value = int64[3] {0, 4, -1}> ()
    b3 = Reshape (b, boxes_shape)
    boxes = Transpose <perm = [0, 2, 1]> (b3)
    s = Conv <strides = [2, 2]> (image, scores_w)
    scores = Flatten (s)
    c = Conv <strides = [2, 2]> (image, classes_w)
    classes_shape = Constant <value = int64[3] {0, 3, -1}> ()
    c3 = Reshape (c, classes_shape)
    classes = Transpose <perm = [0, 2, 1]> (c3)
}
"""
ODD_NAMES = """
<ir_version: 8, opset_import: ["" : 17]>
odd (float[N, 1, 4, 4] image) => (float[N, 2, 4, 4] last) <float[2, 1, 1, 1] w>
{ [block/conv:0] conv = Conv (image, w)  [block/conv:0:1] again = Relu (conv)  last = Identity (again) }
"""


def network(ending: str = "softmax", labels: tuple[str, ...] = (), seed: int = 0) -> Model:
    text = tiny_models.CONV_NET.replace("scores = Softmax (logits)", ENDINGS[ending])
    model = Model(tiny_models.model(text, seed), Path("tiny.onnx"))
    model.spec = model.spec.override("test", labels=labels) if labels else model.spec
    return model


def odd_names() -> Model:
    proto = tiny_models.model(ODD_NAMES.replace("[block/conv:0] ", "").replace("[block/conv:0:1] ", ""))
    rename = {"conv": "block/conv:0", "again": "block/conv:0:1"}
    for node in proto.graph.node:
        node.input[:] = [rename.get(name, name) for name in node.input]
        node.output[:] = [rename.get(name, name) for name in node.output]
        node.name = f"node/{node.output[0]}"
    return Model(proto, Path("odd.onnx"))


def value_of(model: Model, target: Target, batch: np.ndarray = BATCH) -> np.ndarray:
    return model.session().run(batch, [target.tensor(model)])[target.tensor(model)]


# --- the scores ---

DEFINITIONS: dict[str, tuple[Target, Callable[[np.ndarray], float]]] = {
    "channel": (Channel("t", 2), lambda one: sum(one[2, y, x] for y in range(4) for x in range(5)) / 20),
    "neuron": (Neuron("t", 2, 1, 3), lambda one: one[2, 1, 3]),
    "layer": (Layer("t"), lambda one: sum(v * v for v in one.ravel()) / one.size),
    "mask": (
        Mask("t", 1, MASK),
        lambda one: sum(one[1, y, x] for y in range(4) for x in range(5) if MASK[y, x]) / MASK.sum(),
    ),
    "predicted": (
        Mask("t", 1),
        lambda one: float(np.mean([one[1, y, x] for y in range(4) for x in range(5) if one[:, y, x].argmax() == 1])),
    ),
    "function": (Function("t", lambda v: v[:, 0, 0, 0] * 2), lambda one: one[0, 0, 0] * 2),
    "class": (ClassScore(7), lambda one: one.ravel()[7]),
}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_scores_are_what_they_say_in_numpy_and_torch(name: str) -> None:
    import torch

    target, definition = DEFINITIONS[name]
    expected = [definition(one) for one in MAPS]
    np.testing.assert_allclose(target.score(MAPS), expected, rtol=1e-12)
    tensor = torch.tensor(MAPS, requires_grad=True)
    scores = target.score(tensor)
    np.testing.assert_allclose(scores.detach().numpy(), expected, rtol=1e-12)
    (gradient,) = torch.autograd.grad(scores.sum(), tensor)
    assert gradient.abs().sum() > 0


@pytest.mark.parametrize(
    ("target", "shape", "place"),
    [
        (Channel("t", 3), (2, 6), (slice(None), 3)),  # dense
        (Channel("t", 3), (2, 5, 6), (slice(None), slice(None), 3)),  # tokens
        (Channel("t", 3, axis=1), (2, 5, 6), (slice(None), 3)),  # a signal
        (Channel("t", 3, axis=3), (2, 4, 4, 6), (slice(None), slice(None), slice(None), 3)),  # channels last
        (Neuron("t", 3), (2, 6), (slice(None), 3)),
        (Neuron("t", 1, 3), (2, 5, 6), (slice(None), 1, 3)),
    ],
)
def test_parts_of_tensors_of_any_rank(target: Target, shape: tuple[int, ...], place: tuple[Any, ...]) -> None:
    value = np.random.default_rng(1).normal(size=shape)
    np.testing.assert_allclose(target.score(value), [part.mean() for part in value[place]])


@pytest.mark.parametrize("ending", ENDINGS)
def test_classes_of_every_ending(ending: str) -> None:
    import torch

    model = network(ending)
    logits = model.session().run(BATCH, ["logits"])["logits"].astype(np.float64)
    by_hand = 1 / (1 + np.exp(-logits)) if ending == "sigmoid" else np.exp(logits) / np.exp(logits).sum(1)[:, None]
    score, probability = ClassScore(1), settled(ClassProbability(1), model, BATCH)
    np.testing.assert_allclose(score.score(value_of(model, score)), logits[:, 1], rtol=1e-6)
    value = value_of(model, probability)
    np.testing.assert_allclose(probability.score(value), by_hand[:, 1], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(probability.score(torch.tensor(value)).numpy(), by_hand[:, 1], rtol=1e-5, atol=1e-7)
    assert ("cut off" in score.note(model)) == (ending != "open")
    assert ending.replace("open", "no softmax") in score.note(model)


def test_probabilities_made_by_hand_are_taken_as_they_are() -> None:
    text = (
        "powers = Exp (logits)  one = Constant <value = int64[1] {1}> ()  total = ReduceSum (powers, one)"
        "  scores = Div (powers, total)"
    )
    model = Model(tiny_models.model(tiny_models.CONV_NET.replace("scores = Softmax (logits)", text)), Path("tiny.onnx"))
    target = settled(ClassProbability(2), model, BATCH)
    value = value_of(model, target)
    np.testing.assert_array_equal(target.score(value), value[:, 2])


def test_each_image_has_its_own_first_class() -> None:
    model = network(labels=("cat", "dog", "owl"), seed=4)
    target = settled(as_target(None, model), model, BATCH)
    logits = model.session().run(BATCH, ["logits"])["logits"]
    assert len(set(logits.argmax(1))) > 1  # else the test says little
    np.testing.assert_array_equal(target.score(logits), logits.max(1))
    np.testing.assert_array_equal(TopClass().score(logits), logits.max(1))
    names = [f"{model.labels[k]} ({k})" for k in logits.argmax(1)]
    assert target.labels(9) == names
    assert target.labels(2) == names[:2]


# --- boxes ---


def test_boxes_by_number_by_place_and_by_score() -> None:
    model = Model(tiny_models.model(HEADS), Path("heads.onnx"))
    values = model.session().run(BATCH)
    np.testing.assert_array_equal(Box("scores", index=5).score(values["scores"]), values["scores"][:, 5])
    np.testing.assert_array_equal(Box("classes", 2, 5).score(values["classes"]), values["classes"][:, 5, 2])
    best = settled(Box("classes", 2), model, BATCH)
    np.testing.assert_array_equal(best.score(values["classes"]), values["classes"][..., 2].max(1))
    centre = Box("classes", 0, boxes="boxes", near=(-2.0, -2.0, 2.0, 2.0), layout="centre")
    found = settled(centre, model, BATCH)
    assert isinstance(found, Box) and isinstance(found.index, tuple)
    corners = np.concatenate(
        [
            values["boxes"][..., :2] - values["boxes"][..., 2:] / 2,
            values["boxes"][..., :2] + values["boxes"][..., 2:] / 2,
        ],
        -1,
    )
    for image, index in enumerate(found.index):
        overlaps = [overlap_by_counting(box, (-2, -2, 2, 2)) for box in corners[image]]
        assert overlaps[index] >= max(overlaps) - 0.02  # the grid's resolution
    assert found.labels(9)[0] == f"classes, box {found.index[0]}, class 0"


def overlap_by_counting(a: Any, b: Any) -> float:
    """Intersection over union, by the cells of a fine grid."""
    y, x = np.mgrid[-8:8:800j, -8:8:800j]  # type: ignore[misc]
    inside = [(x >= box[0]) & (x < box[2]) & (y >= box[1]) & (y < box[3]) for box in (a, b)]
    either = (inside[0] | inside[1]).sum()
    return float((inside[0] & inside[1]).sum() / either) if either else 0.0


def test_overlap() -> None:
    boxes = np.array([[0, 0, 2, 2], [1, 1, 3, 3], [5, 5, 6, 6], [2, 2, 1, 1]], float)
    np.testing.assert_allclose(overlap(boxes, np.array([0, 0, 2, 2], float)), [1, 1 / 7, 0, 0])


def test_boxes_of_a_single_image_need_no_batch_axis() -> None:
    scores = np.array([0.1, 0.7, 0.2])
    np.testing.assert_array_equal(Box("s", index=1).score(scores), [0.7])
    np.testing.assert_array_equal(Box("s", 1, 0).score(np.array([[0.1, 0.9], [0.3, 0.7]])), [0.9])


# --- text ---


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("2", ClassScore(2)),
        ("egyptian cat", ClassScore(1)),
        ("Egyptian_cat", ClassScore(1)),
        ("tabby cat", ClassScore(0)),
        ("conv1", Layer("conv1")),
        ("conv1:1", Channel("conv1", 1)),
        ("conv1:1:5:6", Neuron("conv1", 1, 5, 6)),
        ("flat:31", Channel("flat", 31)),
    ],
)
def test_text(text: str, target: Target) -> None:
    assert parse_target(text, network(labels=("tabby, tabby cat", "Egyptian cat", "owl"))) == target


def test_a_label_is_in_the_caption() -> None:
    model = network(labels=("tabby", "Egyptian cat", "owl"))
    assert parse_target("EGYPTIAN CAT", model).label == "Egyptian cat (1)"
    assert as_target(2, model).label == "owl (2)"
    assert as_target(2, network()).label == "class 2"
    assert settled(ClassProbability(2), model, BATCH).label == "probability of owl (2)"


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("block/conv:0", Layer("block/conv:0")),
        ("block/conv:0:1", Layer("block/conv:0:1")),
        ("block/conv:0:1:0", Channel("block/conv:0:1", 0)),
        ("node/block/conv:0:1", Layer("node/block/conv:0:1")),
        ("block/conv:0:0:1:2", Neuron("block/conv:0", 0, 1, 2)),
    ],
)
def test_names_with_colons_and_slashes(text: str, target: Target) -> None:
    model = odd_names()
    assert parse_target(text, model) == target
    assert target.tensor(model) in ("block/conv:0", "block/conv:0:1")


# --- errors ---


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3", "the network has no class 3: expected 0 to 2"),
        ("conv9", "no class and no layer is called 'conv9'; did you mean conv1"),
        ("Egyptien cat", "did you mean Egyptian cat"),
        ("crane", "2 classes are called 'crane': 1, 2"),
        ("conv1:x", "no class and no layer is called 'conv1:x'"),
        ("", "no class and no layer"),
    ],
)
def test_what_text_cannot_mean(text: str, message: str) -> None:
    labels = ("Egyptian cat", "crane", "crane")
    with pytest.raises(InputError, match=message):
        parse_target(text, network(labels=labels))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (Channel("conv1", 2), r"conv1 \[1, 2, 8, 8\] has no channel 2: expected 0 to 1"),
        (Channel("conv1", -1), "no channel -1"),
        (Channel("conv1", 0, axis=4), "no axis 4 of channels"),
        (Neuron("conv1", 0, 8, 0), r"has no neuron 0, 8, 0, at 8: expected 0 to 7"),
        (Neuron("conv1", 0), "has 3 numbers, found 1"),
        (Mask("conv1", 2), "has no class 2"),
        (Mask("conv1", 0, np.ones((2, 2))), r"expected a mask \[8, 8\] as conv1 has, found \[2, 2\]"),
        (Mask("conv1", 0, np.zeros((8, 8))), "the mask is empty"),
        (Mask("flat", 0), r"expected planes \[N, C, H, W\]"),
        (Box("flat", index=32), "has no box 32"),
        (Box("conv1", index=0), r"expected scores \[N, boxes\]"),
        (Function("conv1", lambda v: v.sum(), "the sum"), "expected one number an image from the sum"),
    ],
)
def test_places_that_a_tensor_lacks(target: Target, message: str) -> None:
    model = network()
    with pytest.raises(InputError, match=message):
        target.score(value_of(model, target))


def test_a_class_that_is_predicted_nowhere() -> None:
    value = np.zeros((2, 2, 3, 3))
    value[:, 0] = 1
    with pytest.raises(InputError, match="image 0 has no place where class 1"):
        Mask("t", 1).score(value)


@pytest.mark.parametrize("target", [Channel("nowhere", 0), Box("nowhere", index=0), Mask("nowhere", 0)])
def test_unknown_layers(target: Target) -> None:
    with pytest.raises(InputError, match=r"no (layer|tensor) 'nowhere'; "):
        target.tensor(network())


def test_a_tensor_without_a_batch_axis() -> None:
    model = Model(tiny_models.model(tiny_models.ODD_NET), Path("odd.onnx"))
    for name in ("stored", "axes_swapped", "tall"):
        with pytest.raises(InputError, match="expected a tensor with a batch axis first"):
            Layer(name).tensor(model)
    assert Layer("back").tensor(model) == "back"


def test_a_network_without_classes() -> None:
    model = odd_names()
    with pytest.raises(InputError, match=r"no output \[images, classes\].*LAYER:17"):
        as_target(None, model)


def test_a_box_that_is_nowhere_near() -> None:
    model = Model(tiny_models.model(HEADS), Path("heads.onnx"))
    with pytest.raises(InputError, match="no box of boxes overlaps 900, 900, 901, 901"):
        settled(Box("scores", boxes="boxes", near=(900, 900, 901, 901)), model, BATCH)


def test_first_classes_are_those_of_predict() -> None:
    model = network()
    pictures = np.random.default_rng(3).integers(0, 256, (9, 8, 8), dtype=np.uint8)
    found = predict(model, pictures, 1)
    batch = (pictures / 1.0).astype(np.float32)[:, None]
    target = settled(TopClass(), model, batch)
    assert target.labels(9) == [f"class {index}" for index in found.indices[:, 0]]
    assert math.isclose(float(target.score(value_of(model, target, batch))[0]), float(found.logits[0, 0]), rel_tol=1e-5)
