"""Activations: statistics against plain NumPy, the rule for layers, names, and the pictures' geometry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny_models
from model_specs import MODEL_SPECS, load_model
from onnxray.engine.methods.activations import activations, default_layers, find_tensors
from onnxray.engine.model import Model
from onnxray.engine.session import Session
from onnxray.importers.errors import InputError

Shared = Callable[[str], Path]

PICTURE = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
# A stem, a residual stage, a branching reduction, a squeeze-and-excitation block, and a head.
DEEP_NET = """
<ir_version: 8, opset_import: ["" : 17]>
deep (float[N, 3, 16, 16] image) => (float[N, 4] scores)
<float[6, 3, 3, 3] w1, float[6] s, float[6] b, float[6] m, float[6] v, float[8, 6, 3, 3] w2, float[4, 3, 3, 3] w3,
 float[12, 12] squeeze, float[4, 12] dense>
{
    stem = Conv <pads = [1, 1, 1, 1]> (image, w1)
    normal = BatchNormalization (stem, s, b, m, v)
    active = Relu (normal)
    joined = Add (active, active)
    left = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (joined, w2)
    thin = Slice (joined, from, to, axis)
    right = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (thin, w3)
    half = Concat <axis = 1> (left, right)
    mean = GlobalAveragePool (half)
    vector = Flatten (mean)
    excited = Gemm (vector, squeeze)
    shape = Constant <value = int64[4] {-1, 12, 1, 1}> ()
    gate = Reshape (excited, shape)
    gated = Mul (half, gate)
    pooled = GlobalAveragePool (gated)
    features = Flatten (pooled)
    scores = Gemm <transB = 1> (features, dense)
}
"""


def tiny(text: str = tiny_models.CONV_NET) -> Model:
    return Model(tiny_models.model(text), Path("tiny.onnx"))


def deep() -> Model:
    ends = "".join(f"    {name} = Constant <value = int64[1] {{{value}}}> ()\n" for name, value in ENDS.items())
    return tiny(DEEP_NET.replace("{\n    stem", "{\n" + ends + "    stem"))


ENDS = {"from": 0, "to": 3, "axis": 1}


def test_default_layers_follow_the_rule() -> None:
    assert default_layers(tiny().graph) == ["relu1", "pool1", "flat"]
    # The stem behind its activation, the wider of the two tensors before the reduction, the last map, the head's input.
    assert default_layers(deep().graph) == ["active", "joined", "gated", "features"]


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("models/derived/squeezenet1.1.onnx", [113, 56, 28, 14]),
        ("models/derived/vgg16_trunk_hed.onnx", [224, 224, 112, 56, 28, 14]),
        ("models/derived/resnet20_cifar10.onnx", [32, 32, 16, 8, None]),
        ("models/caffe/lenet_mnist/lenet_iter_10000.caffemodel", [24, 8, 4, None]),
    ],
)
def test_default_layers_of_real_networks(name: str, sizes: list[int | None], shared: Shared) -> None:
    graph = load_model(shared, name).graph
    shapes = [graph.shape(tensor) or () for tensor in default_layers(graph)]
    assert [shape[2] if len(shape) == 4 else None for shape in shapes] == sizes


def test_statistics_equal_plain_numpy() -> None:
    model = tiny()
    found = activations(model, PICTURE, ["conv1", "relu1", "logits"])
    assert [layer.tensor for layer in found.layers] == ["conv1", "relu1", "logits"]
    assert [layer.op for layer in found.layers] == ["Conv", "Relu", "Gemm"]
    grey = PICTURE @ np.array([0.299, 0.587, 0.114])
    values = Session(model).run(grey[None, None], ["conv1", "relu1", "logits"])
    for layer in found.layers:
        right = values[layer.tensor][0]
        np.testing.assert_allclose(layer.values, right, rtol=1e-3, atol=1e-2)
        assert layer.mean == pytest.approx(right.mean(), rel=1e-3)
        assert layer.std == pytest.approx(right.std(), rel=1e-3)
        assert (layer.min, layer.max) == pytest.approx((right.min(), right.max()), rel=1e-3)
        assert layer.zeros == pytest.approx((right == 0).mean())
        assert layer.silent == pytest.approx((right.reshape(len(right), -1) == 0).all(1).mean())
        assert layer.histogram.sum() == right.size
        strengths = np.abs(right).reshape(len(right), -1).mean(1)
        assert layer.most_active == np.argsort(-strengths, kind="stable").tolist()


def test_values_that_are_not_finite_are_counted() -> None:
    text = """
    <ir_version: 8, opset_import: ["" : 17]>
    odd (float[N, 1, 8, 8] image) => (float[N, 1, 8, 8] ratio)
    { shifted = Sub (image, image)  ratio = Div (image, shifted) }
    """
    picture = np.zeros((8, 8), np.uint8)
    picture[0] = 255  # 255 / 0 is infinite, 0 / 0 is no number
    (layer,) = activations(tiny(text), picture, ["ratio"]).layers
    assert layer.not_finite == 64
    assert np.isnan(layer.mean)
    assert layer.histogram.sum() == 0


def test_the_picture_is_what_the_network_sees_and_classes_are_told() -> None:
    found = activations(tiny(), PICTURE)
    grey = np.rint(PICTURE @ np.array([0.299, 0.587, 0.114]))
    np.testing.assert_allclose(found.picture[..., 0], grey, atol=1)
    assert found.predictions is not None
    assert found.predictions.indices.shape == (1, 3)
    assert "the first convolution" in found.rule


def test_layers_by_tensor_node_or_pattern() -> None:
    model = tiny()
    for index, node in enumerate(model.proto.graph.node):
        node.name = f"node{index}"
    runner = Session(model)
    assert find_tensors(model.graph, ["node0", "relu1"], runner.tensors) == ["conv1", "relu1"]
    assert find_tensors(model.graph, ["*1", "conv1"], runner.tensors) == ["conv1", "relu1", "pool1"]
    with pytest.raises(InputError, match="no layer 'pool2'; did you mean pool1"):
        find_tensors(model.graph, ["pool2"], runner.tensors)
    with pytest.raises(InputError, match=r"no layer 'block\*'"):
        find_tensors(model.graph, ["block*"], runner.tensors)


def test_more_than_one_image() -> None:
    with pytest.raises(InputError, match="expected one image, found 2"):
        activations(tiny(), np.stack([PICTURE, PICTURE]))


def test_saved_arrays_have_the_tensors_names(tmp_path: Path) -> None:
    found = activations(tiny(), PICTURE)
    found.save(tmp_path / "a")
    with np.load(tmp_path / "a.npz") as stored:
        assert set(stored.files) == {"picture", "layers/relu1", "layers/pool1", "layers/flat"}
        np.testing.assert_array_equal(stored["layers/pool1"], found.layers[1].values)


@pytest.mark.parametrize("name", MODEL_SPECS)
def test_every_tensor_of_every_real_network(name: str, shared: Shared) -> None:
    model = load_model(shared, name)
    found = activations(model, shared("data/skimage_images/astronaut.png"), ["*"])
    assert len(found.layers) == len(model.session().tensors)
    for layer in found.layers:
        assert layer.not_finite == 0
        assert layer.histogram.sum() == layer.values.size
