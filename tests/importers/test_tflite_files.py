"""TensorFlow Lite files as they come: damaged, hostile, with what is not supported, with metadata and odd layouts."""

from __future__ import annotations

import io
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxray
import pytest
import tflite_writer
from onnxray.importers.certificate import certify, run_onnx
from onnxray.importers.errors import InputError
from onnxray.importers.sniff import recognise
from onnxray.importers.tflite import read
from onnxray.importers.tflite.schema import OPERATORS, TYPES
from tflite_cases import FAMILIES, Net, conv, draw
from tflite_writer import Op, T, constant, model

RANDOM = np.random.default_rng(0)
IMAGE = [1, 6, 5, 3]


def small(**more: Any) -> bytes:
    """image [1, 6, 5, 3] → conv [1, 6, 5, 4] → scores [1, 4]."""
    tensors = {
        "image": T(IMAGE),
        "weights": constant(RANDOM.normal(size=(4, 3, 3, 3))),
        "bias": constant(RANDOM.normal(size=4)),
        "conv": T([1, 6, 5, 4]),
        "axes": constant([1, 2], "int32"),
        "scores": T([1, 4]),
    }
    window = {"padding": 0, "stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1, "activation": 1}
    operators = [
        Op("CONV_2D", ["image", "weights", "bias"], ["conv"], "Conv2D", window),
        Op("MEAN", ["conv", "axes"], ["scores"], "Reducer", {"keep_dims": False}),
    ]
    return model(tensors, operators, ["image"], ["scores"], **more)


def one(kind: str, inputs: dict[str, T], output: T, table: str = "", **options: Any) -> bytes:
    """A file with one operator; inputs without data are the graph's."""
    entering = [name for name, tensor in inputs.items() if tensor.data is None]
    return model({**inputs, "out": output}, [Op(kind, list(inputs), ["out"], table, options)], entering, ["out"])


def loaded(tmp_path: Path, content: bytes, **options: Any) -> onnx.ModelProto:
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    return onnxray.load(path, **options).proto


def refusal(tmp_path: Path, content: bytes, **options: Any) -> str:
    """What is said when it is not read: one line."""
    with pytest.raises(InputError) as caught:
        loaded(tmp_path, content, **options)
    assert "\n" not in str(caught.value) and "model.tflite" in str(caught.value)
    return str(caught.value)


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


# --- quantised ---

STEPS = {"scale": [1 / 128], "zero_point": [128]}


def quantised(**steps: Any) -> bytes:
    """image (bytes) → conv (bytes), its weights with a scale a channel."""
    tensors = {
        "image": T(IMAGE, "uint8", **STEPS),
        "weights": constant(RANDOM.integers(-127, 128, (4, 1, 1, 3)), "int8", scale=[0.01, 0.02, 0.03, 0.04],
                            zero_point=[0] * 4),
        "bias": constant([1, 2, 3, 4], "int32", scale=[0.01 / 128, 0.02 / 128, 0.03 / 128, 0.04 / 128]),
        "conv": T([1, 6, 5, 4], "uint8", **(steps or {"scale": [0.05], "zero_point": [100]})),
    }  # fmt: skip
    window = {"padding": 0, "stride_h": 1, "stride_w": 1, "activation": 3}
    operators = [Op("CONV_2D", ["image", "weights", "bias"], ["conv"], "Conv2D", window)]
    return model(tensors, operators, ["image"], ["conv"])


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
    assert onnxray.load(_written(tmp_path, evil)).labels == ("outside",)  # read, never unpacked
    assert not list(tmp_path.parent.parent.glob("evil.txt"))


def test_labels_that_unpack_to_gigabytes_are_refused(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.txt", bytes(1 << 25))
    plain = described([0], [255], {"labels.txt": "x"})
    start = plain.index(b"PK\x03\x04")
    assert "larger than" in refusal(tmp_path, plain[:start] + packed.getvalue())


def _written(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    return path


# --- what is refused ---


def test_all_unknown_operators_are_named_at_once(tmp_path: Path) -> None:
    tensors = {name: T([1, 4]) for name in "abcde"}
    operators = [
        Op("CUSTOM TFLite_Detection_PostProcess", ["a"], ["b"]),
        Op("LSTM", ["b"], ["c"]),
        Op("CUSTOM MaxPoolWithArgmax", ["c"], ["d"]),
        Op("LSTM", ["d"], ["e"]),
    ]
    said = refusal(tmp_path, model(tensors, operators, ["a"], ["e"]))
    for name in ("CUSTOM TFLite_Detection_PostProcess (1)", "LSTM (2)", "CUSTOM MaxPoolWithArgmax (1)"):
        assert name in said


def test_all_unsupported_tensors_are_named_at_once(tmp_path: Path) -> None:
    tensors = {
        "a": T([4], more={"sparsity": {"traversal_order": [0]}}),
        "b": T([4], more={"is_variable": True}),
        "c": T([4], more={"type": TYPES.index("STRING"), "buffer": 1}),
        "d": constant([1.0]),
    }
    said = refusal(tmp_path, model(tensors, [Op("ADD", ["a", "b"], ["c"], "Add")], ["a"], ["c"]))
    assert "a (stored sparse)" in said and "b (keeps its value" in said


FIVE_SCALES = constant(np.ones((2, 3)), "int8", scale=[1.0] * 5, zero_point=[0])
# What is changed in the file -> what must be said.
DAMAGES: dict[str, Callable[[], bytes]] = {
    "version 3": lambda: small(version=2),
    "refers to buffer 77": lambda: _patched("weights", {"buffer": 77}),
    "should fill": lambda: _patched("weights", {"shape": [4, 3, 3, 1 << 30]}),
    "5 scales": lambda: one("FULLY_CONNECTED", {"x": T([1, 3]), "w": FIVE_SCALES}, T([1, 2]), "FullyConnected"),
    "holds no network": lambda: small(subgraphs=[]),
    "cut off": lambda: small()[:600],
    "refers to tensor 99": lambda: _rewired([99]),
    "nothing makes": lambda: _rewired([3]),
    "--shape": lambda: _patched("image", {"shape": [1, -1, 5, 3]}),
    "expected at most 16 bits": lambda: one("QUANTIZE", {"x": T([2])}, T([2], "int32", scale=[2.0], zero_point=[0])),
    "options of another operator": lambda: one("MAX_POOL_2D", {"x": T(IMAGE)}, T(IMAGE), "Softmax", beta=1.0),
    "expected positive numbers": lambda: one("MAX_POOL_2D", {"x": T(IMAGE)}, T(IMAGE), "Pool2D", stride_h=0),
    "does not fit into": lambda: one("RESHAPE", {"x": T([6]), "to": constant([4, 2], "int32")}, T([4, 2])),
    "is no order of": lambda: one("TRANSPOSE", {"x": T([6]), "to": constant([7], "int32")}, T([6])),
    "too large": lambda: one("FILL", {"to": constant([1 << 30, 8], "int32"), "x": T([])}, T([1, 1])),
    "expected a constant": lambda: one("RESHAPE", {"x": T([6]), "to": T([2], "int32")}, T([4, 2])),
    "is missing": lambda: model({"x": T([1]), "out": T([1])}, [Op("ADD", ["x", ""], ["out"])], ["x"], ["out"]),
}  # fmt: skip


def _patched(name: str, fields: dict[str, Any]) -> bytes:
    """`small` with fields of one tensor replaced."""
    with pytest.MonkeyPatch.context() as patch:
        fields_of = tflite_writer._tensor_fields

        def changed(tensor: T) -> dict[str, Any]:
            is_it = {"weights": tensor.data is not None and tensor.data.ndim == 4, "image": list(tensor.shape) == IMAGE}
            return {**fields_of(tensor), **(fields if is_it[name] else {})}

        patch.setattr(tflite_writer, "_tensor_fields", changed)
        return small()


def _rewired(outputs: list[int]) -> bytes:
    """A network whose only operator makes tensor 2, with these outputs."""
    tensor = {"shape": [2], "type": 0, "buffer": 0}
    graph = {
        "tensors": [{**tensor, "name": name} for name in "abcd"],
        "inputs": [0],
        "outputs": outputs,
        "operators": [{"opcode_index": 0, "inputs": [0], "outputs": [2]}],
    }
    code = {"old_code": OPERATORS.index("RELU"), "code": OPERATORS.index("RELU")}
    fields = {"version": 3, "operator_codes": [code], "subgraphs": [graph], "buffers": [{}]}
    return tflite_writer.encode("Model", fields, b"TFL3")


@pytest.mark.parametrize("says", DAMAGES)
def test_damage_is_told_in_one_line(tmp_path: Path, says: str) -> None:
    assert says in refusal(tmp_path, DAMAGES[says]())


def test_a_companion_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no second half"):
        read(_written(tmp_path, small()), tmp_path / "other")


def test_every_cut_off_file_is_refused(tmp_path: Path) -> None:
    content = small()
    for length in range(8, len(content) - 4, 7):
        refusal(tmp_path, content[:length])


def test_a_small_file_cannot_unfold_to_a_large_one(tmp_path: Path) -> None:
    """Two thousand times the same subgraph, which has two thousand times the same tensor."""
    count = 2000
    tensor = struct.pack("<2HI", 4, 4, 0)[:4] + struct.pack("<i", 4)  # a table without fields
    tensors = _same(count, 4) + tensor
    graph = struct.pack("<4H", 6, 8, 4, 0) + struct.pack("<iI", 8, 4)  # its tensors lie right behind it
    root = struct.pack("<6H", 10, 12, 4, 0, 8, 0) + struct.pack("<iII", 12, 3, 4)
    content = struct.pack("<I", 20) + b"TFL3" + root + _same(count, 8) + graph + tensors
    assert "again and again" in refusal(tmp_path, content)


def _same(count: int, behind: int) -> bytes:
    """A vector of offsets to one table, so many bytes behind it (its list of fields comes first)."""
    return struct.pack("<I", count) + b"".join(struct.pack("<I", 4 * (count - at) + behind) for at in range(count))


def test_noise_in_the_file_never_gets_through(tmp_path: Path) -> None:
    """Bytes changed at random: the network is read, or refused in one line."""
    noise = random.Random(0)
    path = tmp_path / "model.tflite"
    refused = 0
    for seed in range(60):
        content = bytearray(draw(seed, FAMILIES)[0].bytes() if seed % 3 else quantised())
        for _ in range(5):
            changed = bytearray(content)
            for _ in range(noise.choice((1, 1, 3))):
                at = noise.randrange(len(changed) - 4)
                changed[at : at + 4] = noise.choice((bytes(4), b"\xff" * 4, noise.randbytes(4), struct.pack("<I", at)))
            path.write_bytes(changed)
            try:
                read(path, None)
            except InputError:
                refused += 1
    assert 100 < refused < 300
