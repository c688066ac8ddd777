"""Caffe files that cannot be used: one line that says what was expected, what was found and where."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny_caffe
from onnxray.importers import caffe, load
from onnxray.importers.caffe.wire_schema import message_class
from onnxray.importers.errors import InputError
from tiny_caffe import layer

IMAGE = (1, 3, 8, 8)
CONV = layer("Convolution", "data", "conv1", convolution_param="num_output: 4 kernel_size: 3 pad: 1")


PROPOSAL = 'module: "rpn.proposal_layer" layer: "ProposalLayer"'


def refused(folder: Path, layers: str, weights: tiny_caffe.Weights | None = None) -> str:
    with pytest.raises(InputError) as caught:
        tiny_caffe.convert(folder, tiny_caffe.deploy(layers, IMAGE), weights)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_syntax_error_has_its_line(tmp_path: Path) -> None:
    text, binary = tiny_caffe.write(tmp_path, tiny_caffe.deploy(CONV, IMAGE))
    text.write_text('name: "net"\nlayer {\n  name: "conv1"\n  type "Convolution" bottom\n}\n')
    with pytest.raises(InputError, match=r"net\.prototxt: syntax error in line 4"):
        caffe.read(text, binary)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_truncated_caffemodel(share: float, tmp_path: Path, shared) -> None:  # type: ignore[no-untyped-def]
    whole = shared("models/caffe/lenet_mnist/lenet_iter_10000.caffemodel").read_bytes()
    binary = tmp_path / "cut.caffemodel"
    binary.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InputError, match=r"cut\.caffemodel"):
        load(binary, companion=shared("models/caffe/lenet_mnist/lenet_deploy.prototxt"))


def test_a_shape_that_does_not_match(tmp_path: Path) -> None:
    weights = {"conv1": [np.zeros((4, 1, 5, 5), np.float32), np.zeros(4, np.float32)]}
    message = refused(tmp_path, CONV, weights)
    assert "layer conv1 (Convolution)" in message
    assert "4x3x3x3, 4" in message
    assert "4x1x5x5, 4" in message


def test_weights_more_or_fewer_than_asked_for(tmp_path: Path) -> None:
    weight, bias = np.zeros((4, 3, 3, 3), np.float32), np.zeros(4, np.float32)
    assert "holds 4x3x3x3;" in refused(tmp_path, CONV, {"conv1": [weight]})
    assert "holds 4x3x3x3, 4, 4;" in refused(tmp_path, CONV, {"conv1": [weight, bias, bias]})


def test_weights_of_another_network(tmp_path: Path) -> None:
    assert "it has other" in refused(tmp_path, CONV, {"other": [np.zeros(3, np.float32)]})


def test_a_layer_without_weights(tmp_path: Path) -> None:
    second = layer("InnerProduct", "conv1", "ip", inner_product_param="num_output: 5")
    weights = {"conv1": [np.zeros((4, 3, 3, 3), np.float32), np.zeros(4, np.float32)]}
    message = refused(tmp_path, CONV + second, weights)
    assert "layer ip (InnerProduct)" in message
    assert "5x256" in message


def test_a_blob_that_holds_too_few_numbers(tmp_path: Path) -> None:
    text, binary = tiny_caffe.write(tmp_path, tiny_caffe.deploy(CONV, IMAGE))
    net = message_class("Net")()
    blob = net.layer.add(name="conv1").blobs.add(data=np.zeros(7, "<f4").tobytes())
    blob.shape.dim.extend([1 << 30, 1 << 30])
    binary.write_bytes(net.SerializeToString())
    with pytest.raises(InputError, match=r"layer conv1: a weight of shape \[1073741824, 1073741824\] holds 7 numbers"):
        caffe.read(text, binary)


def test_an_empty_blob_of_vast_sides(tmp_path: Path) -> None:
    text, binary = tiny_caffe.write(tmp_path, tiny_caffe.deploy(CONV, IMAGE))
    net = message_class("Net")()
    net.layer.add(name="conv1").blobs.add().shape.dim.extend([0, 1 << 40, 1 << 40])
    binary.write_bytes(net.SerializeToString())
    with pytest.raises(InputError, match="layer conv1: a weight has the impossible shape"):
        caffe.read(text, binary)


def test_unknown_types_are_all_named_with_their_layers(tmp_path: Path) -> None:
    layers = "\n".join(
        [
            CONV,
            layer("Fancy", "conv1", "a", name="fancy1"),
            layer("Fancy", "a", "b", name="fancy2"),
            layer(
                "Python",
                "b",
                "rois",
                name="proposal",
                python_param='module: "rpn.proposal_layer" layer: "ProposalLayer"',
            ),
            layer("Proposal", "b", "c", name="proposal2"),
        ]
    )
    text, binary = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    text.write_text(tiny_caffe.deploy(layers, IMAGE))
    binary.write_bytes(tiny_caffe.caffemodel({"conv1": [np.zeros((4, 3, 3, 3), np.float32), np.zeros(4, np.float32)]}))
    with pytest.raises(InputError) as caught:
        caffe.read(text, binary)
    message = str(caught.value)
    assert "Fancy (layer fancy1, fancy2)" in message
    assert "Python rpn.proposal_layer.ProposalLayer (layer proposal)" in message
    assert "Proposal (layer proposal2)" in message
    assert "Convolution" not in message


def test_unknown_enumerated_type(tmp_path: Path) -> None:
    text, binary = tiny_caffe.write(tmp_path, tiny_caffe.deploy(CONV, IMAGE))
    text.write_text('input: "data" input_dim: 1 layers { name: "x" type: SHINY bottom: "data" top: "y" }')
    with pytest.raises(InputError, match=r"SHINY \(layer x\)"):
        caffe.read(text, binary)


def test_doubles_beyond_float32_are_infinite(tmp_path: Path) -> None:
    text, binary = tiny_caffe.write(tmp_path, tiny_caffe.deploy(layer("PReLU"), IMAGE))
    net = message_class("Net")()
    slopes = np.array([1e300, 1, 1], "<f8").tobytes()
    net.layer.add(name="out").blobs.add(double_data=slopes).shape.dim.extend([3])
    binary.write_bytes(net.SerializeToString())
    assert caffe.read(text, binary).graph.initializer


def test_weights_of_one_axis_say_no_channels(tmp_path: Path) -> None:
    data = 'layer { name: "data" type: "Data" top: "data" transform_param { crop_size: 8 } }'
    text, binary = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    text.write_text(data + CONV)
    binary.write_bytes(tiny_caffe.caffemodel({"conv1": [np.zeros(4, np.float32)]}))
    with pytest.raises(InputError, match="layer conv1"):
        caffe.read(text, binary)


def test_a_network_that_reads_nothing(tmp_path: Path) -> None:
    parameter = layer("Parameter", "", parameter_param="shape { dim: 2 }")
    assert "the network has no input" in refused(tmp_path, parameter, {"out": [np.zeros(2, np.float32)]})


def test_stochastic_pooling(tmp_path: Path) -> None:
    message = refused(tmp_path, layer("Pooling", name="pool", pooling_param="pool: STOCHASTIC kernel_size: 2"))
    assert "layer pool (Pooling): stochastic pooling draws at random" in message


def test_a_pooling_window_outside_the_image(tmp_path: Path) -> None:
    """Caffe rounds 8 up to 5 windows of 1 at stride 2; the fifth starts behind the last pixel."""
    assert "lies outside" in refused(tmp_path, layer("Pooling", pooling_param="kernel_size: 1 stride: 2"))


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        (layer("ReLU", "nowhere"), "reads the blob nowhere, which no layer before it makes"),
        (
            layer("Convolution", convolution_param="num_output: 4 kernel_size: 3 group: 2"),
            "not divide into 2 groups",
        ),
        (layer("Convolution", convolution_param="num_output: 4"), "kernel_size is missing"),
        (layer("Convolution", convolution_param="num_output: 4 kernel_size: 9"), "layer out (Convolution)"),
        (layer("Slice", "data", "a,b", name="cut"), "cannot be cut into 2 tops"),
        (layer("Softmax", softmax_param="axis: 4"), "axis 4 is outside its input of 4 dimensions"),
        (layer("Eltwise", "data,data", eltwise_param="coeff: 1"), "1 coefficients for 2 inputs"),
        (layer("LRN", lrn_param="local_size: 4"), "local_size must be odd"),
        (layer("BN"), "bn_mode: INFERENCE"),
        (layer("Upsample", "data,data"), "second top of a MAX pooling layer"),
        (layer("ShuffleChannel", shuffle_channel_param="group: 2"), "3 channels do not divide into 2 groups"),
        (layer("Reshape", reshape_param="shape { dim: 0 dim: 7 }"), "layer out (Reshape)"),
        (layer("Concat", "data,data", concat_param="axis: 7"), "axis 7 is outside"),
        (layer("Data", "", "data2"), "no layers left"),
        (layer("ReLU", ""), "layer out (ReLU)"),
        (layer("Split", ""), "layer out (Split)"),
        (layer("SoftmaxWithLoss", ""), "no layers left"),
        (layer("ReLU", top="out,more"), "nothing makes its output more"),
        (layer("ReLU", top="a,b") + layer("Softmax", "b"), "layer out (Softmax): does not fit its inputs"),
        (layer("Pooling", pooling_param="kernel_size: 2 stride: 0"), "layer out (Pooling)"),
        ("", "found no layers"),
    ],
)
def test_layers_that_make_no_sense(layers: str, said: str, tmp_path: Path) -> None:
    text, binary = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    text.write_text(tiny_caffe.deploy(layers, IMAGE))
    binary.write_bytes(tiny_caffe.caffemodel({}))
    with pytest.raises(InputError) as caught:
        caffe.read(text, binary)
    assert said in str(caught.value)


@pytest.mark.parametrize("field", ["name", "type", "bottom", "top"])
def test_texts_that_are_none(field: str, tmp_path: Path) -> None:
    """Protobuf gives bytes in place of a text that is not UTF-8."""
    text, binary = tiny_caffe.write(tmp_path, tiny_caffe.deploy(CONV, IMAGE))
    net = message_class("Net")()
    word = ["marked"] if field in ("bottom", "top") else "marked"
    net.layer.add(**{"name": "conv1", "type": "Convolution", field: word})
    binary.write_bytes(net.SerializeToString().replace(b"marked", b"\xff" * 6))
    with pytest.raises(InputError, match=r"net\.caffemodel: the text .* in it is not UTF-8"):
        caffe.read(text, binary)


@pytest.mark.parametrize("kind", ["double_data", "raw_data"])
def test_numbers_that_are_cut_off(kind: str, tmp_path: Path) -> None:
    text, binary = tiny_caffe.write(tmp_path, tiny_caffe.deploy(CONV, IMAGE))
    net = message_class("Net")()
    net.layer.add(name="conv1").blobs.add(**{kind: bytes(13)}).shape.dim.extend([4, 3, 3, 3])
    binary.write_bytes(net.SerializeToString())
    with pytest.raises(InputError, match=r"conv1: a weight of shape \[4, 3, 3, 3\] holds [13] numbers"):
        caffe.read(text, binary)


def test_brackets_without_end(tmp_path: Path) -> None:
    text, binary = tiny_caffe.write(tmp_path, tiny_caffe.deploy(CONV, IMAGE))
    text.write_text('name: "deep" ' + "layer { " * 5000)
    with pytest.raises(InputError, match=r"nested too deep|syntax error"):
        caffe.read(text, binary)
