"""TensorFlow Lite files as they come: layouts, shapes, quantisation, metadata."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxray
import pytest
from onnxray.importers.certificate import certify, run_onnx
from onnxray.importers.sniff import recognise
from tflite_cases import Net, conv
from tflite_writer import Op, T, constant, model
from tiny_tflite import IMAGE, RANDOM, loaded, one, quantised, refusal, small, written


def sizes(value: onnx.ValueInfoProto) -> list[int]:
    return [dim.dim_value for dim in value.type.tensor_type.shape.dim]


# --- what is read ---


def test_it_is_told_by_content_and_reads_like_a_network(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(small())
    assert recognise(tmp_path / "photo.jpg") == "tflite"
    proto = loaded(tmp_path, small())
    assert [node.op_type for node in proto.graph.node] == ["Conv", "Relu", "ReduceMean"]
    assert [tensor.name for tensor in proto.graph.initializer] == ["weights", "bias"]
    assert sizes(proto.graph.input[0]) == [1, 3, 6, 5] and proto.graph.input[0].name == "image"


def test_names_that_repeat_or_lack_are_numbered(tmp_path: Path) -> None:
    tensors = {"a": T([2]), "b": T([2]), "c": T([2])}
    content = model(tensors, [Op("RELU", ["a"], ["b"]), Op("NEG", ["b"], ["c"], "Neg")], ["a"], ["c"])
    graph = loaded(tmp_path, content.replace(b"a\0\0\0", b"c\0\0\0").replace(b"b\0\0\0", b"c\0\0\0")).graph
    assert [graph.input[0].name, *(node.output[0] for node in graph.node)] == ["c", "c_2", "c_3"]


def test_half_precision_weights_are_folded(tmp_path: Path) -> None:
    half = RANDOM.normal(size=4).astype(np.float16)
    tensors = {"x": T([1, 4]), "half": constant(half, "float16"), "float": T([4]), "y": T([1, 4])}
    operators = [Op("DEQUANTIZE", ["half"], ["float"], "Dequantize"), Op("ADD", ["x", "float"], ["y"], "Add")]
    proto = loaded(tmp_path, model(tensors, operators, ["x"], ["y"]))
    assert [node.op_type for node in proto.graph.node] == ["Add"]
    assert np.array_equal(onnx.numpy_helper.to_array(proto.graph.initializer[0]), half.astype(np.float32))


def test_shapes_that_are_computed_are_known(tmp_path: Path) -> None:
    tensors = {"x": T([2, 3, 4]), "shape": T([3], "int32"), "places": constant([2, 0], "int32"), "new": T([2], "int32")}
    tensors |= {"last": constant([-1], "int32"), "all": T([3], "int32"), "y": T([4, 2, 3])}
    operators = [
        Op("SHAPE", ["x"], ["shape"], "Shape", {"out_type": 2}),
        Op("GATHER", ["shape", "places"], ["new"], "Gather"),
        Op("CONCATENATION", ["new", "last"], ["all"], "Concatenation"),
        Op("RESHAPE", ["x", "all"], ["y"], "Reshape"),
    ]
    proto = loaded(tmp_path, model(tensors, operators, ["x"], ["y"]))
    assert [node.op_type for node in proto.graph.node] == ["Reshape"] and sizes(proto.graph.output[0]) == [4, 2, 3]


def test_a_dilated_convolution_is_one_node(tmp_path: Path) -> None:
    tensors = {"x": T([1, 8, 8, 2]), "block": constant([2, 2], "int32"), "pads": constant([[2, 2], [2, 2]], "int32")}
    tensors |= {"crops": constant([[0, 0], [0, 0]], "int32"), "weights": constant(RANDOM.normal(size=(3, 3, 3, 2)))}
    tensors |= {"bias": constant(np.zeros(3)), "cut": T([4, 6, 6, 2]), "conv": T([4, 4, 4, 3]), "y": T([1, 8, 8, 3])}
    window = {"padding": 1, "stride_h": 1, "stride_w": 1}
    operators = [
        Op("SPACE_TO_BATCH_ND", ["x", "block", "pads"], ["cut"]),
        Op("CONV_2D", ["cut", "weights", "bias"], ["conv"], "Conv2D", window),
        Op("BATCH_TO_SPACE_ND", ["conv", "block", "crops"], ["y"]),
    ]
    (node,) = loaded(tmp_path, model(tensors, operators, ["x"], ["y"])).graph.node
    attributes = {entry.name: list(entry.ints) for entry in node.attribute}
    assert (node.op_type, attributes["dilations"], attributes["pads"]) == ("Conv", [2, 2], [2, 2, 2, 2])


def test_what_the_file_has_channels_first_stays_so(tmp_path: Path) -> None:
    """PyTorch's files enter and leave channels first, with transposes at once inside and before the end."""
    net = Net(np.random.default_rng(0))
    image = net.input([1, 3, 6, 5])
    inside = net.add("TRANSPOSE", [image, net.ints([0, 2, 3, 1])], IMAGE, "Transpose")
    convolved = conv(net, inside, 4, 3, kernel=(1, 1))
    net.add("TRANSPOSE", [convolved, net.ints([0, 3, 1, 2])], [1, 4, *net.shape(convolved)[1:3]], "Transpose")
    graph = loaded(tmp_path, net.bytes()).graph
    assert sizes(graph.input[0]) == [1, 3, 6, 5] and sizes(graph.output[0])[1] == 4
    assert "Transpose" not in {node.op_type for node in graph.node}


def test_sizes_that_the_file_leaves_open_can_be_said(tmp_path: Path) -> None:
    content = small().replace(struct.pack("<4i", *IMAGE), struct.pack("<4i", 1, 1, 1, 3))
    assert sizes(loaded(tmp_path, content).graph.input[0]) == [1, 3, 1, 1]
    assert sizes(loaded(tmp_path, content, shapes={"image": (1, 3, 20, 30)}).graph.input[0]) == [1, 3, 20, 30]


def test_more_images_than_the_file_has(tmp_path: Path) -> None:
    """Shapes that the file writes for one image are those of each; a reshape across images is refused."""
    tensors = {"image": T([1, 2, 3, 4]), "to": constant([1, 24], "int32"), "flat": T([1, 24])}
    tensors |= {"back": constant([1, 6, 4], "int32"), "y": T([1, 6, 4])}
    operators = [Op("RESHAPE", ["image", "to"], ["flat"], "Reshape"), Op("RESHAPE", ["flat", "back"], ["y"], "Reshape")]
    content = model(tensors, operators, ["image"], ["y"])
    one, more = (loaded(tmp_path, content, shapes={"image": (count, 4, 2, 3)}) for count in (1, 5))
    images = RANDOM.normal(size=(5, 4, 2, 3)).astype(np.float32)
    expected = [run_onnx(one, {"image": image[None]}, ["y"])["y"][0] for image in images]
    assert np.array_equal(run_onnx(more, {"image": images}, ["y"])["y"], np.stack(expected))
    tensors["image"] = T([2, 1, 3, 4])
    content = model(tensors, operators, ["image"], ["y"])
    assert "does not fit into" in refusal(tmp_path, content, shapes={"image": (4, 4, 1, 3)})


# --- quantised ---


def test_quantised_networks_keep_their_bytes(tmp_path: Path) -> None:
    proto = loaded(tmp_path, quantised())
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    assert stored["weights"].dtype == np.int8 and stored["weights"].shape == (4, 3, 1, 1)
    assert stored["bias"].dtype == np.int32
    kinds = [node.op_type for node in proto.graph.node]
    assert (kinds.count("QuantizeLinear"), kinds.count("DequantizeLinear")) == (2, 4)
    assert proto.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT


def test_dequantized_networks_are_floats_within_the_same_range(tmp_path: Path) -> None:
    content = quantised()
    proto = loaded(tmp_path, content, dequantize=True)
    assert {node.op_type for node in proto.graph.node} == {"Clip", "Conv"}
    image = {"image": RANDOM.uniform(-1, 0.99, (1, 3, 6, 5)).astype(np.float32)}
    (rounded,) = run_onnx(loaded(tmp_path, content), image, ["conv"]).values()
    (floats,) = run_onnx(proto, image, ["conv"]).values()
    assert floats.min() >= -100 * 0.05 and floats.max() <= 155 * 0.05
    assert 0 < np.abs(floats - rounded).max() <= 0.05


@pytest.mark.parametrize(("dtype", "zero_point", "mean"), [("uint8", 128, 128), ("uint8", 0, 0), ("int8", -128, 0),
                                                           ("int8", 0, 128), ("int8", -1, 127)])  # fmt: skip
def test_bytes_that_enter_are_pixels(tmp_path: Path, dtype: str, zero_point: int, mean: float) -> None:
    image = T(IMAGE, dtype, scale=[0.0078125], zero_point=[zero_point])
    content = one("DEQUANTIZE", {"image": image}, T(IMAGE), "Dequantize")
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    spec = onnxray.load(path).spec
    assert (spec.mean, spec.scale, spec.channel_order, spec.size) == ((mean,), (0.0078125,), "RGB", (6, 5))


def test_a_bias_may_name_the_axis_of_its_weights(tmp_path: Path) -> None:
    """TensorFlow's converter writes axis 3 for a depthwise convolution's bias, which has one."""
    weights = constant(np.ones((1, 1, 1, 3)), "int8", scale=[0.1, 0.2, 0.3], zero_point=[0] * 3, axis=3)
    bias = constant([1, 2, 3], "int32", scale=[0.1, 0.2, 0.3], zero_point=[0] * 3, axis=3)
    inputs = {"image": T(IMAGE, "int8", scale=[1.0], zero_point=[0]), "weights": weights, "bias": bias}
    window = {"stride_h": 1, "stride_w": 1, "depth_multiplier": 1}
    output = T(IMAGE, "int8", scale=[1.0], zero_point=[0])
    proto = loaded(tmp_path, one("DEPTHWISE_CONV_2D", inputs, output, "DepthwiseConv2D", **window))
    axes = [node.attribute[0].i for node in proto.graph.node if node.op_type == "DequantizeLinear" and node.attribute]
    assert axes == [0, 0]


def test_eight_bit_weights_of_float_networks_are_floats(tmp_path: Path) -> None:
    weights = constant(RANDOM.integers(-127, 128, (2, 3)), "int8", scale=[0.5], zero_point=[0])
    content = one("FULLY_CONNECTED", {"x": T([1, 3]), "weights": weights}, T([1, 2]), "FullyConnected", activation=0)
    proto = loaded(tmp_path, content)
    assert [node.op_type for node in proto.graph.node] == ["Gemm"]
    (stored,) = proto.graph.initializer
    assert stored.data_type == onnx.TensorProto.FLOAT
    certificate = certify(tmp_path / "model.tflite", None, proto)
    assert certificate.verified and certificate.reads == "the original file, its 8-bit weights as floats"


# --- metadata ---


def described(mean: list[float], std: list[float], files: dict[str, str]) -> bytes:
    """`small` with the metadata of TensorFlow Lite Support."""
    associated = [{"name": name, "type": 2, "locale": ""} for name in files]
    graph = {
        "inputs": [{"process_units": [{"options_type": 1, "options": {"mean": mean, "std": std}}]}],
        "outputs": [{"associated_files": associated}],
    }
    return small(metadata={"name": "net", "subgraph_metadata": [graph]}, files=files)


def test_metadata_says_how_images_enter_and_names_the_classes(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(described([127.5], [127.5], {"labels.txt": "cat\ndog\nowl\nyak\n"}))
    model = onnxray.load(path)
    assert model.labels == ("cat", "dog", "owl", "yak")
    assert (model.spec.mean, model.spec.scale) == ((127.5,), (1 / 127.5,))
    assert model.spec.origin["labels"] == model.spec.origin["mean"] == "metadata of the file"
    assert onnxray.load(path, mean=3).spec.mean == (3.0,)


def test_metadata_that_is_odd_is_left_alone(tmp_path: Path) -> None:
    for mean, std in (([1, 2], [1, 2, 3]), ([0], [0]), ([], [])):
        assert loaded(tmp_path, described(mean, std, {})).graph.node
    evil = described([0], [255], {"../../evil.txt": "outside"})
    assert onnxray.load(written(tmp_path, evil)).labels == ("outside",)  # read, never unpacked
    assert not list(tmp_path.parent.parent.glob("evil.txt"))


def test_labels_that_unpack_to_gigabytes_are_refused(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.txt", bytes(1 << 25))
    plain = described([0], [255], {"labels.txt": "x"})
    start = plain.index(b"PK\x03\x04")
    assert "larger than" in refusal(tmp_path, plain[:start] + packed.getvalue())
