"""Caffe files of every age and kind: what is read from them, and what is said of those that cannot be used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny_caffe
from google.protobuf import text_format
from onnxray.importers import caffe, load
from onnxray.importers.caffe.reader import read_prototxt
from onnxray.importers.caffe.wire_schema import message_class
from onnxray.importers.errors import InputError
from onnxray.importers.input_spec import read_input_spec
from tiny_caffe import layer

IMAGE = (1, 3, 8, 8)
CONV = layer("Convolution", "data", "conv1", convolution_param="num_output: 4 kernel_size: 3 pad: 1")
IN_PLACE = "\n".join(
    [CONV, layer("BatchNorm", "conv1", "conv1", name="bn1"), layer("ReLU", "conv1", "conv1", name="relu1")]
)


def weights_of(prototxt: str, folder: Path) -> dict[str, list[np.ndarray]]:
    path = folder / "for_weights.prototxt"
    path.write_text(prototxt)
    weights = tiny_caffe.random_weights(path)
    path.unlink()
    return weights


# ---- names and generations


def test_a_blob_s_name_is_its_last_value(tmp_path: Path) -> None:
    proto = tiny_caffe.convert(tmp_path, tiny_caffe.deploy(IN_PLACE, IMAGE))
    assert [(node.name, list(node.output)) for node in proto.graph.node] == [
        ("conv1", ["conv1_before_bn1"]),
        ("bn1", ["conv1_before_relu1"]),
        ("relu1", ["conv1"]),
    ]


def test_a_blob_read_before_it_changes_in_place(tmp_path: Path) -> None:
    """Caffe runs layers in the order of the file: the reader in between sees the value of that moment."""
    layers = "\n".join(
        [CONV, layer("Power", "conv1", "seen", power_param="scale: 2"), layer("ReLU", "conv1", "conv1", name="relu1")]
    )
    image = tiny_caffe.noise(IMAGE)
    found = tiny_caffe.run(tiny_caffe.convert(tmp_path, tiny_caffe.deploy(layers, IMAGE)), {"data": image})
    assert found["seen"].min() < 0
    np.testing.assert_allclose(found["conv1"], found["seen"].clip(0) / 2, rtol=1e-6)


def test_a_layer_in_place_on_the_input_leaves_the_input_its_name(tmp_path: Path) -> None:
    layers = layer("Power", "data", "data", name="shift", power_param="shift: -1") + "\n" + CONV
    proto = tiny_caffe.convert(tmp_path, tiny_caffe.deploy(layers, IMAGE))
    assert [value.name for value in proto.graph.input] == ["data"]
    assert proto.graph.node[0].output[0] == "data_after_shift"
    assert proto.graph.node[1].input[0] == "data_after_shift"


OLD = """
input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8
layers { name: "conv1" type: CONVOLUTION bottom: "data" top: "conv1" blobs_lr: 1
         convolution_param { num_output: 4 kernel_size: 3 pad: 1 } }
layers { name: "relu1" type: RELU bottom: "conv1" top: "conv1" relu_param { negative_slope: 0.1 } }
layers { name: "pool1" type: POOLING bottom: "conv1" top: "pool1"
         pooling_param { pool: AVE kernel_size: 3 stride: 2 } }
layers { name: "ip1" type: INNER_PRODUCT bottom: "pool1" top: "ip1" inner_product_param { num_output: 5 } }
"""
OLDEST = """
input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8
layers { layer { name: "pad1" type: "padding" pad: 1 } bottom: "data" top: "pad1" }
layers { layer { name: "conv1" type: "conv" num_output: 4 kernelsize: 3 blobs_lr: 1.
                 weight_filler { type: "gaussian" } }
         bottom: "pad1" top: "conv1" }
layers { layer { name: "relu1" type: "relu" } bottom: "conv1" top: "conv1" }
layers { layer { name: "pool1" type: "pool" pool: AVE kernelsize: 3 stride: 2 } bottom: "conv1" top: "pool1" }
layers { layer { name: "ip1" type: "innerproduct" num_output: 5 biasterm: false } bottom: "pool1" top: "ip1" }
"""
TODAY = "\n".join(
    [
        CONV,
        layer("ReLU", "conv1", "conv1", name="relu1", relu_param="negative_slope: 0.1"),
        layer("Pooling", "conv1", "pool1", pooling_param="pool: AVE kernel_size: 3 stride: 2"),
        layer("InnerProduct", "pool1", "ip1", inner_product_param="num_output: 5"),
    ]
)


def old_caffemodel(weights: tiny_caffe.Weights, *, oldest: bool) -> bytes:
    """As Caffe wrote it then: four dimensions, bias 1 x 1 x 1 x N, matrices 1 x 1 x N x K."""
    net = message_class("Net")()
    for name, arrays in weights.items():
        entry = net.layers.add(name="" if oldest else name)
        holder = entry.layer if oldest else entry
        holder.name = name
        for array in arrays:
            shape = (1,) * (4 - array.ndim) + array.shape
            sides = dict(zip(("num", "channels", "height", "width"), shape, strict=True))
            holder.blobs.add(data=array.astype("<f4").tobytes(), **sides)
    return bytes(net.SerializeToString())


def test_layers_with_enumerated_types(tmp_path: Path) -> None:
    """V1 gives the very graph of the same network in today's form."""
    weights = weights_of(tiny_caffe.deploy(TODAY, IMAGE), tmp_path)
    today = tiny_caffe.convert(tmp_path, tiny_caffe.deploy(TODAY, IMAGE), weights)
    text, binary = tmp_path / "old.prototxt", tmp_path / "old.caffemodel"
    text.write_text(OLD)
    binary.write_bytes(old_caffemodel(weights, oldest=False))
    old = caffe.read(text, binary)
    old.graph.name = today.graph.name
    assert old.graph == today.graph


def test_nested_layers_with_padding_layers(tmp_path: Path) -> None:
    today_layers = TODAY.replace("negative_slope: 0.1", "").replace("num_output: 5", "num_output: 5 bias_term: false")
    weights = weights_of(tiny_caffe.deploy(today_layers, IMAGE), tmp_path)
    today = tiny_caffe.convert(tmp_path, tiny_caffe.deploy(today_layers, IMAGE), weights)
    text, binary = tmp_path / "oldest.prototxt", tmp_path / "oldest.caffemodel"
    text.write_text(OLDEST)
    binary.write_bytes(old_caffemodel(weights, oldest=True))
    oldest = caffe.read(text, binary)
    oldest.graph.name = today.graph.name
    assert oldest.graph == today.graph


def test_weights_in_half_and_double_precision_and_unpacked(tmp_path: Path) -> None:
    """NVIDIA's raw halves, doubles, and one protobuf field a number: all hold the same weights."""
    weight, bias = np.arange(108, dtype=np.float32).reshape(4, 3, 3, 3) / 8, np.array([1, -2, 0.5, 4], np.float32)
    net = message_class("Net")()
    entry = net.layer.add(name="conv1")
    half = entry.blobs.add(raw_data_type=2, raw_data=weight.astype(np.float16).tobytes())
    half.shape.dim.extend(weight.shape)
    entry.blobs.add(double_data=bias.astype("<f8").tobytes()).shape.dim.extend(bias.shape)
    text, binary = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    text.write_text(tiny_caffe.deploy(CONV, IMAGE))
    binary.write_bytes(net.SerializeToString())
    expected = tiny_caffe.convert(tmp_path, text.read_text(), {"conv1": [weight, bias]}).graph.initializer
    binary.write_bytes(net.SerializeToString())
    assert caffe.read(text, binary).graph.initializer == expected
    loose = message_class("UnpackedBlob")(data=bias).SerializeToString()
    entry.blobs[1].ClearField("double_data")
    binary.write_bytes(net.SerializeToString() + message_class("Net")().SerializeToString())
    entry.blobs[1].MergeFromString(loose)
    binary.write_bytes(net.SerializeToString())
    assert caffe.read(text, binary).graph.initializer == expected


# ---- phases, training files


TRAINING = """
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
        transform_param { mirror: true crop_size: 6 mean_value: 104 mean_value: 117 mean_value: 123 scale: 0.5 } }
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }
        transform_param { crop_size: 8 mean_value: 104 mean_value: 117 mean_value: 123 scale: 0.5 } }
layer { name: "labels" type: "Power" bottom: "label" top: "twice" power_param { scale: 2 } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
        convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "noise" type: "Dropout" bottom: "conv1" top: "conv1" include { phase: TRAIN } }
layer { name: "quiet" type: "Power" bottom: "conv1" top: "unused" exclude { phase: TRAIN } }
layer { name: "silence" type: "Silence" bottom: "unused" }
layer { name: "stage" type: "Power" bottom: "conv1" top: "staged" include { stage: "deploy" } }
layer { name: "ip" type: "InnerProduct" bottom: "conv1" top: "ip" inner_product_param { num_output: 5 } }
layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "twice" top: "accuracy" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""


MEAN_VALUES = "mean_value: 104 mean_value: 117 mean_value: 123"
TRAINED = {
    "conv1": [tiny_caffe.noise((4, 3, 3, 3)), tiny_caffe.noise((4,))],
    "ip": [tiny_caffe.noise((5, 4 * 6 * 6)), tiny_caffe.noise((5,))],
}


def test_a_training_file_becomes_the_network_of_the_test_phase(tmp_path: Path) -> None:
    text, binary = tiny_caffe.write(tmp_path, TRAINING, TRAINED)
    proto = load(binary, companion=text)
    assert [node.name for node in proto.graph.node if "/" not in node.name] == ["conv1", "ip", "loss"]
    assert [value.name for value in proto.graph.output] == ["prob"]
    [data] = proto.graph.input
    assert [dim.dim_param or dim.dim_value for dim in data.type.tensor_type.shape.dim] == ["batch", 3, 8, 8]


def test_preprocessing_is_that_of_the_data_layer_of_the_test_phase(tmp_path: Path) -> None:
    text, binary = tiny_caffe.write(tmp_path, TRAINING, TRAINED)
    spec = read_input_spec(load(binary, companion=text))
    assert spec is not None
    assert (spec.mean, spec.scale, spec.size) == ((104, 117, 123), (0.5,), (8, 8))
    assert spec.channel_order == "BGR"
    assert spec.origin["mean"] == "data layer data of net.prototxt"


def test_options_override_what_the_file_says(tmp_path: Path) -> None:
    text, binary = tiny_caffe.write(tmp_path, TRAINING, TRAINED)
    spec = read_input_spec(load(binary, companion=text, channel_order="RGB", mean=(1.0,)))
    assert spec is not None
    assert (spec.channel_order, spec.mean, spec.scale) == ("RGB", (1.0,), (0.5,))


def test_the_mean_image_beside_the_prototxt(tmp_path: Path) -> None:
    """Larger than the crop: its centre, and the crop as the same share of the picture."""
    training = TRAINING.replace(MEAN_VALUES, 'mean_file: "some/where/mean.binaryproto"')
    mean = tiny_caffe.noise((3, 10, 10), spread=100)
    blob = message_class("Blob")(num=1, channels=3, height=10, width=10, data=mean.tobytes())
    text, binary = tiny_caffe.write(tmp_path, training, TRAINED)
    (tmp_path / "mean.binaryproto").write_bytes(blob.SerializeToString())
    spec = read_input_spec(load(binary, companion=text))
    assert spec is not None
    assert spec.mean_image is not None
    np.testing.assert_array_equal(spec.mean_image, mean[:, 1:9, 1:9])
    assert spec.crop_fraction == 0.8


def test_a_missing_mean_image_is_noted(tmp_path: Path) -> None:
    training = TRAINING.replace(MEAN_VALUES, 'mean_file: "some/where/mean.binaryproto"')
    text, binary = tiny_caffe.write(tmp_path, training, TRAINED)
    spec = read_input_spec(load(binary, companion=text))
    assert spec is not None
    assert "some/where/mean.binaryproto" in spec.origin["mean"]


def test_input_size_from_the_weights(tmp_path: Path) -> None:
    """A database has no size in the file; only one usual side gives the inner product its 3600 inputs."""
    training = TRAINING.replace("crop_size: 8", "").replace("crop_size: 6", "")
    conv, matrix = tiny_caffe.noise((4, 3, 3, 3)), tiny_caffe.noise((5, 4 * 30 * 30))
    zero = np.zeros
    weights = {"conv1": [conv, zero(4, np.float32)], "ip": [matrix, zero(5, np.float32)]}
    proto = tiny_caffe.convert(tmp_path, training, weights)
    assert [dim.dim_value for dim in proto.graph.input[0].type.tensor_type.shape.dim[2:]] == [32, 32]


# ---- the two files


def test_companions_are_found_beside(tmp_path: Path) -> None:
    text, binary = tiny_caffe.write(tmp_path, tiny_caffe.deploy(CONV, IMAGE))
    expected = caffe.read(text, binary).graph
    assert caffe.read(binary, None).graph == expected  # the same stem
    assert caffe.read(text, None).graph == expected
    text = text.rename(tmp_path / "deploy.prototxt")
    binary = binary.rename(tmp_path / "some_iter_100.caffemodel")
    (tmp_path / "train_val.prototxt").write_text("layer {")
    (tmp_path / "solver.prototxt").write_text('net: "train_val.prototxt"')
    assert caffe.read(binary, None).graph == expected  # the only one for deployment
    assert caffe.read(text, None).graph == expected  # the only caffemodel


def test_several_prototxts_that_fit_alike(tmp_path: Path) -> None:
    text, binary = tiny_caffe.write(tmp_path, tiny_caffe.deploy(CONV, IMAGE))
    text.rename(tmp_path / "a_deploy.prototxt")
    (tmp_path / "b_deploy.prototxt").write_text("layer {")
    with pytest.raises(InputError, match=r"a_deploy\.prototxt, b_deploy\.prototxt.*--companion"):
        caffe.read(binary, None)


def test_two_prototxts_are_no_model(tmp_path: Path) -> None:
    text, _ = tiny_caffe.write(tmp_path, tiny_caffe.deploy(CONV, IMAGE))
    with pytest.raises(InputError, match=r"one prototxt and one caffemodel, found two prototxts"):
        caffe.read(text, text)


def test_a_prototxt_without_weights(tmp_path: Path) -> None:
    text, binary = tiny_caffe.write(tmp_path, tiny_caffe.deploy(CONV, IMAGE))
    binary.unlink()
    with pytest.raises(InputError, match=r"expected a caffemodel.*--companion"):
        caffe.read(text, None)


def test_a_caffemodel_of_weights_alone(tmp_path: Path) -> None:
    text, binary = tiny_caffe.write(tmp_path, tiny_caffe.deploy(CONV, IMAGE))
    text.unlink()
    with pytest.raises(InputError, match=r"only weights.*--companion"):
        caffe.read(binary, None)


def stored_net(folder: Path, layers: str) -> Path:
    """A caffemodel that carries its network, as Caffe's snapshots do, and nothing beside it."""
    text, binary = tiny_caffe.write(folder, tiny_caffe.deploy(layers, IMAGE))
    weights = {entry.name: entry.blobs for entry in message_class("Net").FromString(binary.read_bytes()).layer}
    net = read_prototxt(text).message
    for entry in net.layer:
        entry.blobs.extend(weights.get(entry.name, []))
    binary.write_bytes(net.SerializeToString())
    text.unlink()
    return binary


def test_a_network_rebuilt_from_its_snapshot(tmp_path: Path) -> None:
    """Its Split layers, which Caffe adds where a blob has several readers, are gone."""
    split = layer("Split", "conv1", "conv1_0,conv1_1", name="conv1_split")
    layers = (
        CONV + split + layer("ReLU", "conv1_0", "conv1_0", name="relu") + layer("Eltwise", "conv1_0,conv1_1", "sum")
    )
    (tmp_path / "a").mkdir()
    expected = tiny_caffe.convert(tmp_path / "a", tiny_caffe.deploy(layers, IMAGE)).graph
    found = caffe.read(stored_net(tmp_path, layers), None).graph
    assert found == expected
    assert [node.name for node in found.node] == ["conv1", "relu", "sum"]
    assert list(found.node[2].input) == ["conv1_0", "conv1"]


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("ShuffleChannel", {}),
        ("Interp", {}),
        ("Pooling", {"pooling_param": "kernel_size: 2 stride: 2 either_rounding: 1"}),
    ],
)
def test_what_forks_disagree_about_is_not_guessed(kind: str, params: dict[str, str], tmp_path: Path) -> None:
    net = message_class("Net")(name="net", input=["data"])
    net.input_shape.add(dim=IMAGE)
    text_format.Parse(CONV + layer(kind, "conv1", "out", **params), net)
    net.layer[0].blobs.add(data=np.zeros(108, "<f4").tobytes()).shape.dim.extend([4, 3, 3, 3])
    net.layer[0].blobs.add(data=np.zeros(4, "<f4").tobytes()).shape.dim.extend([4])
    path = tmp_path / "net.caffemodel"
    path.write_bytes(net.SerializeToString())
    with pytest.raises(InputError, match=rf"layer out \({kind}\).*--companion"):
        caffe.read(path, None)


def test_weights_shared_by_name_are_stored_once(tmp_path: Path) -> None:
    param = "num_output: 3 kernel_size: 3 pad: 1 bias_term: false"
    first = layer("Convolution", "data", "a", convolution_param=param, param='name: "w"')
    second = layer("Convolution", "a", "b", convolution_param=param, param='name: "w"')
    weight = tiny_caffe.noise((3, 3, 3, 3))
    proto = tiny_caffe.convert(tmp_path, tiny_caffe.deploy(first + second, IMAGE), {"a": [weight]})
    assert [tensor.name for tensor in proto.graph.initializer] == ["w"]
    assert [node.input[1] for node in proto.graph.node] == ["w", "w"]


def test_bilinear_upsampling_that_was_never_stored(tmp_path: Path) -> None:
    """The weights of FCN's fixed upsampling: at the centre of a constant image they give the constant."""
    param = 'num_output: 2 group: 2 kernel_size: 4 stride: 2 pad: 1 bias_term: false weight_filler { type: "bilinear" }'
    up = layer("Deconvolution", "conv1", "up", convolution_param=param)
    conv = layer("Convolution", "data", "conv1", convolution_param="num_output: 2 kernel_size: 1")
    weights = {"conv1": [np.zeros((2, 3, 1, 1), np.float32), np.array([3, -2], np.float32)]}
    proto = tiny_caffe.convert(tmp_path, tiny_caffe.deploy(conv + up, IMAGE), weights)
    found = tiny_caffe.run(proto, {"data": tiny_caffe.noise(IMAGE)})["up"]
    assert found.shape == (1, 2, 16, 16)
    np.testing.assert_allclose(found[:, :, 1:-1, 1:-1], np.tile(np.reshape([3, -2], (1, 2, 1, 1)), (14, 14)), rtol=1e-6)
