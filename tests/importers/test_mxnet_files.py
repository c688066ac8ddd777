"""MXNet's files: symbols of all its versions, all forms of parameters, which file goes with which, and bad ones."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnxray.importers import load
from onnxray.importers.certificate import certify, run_onnx
from onnxray.importers.errors import InputError
from onnxray.importers.mxnet.oracle import ELSEWHERE
from onnxray.importers.mxnet.params import read_params
from tiny_mxnet import MAGIC, Net, params


def network(seed: int = 0) -> Net:
    """A convolution, its normalisation and a classifier that wants images of 28 x 28."""
    net = Net(seed)
    data = net.variable("data")
    value = net.node("Convolution", "conv", data, net.weight("conv_weight", 4, 3, 3, 3), net.weight("conv_bias", 4),
                     kernel="(3, 3)", num_filter=4, stride="(2, 2)", pad="(1, 1)")  # fmt: skip
    learned = [net.weight("bn_gamma", 4), net.weight("bn_beta", 4)]
    states = [net.parameter("bn_moving_mean", np.zeros(4), "aux"), net.parameter("bn_moving_var", np.ones(4), "aux")]
    value = net.node("BatchNorm", "bn", value, *learned, *states)
    value = net.node("Activation", "relu", value, act_type="relu")
    value = net.node("Flatten", "flat", value)
    value = net.node("FullyConnected", "fc", value, net.weight("fc_weight", 5, 784), net.weight("fc_bias", 5),
                     num_hidden=5)  # fmt: skip
    net.node("SoftmaxOutput", "prob", value, net.variable("prob_label"))
    return net


def scores(path: Path, **options: Any) -> np.ndarray:
    """Its answer to an image."""
    proto = load(path, **options)
    image = np.random.default_rng(5).normal(size=(2, 3, 28, 28)).astype(np.float32)
    return run_onnx(proto, {"data": image}, ["prob"])["prob"]


def refused(path: Path, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        load(path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- what they may look like ---


def test_every_version_says_the_same(tmp_path: Path) -> None:
    expected = scores(network().write(tmp_path))
    for version in ("0.8", "0.9"):
        np.testing.assert_array_equal(scores(network().write(tmp_path, version=version)), expected)
    for form in (0, 1, 3):
        np.testing.assert_array_equal(scores(network().write(tmp_path, form=form)), expected)
    assert expected.shape == (2, 5) and np.allclose(expected.sum(1), 1)


def test_symbols_before_0_9_do_not_list_moving_statistics(tmp_path: Path) -> None:
    net = network()
    path = net.write(tmp_path, version="0.8")
    expected = scores(path)
    plain = json.loads(path.read_text())
    [norm] = [node for node in plain["nodes"] if node["op"] == "BatchNorm"]
    norm["inputs"] = norm["inputs"][:3]
    path.write_text(json.dumps(plain))
    np.testing.assert_array_equal(scores(path), expected)
    del net.parameters["aux:bn_moving_var"]
    (tmp_path / "net-0000.params").write_bytes(params(net.parameters))
    assert "lack bn_moving_var" in refused(path)


def test_half_precision_is_computed_in_floats(tmp_path: Path) -> None:
    net = network()
    path = net.write(tmp_path)
    expected = scores(path)
    halves = {name: value.astype(np.float16) for name, value in net.parameters.items()}
    (tmp_path / "net-0000.params").write_bytes(params(halves))
    assert 0 < np.abs(scores(path) - expected).max() < 0.01
    proto = load(path)
    assert {tensor.data_type for tensor in proto.graph.initializer} == {1}


@pytest.mark.parametrize("kind", ["float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bool"])
def test_every_type_of_number_is_read(kind: str, tmp_path: Path) -> None:
    value = np.array([[1, 0, 3], [4, 5, 6]]).astype(kind)
    for form in range(4):
        (tmp_path / "a.params").write_bytes(params({"arg:a": value, "b": value[0]}, form))
        found = read_params(tmp_path / "a.params")
        assert list(found) == ["arg:a", "b"] and found["arg:a"].dtype == kind
        np.testing.assert_array_equal(found["arg:a"], value)


def test_labels_and_what_no_head_reads_are_dropped(tmp_path: Path) -> None:
    net = network()
    net.heads = [(len(net.nodes) - 1, 0)]
    net.node("Custom", "loss", (0, 0))  # would be refused
    graph = load(net.write(tmp_path)).graph
    assert [value.name for value in graph.input] == ["data"]
    assert [value.name for value in graph.output] == ["prob"]


def test_the_side_follows_from_the_weights(tmp_path: Path) -> None:
    proto = load(network().write(tmp_path))
    dims = proto.graph.input[0].type.tensor_type.shape.dim
    assert [dim.dim_value or dim.dim_param for dim in dims] == ["batch", 3, 28, 28]
    message = refused(tmp_path / "net-symbol.json", size=(32, 32))
    assert "its weight of shape 5x784 does not fit the 1024 numbers" in message


# --- which goes with which ---


def test_the_highest_epoch_is_taken(tmp_path: Path) -> None:
    for epoch in (3, 12, 7):
        path = network(seed=epoch).write(tmp_path, epoch=epoch)
    network(seed=1).write(tmp_path, name="net-other", epoch=99)
    np.testing.assert_array_equal(scores(path), scores(path, companion=tmp_path / "net-0012.params"))
    np.testing.assert_array_equal(scores(path), scores(tmp_path / "net-0012.params"))
    assert not np.array_equal(scores(path), scores(tmp_path / "net-0003.params"))


def test_without_a_second_file(tmp_path: Path) -> None:
    path = network().write(tmp_path)
    other = path.with_name("net-0000.params")
    other.rename(tmp_path / "elsewhere")
    assert "its parameters (.params), but none lies beside it; name it with --companion" in refused(path)
    assert scores(path, companion=tmp_path / "elsewhere").shape == (2, 5)
    for name in ("a.params", "b.params"):
        (tmp_path / name).write_bytes((tmp_path / "elsewhere").read_bytes())
    assert "several lie beside it: a.params, b.params" in refused(path)
    path.rename(tmp_path / "symbol.txt")
    assert "its symbol (PREFIX-symbol.json), but none lies beside it" in refused(tmp_path / "a.params")


def test_two_of_a_kind(tmp_path: Path) -> None:
    path = network().write(tmp_path)
    assert "found two symbols (JSON)" in refused(path, companion=path)
    other = tmp_path / "net-0000.params"
    assert "found two parameters (binary)" in refused(other, companion=other)
    assert "names no file" in refused(path, companion=tmp_path / "gone")


def test_another_networks_parameters(tmp_path: Path) -> None:
    path = network().write(tmp_path)
    other = tmp_path / "net-0000.params"
    other.write_bytes(params({"features.0.weight": np.zeros((4, 3), np.float32)}))
    assert "holds parameters of none of the nodes" in refused(path)
    net = network()
    del net.parameters["arg:fc_weight"], net.parameters["arg:conv_bias"]
    other.write_bytes(params(net.parameters))
    assert "the parameters lack conv_bias, fc_weight" in refused(path)
    net = network()
    net.parameters["arg:conv_weight"] = np.zeros((4, 3, 5, 5), np.float32)
    other.write_bytes(params(net.parameters))
    assert "asks for a weight of shape 4x3x3x3, the parameters hold 4x3x5x5" in refused(path)


# --- bad ones ---


def test_unknown_operators_are_named_all_at_once(tmp_path: Path) -> None:
    net = Net()
    value = net.node("_contrib_quantize_v2", "q", net.input("data", (1, 3, 8, 8)))
    value = net.node("_contrib_quantized_conv", "c", value)
    net.node("_sg_mkldnn_conv", "s", net.node("_contrib_quantized_conv", "d", value))
    message = refused(net.write(tmp_path))
    for text in ("_contrib_quantize_v2 (node q)", "_contrib_quantized_conv (node c, d)", "_sg_mkldnn_conv (node s)"):
        assert text in message


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "channels last": ("Convolution", {"kernel": "(1,1)", "num_filter": 2, "layout": "NHWC"}, "layout NHWC"),
    "a kernel of rows": ("Convolution", {"kernel": "(3,)", "num_filter": 2}, "its kernel has 1 axes"),
    "no kernel": ("Pooling", {"pool_type": "max"}, "at least 1"),
    "stochastic": ("Pooling", {"pool_type": "stochastic", "kernel": "(2,2)"}, "pool_type stochastic is not supported"),
    "no number": ("LRN", {}, "its attribute nsize is missing"),
    "a word": ("LRN", {"nsize": "five"}, "nsize expects whole numbers, found 'five'"),
    "a huge number": ("UpSampling", {"scale": str(1 << 62), "sample_type": "nearest"}, "scale expects whole numbers"),
    "an axis too many": ("softmax", {"axis": 4}, "axis 4 is outside"),
    "a part too many": ("SliceChannel", {"num_outputs": 2}, "does not divide into 2 parts"),
    "a cut too large": ("Crop", {"num_args": 1, "h_w": "(20, 3)"}, "cannot cut 20x3"),
    "numbers left over": ("Reshape", {"shape": "(0, 7)"}, "cannot take the shape"),
    "a code too many": ("Reshape", {"shape": "(0, 0, 0, 0, 0)"}, "does not fit its inputs"),
    "drawn at test time": ("Dropout", {"mode": "always"}, "draws at random"),
    "millions of slices": ("repeat", {"axis": 1, "repeats": 1 << 30}, "expected at most"),
    "a matrix too large": ("_contrib_AdaptiveAvgPooling2D", {"output_size": 1 << 30}, "expected smaller ones"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_written_is_named(name: str, tmp_path: Path) -> None:
    op, options, reason = REFUSED[name]
    net = Net()
    weights = [net.weight("w", 2, 3, 1, 1), net.weight("b", 2)] if op == "Convolution" else []
    net.node(op, "odd", net.input("data", (1, 3, 8, 8)), *weights, **options)
    message = refused(net.write(tmp_path), shapes=net.inputs)
    assert reason in message and "odd" in message


def test_an_input_of_which_nothing_is_known(tmp_path: Path) -> None:
    net = Net()
    net.node("broadcast_add", "sum", net.variable("data"), net.weight("w", 3))
    path = net.write(tmp_path)
    assert "give it with --shape data=1x3x224x224, say" in refused(path)
    assert "--shape names no input of the model: dat; did you mean data?" in refused(path, shapes={"dat": (1, 3)})
    assert "every size must be at least 1" in refused(path, shapes={"data": (1, 0)})
    assert load(path, shapes={"": (1, 3)}).graph.node


def test_a_size_that_a_node_needs(tmp_path: Path) -> None:
    net = Net()
    value = net.node("Convolution", "c", net.variable("data"), net.weight("w", 2, 3, 1, 1), kernel="(1,1)",
                     num_filter=2, no_bias=True)  # fmt: skip
    net.node("SliceChannel", "s", value, num_outputs=2, axis=2)
    path = net.write(tmp_path)
    assert "needs the size of the images, which neither file says; give it with --size" in refused(path)
    assert load(path, size=(8, 6)).graph.node


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


DAMAGED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "cut off": (cut, "is cut off or damaged"),
    "no names": (lambda content: content[: content.rindex(struct.pack("<Q", 8))], "claims 8 bytes, 0 are left"),
    "a count beyond the file": (lambda content: MAGIC + struct.pack("<Q", 1 << 60) + content[24:], "claims 1152921"),
    "2^60 numbers": (
        lambda content: content[:32] + struct.pack("<I4q", 4, *[1 << 15] * 4) + content[68:],
        "claims 4611686018427387904 bytes",
    ),
    "negative sides": (lambda content: content[:36] + struct.pack("<q", -4) + content[44:], "claims the shape [-4"),
    "too many axes": (lambda content: content[:32] + struct.pack("<I", 1 << 20) + content[36:], "claims 1048576 axes"),
    "sparse": (lambda content: content[:28] + struct.pack("<i", 1) + content[32:], "holds a row_sparse array"),
    "an unknown type": (lambda content: content[:76] + struct.pack("<i", 77) + content[80:], "are of type 77"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_parameters(name: str, tmp_path: Path) -> None:
    path = network().write(tmp_path)
    other = tmp_path / "net-0000.params"
    change, reason = DAMAGED[name]
    other.write_bytes(change(other.read_bytes()))
    message = refused(path)
    assert reason in message and "net-0000.params" in message


def test_cut_off_parameters_say_how_much_is_missing(tmp_path: Path) -> None:
    path = network().write(tmp_path)
    other = tmp_path / "net-0000.params"
    other.write_bytes(other.read_bytes()[:100])
    assert "an array of shape 4x3x3x3 at byte 80 claims 432 bytes, 20 are left" in refused(path)


BROKEN: dict[str, Callable[[dict[str, Any]], object]] = {
    "an input behind": lambda plain: plain["nodes"][3].update(inputs=[[9, 0]]),
    "an input of itself": lambda plain: plain["nodes"][3].update(inputs=[[3, 0]]),
    "a negative input": lambda plain: plain["nodes"][3].update(inputs=[[-1, 0]]),
    "an output too many": lambda plain: plain["nodes"][-1].update(inputs=[[3, 7]]),
    "a head too many": lambda plain: plain.update(heads=[[99, 0, 0]]),
    "no heads": lambda plain: plain.update(heads=[]),
    "nodes that are none": lambda plain: plain.update(nodes=[1, 2]),
    "a name that is none": lambda plain: plain["nodes"][3].update(name=7),
    "half a letter": lambda plain: plain["nodes"][3].update(name="\ud800"),
    "two of a name": lambda plain: plain["nodes"][1].update(name="data"),
    "a graph inside": lambda plain: plain["nodes"][3].update(subgraphs=[{}]),
    "attributes that are a list": lambda plain: plain["nodes"][3].update(attrs=[1]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_damaged_symbols(name: str, tmp_path: Path) -> None:
    path = network().write(tmp_path)
    plain = json.loads(path.read_text())
    BROKEN[name](plain)
    path.write_text(json.dumps(plain))
    assert "net-symbol.json" in refused(path)


def test_symbols_that_are_no_json_or_nested_too_deep(tmp_path: Path) -> None:
    path = network().write(tmp_path)
    path.write_text('{"nodes": [')
    assert "expected an MXNet symbol, found damaged JSON" in refused(path)
    path.write_text('{"nodes": ' + "[" * 100_000 + "]" * 100_000 + "}")
    assert "expected an MXNet symbol, found damaged JSON" in refused(path)


def test_without_mxnet_the_certificate_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = network().write(tmp_path)
    proto = load(path)
    monkeypatch.delenv(ELSEWHERE, raising=False)
    assert ELSEWHERE in certify(path, None, proto).note
    monkeypatch.setenv(ELSEWHERE, str(tmp_path / "python"))
    assert "cannot be started" in certify(path, None, proto).note
