"""Randomisation: the cascade by hand, what is kept and what is lost, and a method that it must catch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import tiny_models
from explained_networks import CURVED, PICTURES, edge_detector, network
from model_specs import load_model
from onnx import numpy_helper
from onnxray.engine.methods.input_x_gradient import input_x_gradient
from onnxray.engine.methods.saliency import saliency
from onnxray.engine.metrics.random_weights import RandomisedModel, weighted_layers
from onnxray.engine.metrics.randomisation import randomisation
from onnxray.engine.model import Model
from onnxray.importers.errors import InputError
from scipy import stats

Shared = Callable[[str], Path]

LAYERS = [("logits", "Gemm"), ("conv2", "Conv"), ("conv1", "Conv")]


def shuffled(model: Model, names: set[str], seed: int) -> Model:
    """The network with these weights as `randomisation` draws them, put into a file of its own."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    for number, tensor in enumerate(proto.graph.initializer):
        if tensor.name in names:
            values = numpy_helper.to_array(tensor)
            order = np.random.default_rng((seed, number)).permutation(values.size)
            tensor.CopyFrom(numpy_helper.from_array(values.ravel()[order].reshape(values.shape), tensor.name))
    other = Model(proto, Path("shuffled.onnx"))
    other.spec = model.spec
    return other


@pytest.mark.parametrize("method", [saliency, input_x_gradient])
def test_cascading_and_independent_by_hand(method: Callable[..., object]) -> None:
    model = network()
    before = model.proto.SerializeToString()
    result = randomisation(model, PICTURES, method, seed=2)  # type: ignore[arg-type]
    true = method(model, PICTURES)
    kinds = [int(label.split()[-1]) for label in true.targets]  # type: ignore[attr-defined]
    assert [(layer.layer, layer.op) for layer in result.layers] == LAYERS
    assert [layer.weights for layer in result.layers] == [("fc_w", "fc_b"), ("conv2_w",), ("conv1_w", "conv1_b")]
    gone: set[str] = set()
    for layer in result.layers:
        gone |= set(layer.weights)
        for names, likeness in ((gone, layer.cascading), (set(layer.weights), layer.independent)):
            assert likeness is not None
            other = shuffled(model, names, 2)
            for row, kind in enumerate(kinds):
                found = method(other, PICTURES[row : row + 1], target=kind).maps[0]  # type: ignore[attr-defined]
                here = true.maps[row] != 0  # type: ignore[attr-defined]
                pair = true.maps[row][here], found[here]  # type: ignore[attr-defined]
                np.testing.assert_allclose(likeness.values[row], stats.spearmanr(*pair).statistic, atol=1e-6)
                magnitudes = stats.spearmanr(*map(np.abs, pair)).statistic
                np.testing.assert_allclose(likeness.magnitudes[row], magnitudes, atol=1e-6)
    assert model.proto.SerializeToString() == before
    np.testing.assert_array_equal(method(model, PICTURES).maps, true.maps)  # type: ignore[attr-defined]


def test_gradients_change_with_the_last_layer_and_edges_do_not() -> None:
    model = network()
    for found in (randomisation(model, PICTURES, saliency), randomisation(model, PICTURES, edge_detector)):
        last = found.layers[0].cascading
        assert last is not None
        if found.method == "saliency":
            assert (last.values < 0.99).all()
        else:
            assert (last.values > 1 - 1e-12).all()
            likenesses = [likeness for layer in found.layers for likeness in (layer.cascading, layer.independent)]
            assert all(likeness is not None and (likeness.largest > 1 - 1e-12).all() for likeness in likenesses)


def test_random_weights_keep_shape_mean_and_deviation() -> None:
    model = network()
    copy = RandomisedModel(model, 0)
    layers = weighted_layers(model, ["logits"])
    for layer in layers:
        copy.shuffle(layer)
    random = copy.model()
    for name in ("fc_w", "fc_b", "conv2_w", "conv1_w", "conv1_b"):
        old, new = model.graph.weight(name), random.graph.weight(name)
        assert old.shape == new.shape and old.dtype == new.dtype and (old != new).any()
        np.testing.assert_array_equal(np.sort(old, None), np.sort(new, None))
    for layer in layers:
        copy.restore(layer)
    assert copy.model().proto.SerializeToString() == model.proto.SerializeToString()


def test_of_a_neuron_only_what_it_sees_counts() -> None:
    """Its gradient is 0 but for 9 pixels of 42, whatever the weights are: those zeros agree in all networks."""
    model, target = network(), "conv1:1:2:3"
    (layer,) = randomisation(model, PICTURES, saliency, target=target).layers
    true = saliency(model, PICTURES, target=target).maps[0]
    found = saliency(shuffled(model, {"conv1_w", "conv1_b"}, 0), PICTURES, target=target).maps[0]
    assert (true != 0).sum() == 9 and ((true != 0) == (found != 0)).all()
    assert stats.spearmanr(true.ravel(), found.ravel()).statistic > 0.8
    assert layer.cascading is not None
    expected = stats.spearmanr(true[true != 0], found[true != 0]).statistic
    np.testing.assert_allclose(layer.cascading.values, [expected] * 3, atol=1e-6)
    assert expected < 0.8


def test_only_layers_before_the_target_and_no_statistics() -> None:
    text = CURVED.replace(
        "relu1 = Relu (conv1)", "normal = BatchNormalization (conv1, s, b, m, v)\n relu1 = Relu (normal)"
    )
    model = network(
        text.replace("float[4] conv1_b", "float[4] conv1_b, float[4] s, float[4] b, float[4] m, float[4] v")
    )
    named = [(layer.name, layer.weights) for layer in weighted_layers(model, ["relu1"])]
    assert named == [("normal", ("s", "b")), ("conv1", ("conv1_w", "conv1_b"))]


def test_some_layers_only_one_kind_and_progress() -> None:
    model, seen = network(), []
    options = {"independent": False, "progress": lambda *counts: seen.append(counts)}
    found = randomisation(model, PICTURES, saliency, layers=2, target=[0, "relu2:1"], **options)  # type: ignore[arg-type]
    assert [layer.layer for layer in found.layers] == ["logits", "conv1"]
    assert all(layer.independent is None for layer in found.layers)
    assert seen == [(1, 2), (2, 2)]
    assert found.targets == ("class 0", "relu2, channel 1") * 3
    whole = randomisation(model, PICTURES, saliency, target=[0, "relu2:1"])
    assert found.layers[1].cascading is not None and whole.layers[2].cascading is not None
    np.testing.assert_allclose(found.layers[1].cascading.values, whole.layers[2].cascading.values)
    assert whole.layers[0].cascading is not None
    assert (whole.layers[0].cascading.values[1::2] == 1).all()  # the dense layer is behind that channel


def test_bad_input() -> None:
    with pytest.raises(InputError, match="layers expects a whole number of at least 1"):
        randomisation(network(), PICTURES, saliency, layers=0)
    text = """
    <ir_version: 8, opset_import: ["" : 17]>
    bare (float[N, 3, 6, 7] image) => (float[N, 3] scores) { scores = ReduceMean <axes = [2, 3], keepdims = 0> (image) }
    """
    with pytest.raises(InputError, match="expected targets that depend on learned weights"):
        randomisation(Model(tiny_models.model(text), Path("bare.onnx")), PICTURES, saliency)


def test_of_a_real_network(shared: Shared) -> None:
    """Its gradients depend on what it learned, most on all of it; edges of the photo do not."""
    model = load_model(shared, "models/derived/squeezenet1.1.onnx")
    photo = shared("data/skimage_images/chelsea.png")
    found = randomisation(model, photo, saliency, layers=3, independent=False)
    values = [float(layer.cascading.values[0]) for layer in found.layers if layer.cascading is not None]
    assert values == sorted(values, reverse=True) and max(values) < 0.7 and min(values) < 0.4
    assert [layer.op for layer in found.layers] == ["Conv"] * 3
