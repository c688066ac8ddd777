"""Folded filters against onnxruntime; which convolutions see the image, and how strongly; filters in groups."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import quantised_networks
import tiny_models
from onnx import numpy_helper
from onnxray.engine.checkup.checkup import checkup
from onnxray.engine.checkup.convolutions import Convolution, convolutions
from onnxray.engine.checkup.duplicates import duplicates
from onnxray.engine.checkup.first_layers import first_layer, image_convolutions
from onnxray.engine.model import Model, load

# What follows the convolution of a 3x3 image, whose answer is one place; and the last tensor that is folded in.
BEHIND = {
    "nothing": ("last = Relu (conv)", "conv"),
    "batch normalisation": ("norm = BatchNormalization <epsilon = 0.1> (conv, a, b, c, v) last = Relu (norm)", "norm"),
    "scale and shift": ("up = Mul (k, conv) less = Sub (up, k) down = Div (less, k) last = Relu (down)", "down"),
    "a number minus": ("other = Sub (k, conv) last = Relu (other)", "conv"),
    "a constant of another axis": ("other = Mul (conv, row) last = Relu (other)", "conv"),
    "two readers": ("up = Mul (conv, k) other = Relu (conv) last = Add (up, other)", "conv"),
}
TEXT = """
<ir_version: 8, opset_import: ["" : 17]>
folded (float[N, 4, 3, 3] image) => (float[N, 6, H, W] last)
<float[6, 2, 3, 3] w, float[6] w_b, float[6] a, float[6] b, float[6] c, float[6] v, float[6, 1, 1] k, float[6] row>
{ conv = Conv <group = 2> (image, w, w_b) BEHIND }
"""


def _with(proto: onnx.ModelProto, **values: Any) -> Model:
    """The network with these weights; nodes are called as what they make."""
    for tensor in proto.graph.initializer:
        if tensor.name in values:
            tensor.CopyFrom(numpy_helper.from_array(np.asarray(values[tensor.name], np.float32), tensor.name))
    for node in proto.graph.node:
        node.name = node.output[0]
    return Model(proto, Path("net.onnx"))


@pytest.mark.parametrize("name", BEHIND)
def test_folded_filters_compute_what_the_network_does(name: str) -> None:
    body, tensor = BEHIND[name]
    model = _with(tiny_models.model(TEXT.replace("BEHIND", body)), v=np.arange(1, 7))
    (conv,) = convolutions(model.graph)
    assert (conv.name, conv.tensor) == ("conv", tensor)
    image = np.random.default_rng(1).normal(size=(1, 4, 3, 3)).astype(np.float32)
    right = model.session().run(image, [tensor])[tensor][0, :, 0, 0]
    halves = np.repeat(image[0].reshape(2, 2, 3, 3), 3, axis=0)  # the first three filters see the first two channels
    found = (conv.weights * halves).sum((1, 2, 3)) + conv.bias
    np.testing.assert_allclose(found, right, rtol=1e-4, atol=1e-5)


def test_a_quantised_bias_is_in_the_units_of_the_filters() -> None:
    text = """
    <ir_version: 8, opset_import: ["" : 17]>
    quantised (uint8[1, 1, 2, 2] image) => (uint8[1, 2, 2, 2] last)
    <float in_scale = {0.5}, uint8 in_zero = {0}, int8[2, 1, 1, 1] w = {3, -4}, float[2] w_scale = {0.25, 0.125},
     int8 w_zero = {0}, float out_scale = {1.0}, uint8 out_zero = {0}, int32[2] bias = {16, 32}>
    { last = QLinearConv (image, in_scale, in_zero, w, w_scale, w_zero, out_scale, out_zero, bias) }
    """
    (conv,) = convolutions(_with(onnx.parser.parse_model(text)).graph)
    assert conv.weights.reshape(-1).tolist() == [0.75, -0.5] and conv.bias.tolist() == [2.0, 2.0]


@pytest.mark.parametrize("kind", ["qdq", "qdq_int8"])
def test_a_quantised_network_has_the_units_of_its_source(kind: str, tmp_path: Path) -> None:
    """Its quantiser has dropped the rectifiers: ranges that begin at 0 cut as they did."""
    source = quantised_networks.residual_net(tmp_path / "float.onnx")
    generator = np.random.default_rng(0)
    samples = generator.normal(size=(4, *load(source).input_shapes["image"][1:])).astype(np.float32)
    quantised = load(quantised_networks.quantise(source, tmp_path / "quantised.onnx", kind, samples))
    assert not any(node.op == "Relu" for node in quantised.graph.nodes)
    pictures = generator.integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    right, found = (checkup(model, pictures) for model in (load(source), quantised))
    assert found.units == right.units == 80
    assert right.findings and [each.kind for each in found.findings] == ["dead"] * len(right.findings)
    assert [each.channels for each in found.findings] == [each.channels for each in right.findings]


FIRST = """
<ir_version: 8, opset_import: ["" : 17]>
first (float[N, 8, 8, 3] image) => (float[N, 2, 1, 1] last)
<float[3] mean, float[3] spread, float[2, 3, 3, 3] w, float[2, 3, 5, 5] other_w, float[2, 2, 3, 3] deep_w>
{
    centred = Sub (image, mean)
    scaled = Div (centred, spread)
    turned = Transpose <perm = [0, 3, 1, 2]> (scaled)
    conv = Conv <strides = [2, 2]> (turned, w)
    beside = Conv <strides = [2, 2], pads = [1, 1, 1, 1]> (turned, other_w)
    sum = Add (conv, beside)
    deep = Conv (sum, deep_w)
    last = Relu (deep)
}
"""


def test_filters_are_taken_a_grey_level() -> None:
    """Preprocessing outside the graph and in it; red counts a hundred times."""
    model = _with(tiny_models.model(FIRST), spread=[0.01, 1.0, 1.0])
    options = {"mean": (100.0,), "scale": (0.5, 0.25, 0.125), "channel_order": "RGB", "layout": "NHWC"}
    model.spec = model.spec.override("test", **options)
    assert image_convolutions(model) == ["conv", "beside"]
    conv = next(convolutions(model.graph))
    found = first_layer(model, model.session(), conv)
    assert found is not None
    scaled = conv.weights * np.array((50.0, 0.25, 0.125))[:, None, None]
    np.testing.assert_allclose(found.norms, np.sqrt(np.square(scaled).sum((1, 2, 3))), rtol=1e-5)
    assert found.kernel == (3, 3) and found.stride == (2, 2) and found.overlaps


def test_equal_filters_of_different_groups_are_no_duplicates() -> None:
    model = _with(tiny_models.model(TEXT.replace("BEHIND", BEHIND["nothing"][0])))
    (conv,) = convolutions(model.graph)
    same = np.ones_like(conv.weights)
    assert [rows for rows, _ in duplicates(Convolution(conv.node, same, np.zeros(6), "conv"))] == [(0, 1, 2), (3, 4, 5)]
    apart = same * np.random.default_rng(0).normal(size=same.shape)
    apart[3:] = apart[:3]
    assert duplicates(Convolution(conv.node, apart, np.zeros(6), "conv")) == []
