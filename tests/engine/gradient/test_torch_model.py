"""TorchModel: slices of a batch, targets, what it refuses. Its values and gradients are certified in other files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxray
import pytest
import tiny_models
import torch
from onnxray.engine.batching import resident_bytes
from onnxray.engine.gradient.rules import GUIDED
from onnxray.engine.gradient.torch_model import TorchModel
from onnxray.engine.targets import ClassScore, TopClass
from onnxray.importers.errors import InputError

IMAGES = np.random.default_rng(0).normal(size=(5, 1, 8, 8)).astype(np.float32)


@pytest.fixture
def model(tmp_path: Path) -> onnxray.Model:
    return onnxray.load(tiny_models.save(tmp_path / "tiny.onnx"))


def one_by_one(model: onnxray.Model, classes: list[int], of: str, images: np.ndarray = IMAGES) -> np.ndarray:
    """d logit / d tensor, an image at a time, without TorchModel.gradients."""
    made = []
    for image, index in zip(images, classes, strict=True):
        feed = torch.tensor(image[None]).requires_grad_()
        values = model.torch().forward({"image": feed}, ["logits", of])
        made.append(torch.autograd.grad(values["logits"][0, index], values[of])[0].numpy()[0])
    return np.stack(made)


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("of", ["image", "conv1", "pool1"])
def test_one_target_for_all(model: onnxray.Model, of: str) -> None:
    found = model.torch().gradients(IMAGES, ClassScore(1), [of])
    logits = model.session().run(IMAGES, ["logits", of]) if of != "image" else None
    assert_close(found.gradients[of], one_by_one(model, [1] * 5, of))
    assert_close(found.scores, model.session().run(IMAGES, ["logits"])["logits"][:, 1])
    assert_close(found.values[of], IMAGES if logits is None else logits[of])


def test_a_target_an_image(model: onnxray.Model) -> None:
    classes = [2, 0, 1, 1, 2]
    expected = one_by_one(model, classes, "image")
    several = model.torch().gradients(IMAGES, [ClassScore(index) for index in classes], ["image"])
    indices = model.torch().gradients(IMAGES, ClassScore(tuple(classes)), ["image"])
    assert_close(several.gradients["image"], expected)
    assert_close(indices.gradients["image"], expected)
    assert_close(several.scores, indices.scores)


def test_targets_that_read_different_tensors(model: onnxray.Model) -> None:
    targets = [ClassScore(0), Sum("pool1"), ClassScore(2), Sum("relu1"), Sum("pool1")]
    found = model.torch().gradients(IMAGES, targets, ["image"])
    for row, target in enumerate(targets):
        alone = model.torch().gradients(IMAGES[row : row + 1], target, ["image"])
        assert_close(found.gradients["image"][row], alone.gradients["image"][0])
        assert_close(found.scores[row : row + 1], alone.scores)


def test_the_first_class_of_each_image(model: onnxray.Model) -> None:
    images = np.random.default_rng(2).normal(size=(20, 1, 8, 8)).astype(np.float32) * 9
    best = model.session().run(images, ["logits"])["logits"].argmax(1).tolist()
    assert len(set(best)) > 1
    found = model.torch().gradients(images, TopClass(), ["image"])
    assert_close(found.gradients["image"], one_by_one(model, best, "image", images))


def test_a_single_image(model: onnxray.Model) -> None:
    found = model.torch().gradients(IMAGES[:1], ClassScore(1), ["image", "relu1"])
    assert_close(found.gradients["image"], one_by_one(model, [1] * 5, "image")[:1])
    assert found.scores.shape == (1,) and found.values["relu1"].shape == (1, 2, 8, 8)


@dataclass(frozen=True)
class Sum:
    """The sum of a tensor."""

    name: str
    factor: float = 1.0
    seen: list[int] | None = None  # images of each slice

    def tensor(self, model: onnxray.Model) -> str:
        return self.name

    def score(self, value: Any) -> Any:
        if self.seen is not None:
            self.seen.append(len(value))
        return self.factor * value.flatten(1).sum(1)


# -- slices ---


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_network_of_fixed_batch_size_runs_in_slices(tmp_path: Path, size: int) -> None:
    text = tiny_models.CONV_NET.replace("batch", str(size))
    model = onnxray.load(tiny_models.save(tmp_path / "fixed.onnx", text))
    free = onnxray.load(tiny_models.save(tmp_path / "free.onnx"))
    classes = (2, 0, 1, 1, 2)
    seen: list[int] = []
    model.torch().gradients(IMAGES, Sum("logits", seen=seen), ["image"])
    assert seen == [size] * -(-5 // size)
    for target in (ClassScore(1), ClassScore(classes), [ClassScore(index) for index in classes]):
        found = model.torch().gradients(IMAGES, target, ["image", "conv1"], GUIDED)
        expected = free.torch().gradients(IMAGES, target, ["image", "conv1"], GUIDED)
        assert_close(found.scores, expected.scores)
        for name in ("image", "conv1"):
            assert_close(found.gradients[name], expected.gradients[name])
            assert_close(found.values[name], expected.values[name])
    assert_close(model.torch().run(IMAGES)["scores"], free.torch().run(IMAGES)["scores"])


def test_a_budget_makes_slices(model: onnxray.Model) -> None:
    seen: list[int] = []
    network = model.torch()
    a_gradient = 2 * network._batching.bytes_per_image(["conv1", "relu1", "pool1", "flat", "logits", "scores"])
    target, many = Sum("logits", seen=seen), np.concatenate([IMAGES] * 8)
    free = network.gradients(many, target, ["image"])
    assert seen == [40]
    seen.clear()
    budget = network._batching.resident + 2 * model.proto.ByteSize() + 12 * a_gradient
    tight = network.gradients(many, target, ["image"], memory=budget)
    assert 2 <= max(seen) <= 12 and sum(seen) >= 40
    assert_close(tight.gradients["image"], free.gradients["image"])
    assert_close(tight.scores, free.scores)


def test_a_budget_for_less_than_an_image(model: onnxray.Model) -> None:
    with pytest.raises(InputError, match=r"memory budget of .* leaves"):
        model.torch().gradients(IMAGES, ClassScore(0), ["image"], memory=resident_bytes() // 2)
    with pytest.raises(InputError, match="a memory budget is a size"):
        model.torch().gradients(IMAGES, ClassScore(0), ["image"], memory="much")


def test_images_along_another_axis(tmp_path: Path) -> None:
    """A tensor whose second axis holds the images, in slices of two."""
    model = onnxray.load(tiny_models.save(tmp_path / "odd.onnx", tiny_models.ODD_NET))
    images = np.random.default_rng(0).normal(size=(4, 2, 4, 4)).astype(np.float32)
    network = model.torch()
    whole = network.gradients(images, Sum("scores"), ["axes_swapped", "image"])
    halves = [network.gradients(images[rows], Sum("scores"), ["axes_swapped", "image"]) for rows in ([0, 1], [2, 3])]
    for name, axis in (("axes_swapped", 1), ("image", 0)):
        assert_close(whole.gradients[name], np.concatenate([half.gradients[name] for half in halves], axis))


# -- no more than is asked for ---


def test_a_layers_gradient_stops_at_the_layer(model: onnxray.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is recorded for what lies before it."""
    from onnxray.engine.gradient import torch_model

    nodes: list[set[str]] = []

    plain = torch.autograd.grad
    monkeypatch.setattr(
        torch_model.torch.autograd, "grad", lambda scores, of: (nodes.append(recorded(scores)), plain(scores, of))[1]
    )
    model.torch().gradients(IMAGES, ClassScore(0), ["image"])
    model.torch().gradients(IMAGES, ClassScore(0), ["pool1"])
    assert any("Convolution" in name for name in nodes[0])
    assert not any("Convolution" in name for name in nodes[1]) and any("Addmm" in name for name in nodes[1])


def recorded(value: torch.Tensor) -> set[str]:
    """Names of the operations that autograd would go back through."""
    found, waiting = set(), [value.grad_fn]
    while waiting:
        step = waiting.pop()
        if step is not None and step not in found:
            found.add(step)
            waiting += [before for before, _ in step.next_functions]
    return {step.name() for step in found}


def test_parameters_are_frozen(model: onnxray.Model) -> None:
    network = model.torch()
    assert not list(network.module.parameters())
    network.gradients(IMAGES, ClassScore(0), ["image"])
    assert not any(value.requires_grad for value in network.module.buffers())


def test_float64(model: onnxray.Model) -> None:
    double = model.torch(precision=torch.float64)
    assert double is model.torch(precision=torch.float64) is not model.torch() is model.torch()
    found = double.gradients(IMAGES, ClassScore(2), ["image"])
    assert found.gradients["image"].dtype == found.scores.dtype == np.float64
    assert_close(found.gradients["image"], one_by_one(model, [2] * 5, "image"))


def test_works_where_gradients_are_switched_off(model: onnxray.Model) -> None:
    with torch.no_grad():
        found = model.torch().gradients(IMAGES, ClassScore(1), ["image"])
    assert_close(found.gradients["image"], one_by_one(model, [1] * 5, "image"))


def test_moved_to_a_device(model: onnxray.Model) -> None:
    """There is no other device in a test than the one that holds shapes only."""
    network = TorchModel(model).to("meta")
    assert network.device.type == "meta"
    feed = torch.empty(2, 1, 8, 8, device="meta")
    assert network.forward({"image": feed}, ["scores"])["scores"].shape == (2, 3)


# -- errors ---


def test_unknown_tensors(model: onnxray.Model) -> None:
    with pytest.raises(InputError, match="no tensor 'conv9'; did you mean conv1"):
        model.torch().gradients(IMAGES, ClassScore(0), ["conv9"])
    with pytest.raises(InputError, match="no tensor 'conv9'; did you mean conv1"):
        model.torch().run(IMAGES, ["conv9"])


def test_a_score_that_is_no_number(model: onnxray.Model) -> None:
    spoiled = IMAGES.copy()
    spoiled[3, 0, 2, 2] = np.nan
    with pytest.raises(InputError, match="the score of image 3 is not a number"):
        model.torch().gradients(spoiled, Sum("logits"), ["image"])


def test_the_image_of_a_wrong_score_in_slices(tmp_path: Path) -> None:
    text = tiny_models.CONV_NET.replace("batch", "2")
    model = onnxray.load(tiny_models.save(tmp_path / "fixed.onnx", text))
    spoiled = IMAGES.copy()
    spoiled[4] = np.inf
    with pytest.raises(InputError, match="the score of image 4 is not a number"):
        model.torch().gradients(spoiled, Sum("logits", 0.0), ["image"])


@pytest.mark.parametrize("count", [1, 4, 6])
def test_targets_for_another_number_of_images(model: onnxray.Model, count: int) -> None:
    with pytest.raises(InputError, match=rf"one for each of 5 images, found {count}"):
        model.torch().gradients(IMAGES, [ClassScore(0)] * count, ["image"])


@pytest.mark.parametrize("count", [4, 6])
def test_indices_for_another_number_of_images(model: onnxray.Model, count: int) -> None:
    with pytest.raises(InputError, match=rf"one for each of 5 images, found {count}"):
        model.torch().gradients(IMAGES, ClassScore((0,) * count), ["image"])
