"""TensorFlow.js: layers-models and graph-models, their weights in every form they are stored in."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tensorflow_graphs
import tiny_tfjs
from onnxray.importers import load
from onnxray.importers.certificate import certify
from onnxray.importers.errors import InputError
from onnxray.importers.input_spec import read_input_spec
from onnxray.importers.keras.layer_writer import LayerWriter
from onnxray.importers.provenance import read_source
from PIL import Image
from tensorflow_graphs import VALID
from tiny_keras import correlated, first, functional, given, layer, noise, run, sequential

IMAGE = noise(2, 5, 6, 3)
KERNEL, BIAS = noise(2, 3, 3, 4, seed=1), noise(4, seed=2)
WEIGHTS = {"c/kernel": KERNEL, "c/bias": BIAS}
CONV: dict[str, Any] = {"filters": 4, "kernel_size": [2, 3], "padding": "valid", "activation": "relu"}
NETWORK = functional([given("x", 5, 6, 3), layer("Conv2D", "c", ["x"], **CONV)], ["x"], ["c"])
CONVOLVED = np.maximum(correlated(IMAGE, KERNEL) + BIAS, 0)


def operators(proto: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in proto.graph.node]


@pytest.mark.parametrize("cut", [1 << 22, 7])
def test_a_layers_model_computes_what_its_weights_say(cut: int, tmp_path: Path) -> None:
    """Wherever the shards are cut."""
    path = tiny_tfjs.write(tmp_path, tiny_tfjs.layers_model(NETWORK), WEIGHTS, cut=cut, format="layers-model")
    proto = load(path)
    assert operators(proto) == ["Conv", "Relu"]
    np.testing.assert_allclose(run(proto, first(IMAGE))[0], first(CONVOLVED), atol=1e-5)
    source = read_source(proto)
    assert source["format"] == "tfjs" and len(source["sha256"]) == len(list(tmp_path.iterdir()))
    spec = read_input_spec(proto)
    assert spec is not None and spec.layout == "NCHW"


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float16"])
def test_quantised_weights_are_the_numbers_that_they_stand_for(kind: str, tmp_path: Path) -> None:
    quantised = dict.fromkeys(WEIGHTS, kind)
    path = tiny_tfjs.write(tmp_path, tiny_tfjs.layers_model(NETWORK), WEIGHTS, quantised=quantised)
    values = {}
    for name, value in WEIGHTS.items():
        entry, stored = tiny_tfjs.quantise(value, kind)
        values[name] = (stored.astype(np.float64) * entry.get("scale", 1) + entry.get("min", 0)).astype(np.float32)
        assert 0 < np.abs(values[name] - value).max() < 0.02
    expected = np.maximum(correlated(IMAGE, values["c/kernel"]) + values["c/bias"], 0)
    np.testing.assert_allclose(run(load(path), first(IMAGE))[0], first(expected), atol=1e-5)


def test_javascript_writes_the_architecture_bare(tmp_path: Path) -> None:
    """As `model.save` does: no model_config around it, and a version of its own, which is no Keras 1."""
    entry = layer(
        "Conv2DTranspose", "c", filters=2, kernel_size=[2, 2], strides=[2, 2], batch_input_shape=[None, 2, 2, 3]
    )
    network = {**sequential(entry), "keras_version": "tfjs-layers 4.22.0", "backend": "tensor_flow.js"}
    kernel, image = noise(2, 2, 2, 3, seed=3), noise(1, 2, 2, 3)
    path = tiny_tfjs.write(tmp_path, network, {"c/kernel": kernel, "c/bias": np.zeros(2, np.float32)})
    expected = np.einsum("nyxi,hwoi->nyhxwo", image, kernel).reshape(1, 4, 4, 2)
    np.testing.assert_allclose(run(load(path), first(image))[0], first(expected), atol=1e-5)


def test_weights_find_layers_within_layers(tmp_path: Path) -> None:
    """In a model used as a layer, in both directions of a sequence, and of a layer whose name has a slash."""
    inner = sequential(layer("Dense", "i", units=2, use_bias=False, batch_input_shape=[None, 4, 3]))
    nested = {**inner, "name": "m", "config": {**inner["config"], "name": "m"}, "inbound_nodes": [[["x", 0, 0, {}]]]}
    cell = layer("SimpleRNN", "cell", units=2, use_bias=False, return_sequences=True, activation="linear")
    layers = [
        given("x", 4, 3),
        nested,
        layer("Dense", "m/i", ["m"], units=2, use_bias=False),
        layer("Bidirectional", "both", ["m/i"], layer=cell, merge_mode="concat"),
    ]
    weights = {
        "both/backward_cell/simple_rnn_cell/kernel": noise(2, 2, seed=4),
        "both/backward_cell/simple_rnn_cell/recurrent_kernel": np.zeros((2, 2), np.float32),
    }
    weights = {name.replace("backward", "forward"): value + 1 for name, value in weights.items()} | weights
    weights |= {"i/kernel": noise(3, 2, seed=5), "m/i/kernel": noise(2, 2, seed=6)}
    topology = tiny_tfjs.layers_model(functional(layers, ["x"], ["both"]))
    with pytest.raises(InputError, match=r"m/i .*expects kernel, the file has 2 arrays|i .*expects kernel"):
        load(tiny_tfjs.write(tmp_path, topology, weights))  # the name says either
    layers[2] = layer("Dense", "a/b", ["m"], units=2, use_bias=False)
    layers[3] = layer("Bidirectional", "both", ["a/b"], layer=cell, merge_mode="concat")
    weights["a/b/kernel"] = weights.pop("m/i/kernel")
    topology = tiny_tfjs.layers_model(functional(layers, ["x"], ["both"]))
    made = run(load(tiny_tfjs.write(tmp_path, topology, weights)), noise(1, 4, 3))[0]
    inside = noise(1, 4, 3) @ weights["i/kernel"] @ weights["a/b/kernel"]
    backward = inside @ weights["both/backward_cell/simple_rnn_cell/kernel"]
    np.testing.assert_allclose(made[..., 2:], backward, atol=1e-5)


def test_a_layer_of_the_users_own_is_written_by_a_function(tmp_path: Path) -> None:
    layers = [
        given("x", 2, 3, 8),
        layer("PixelShuffle2x", "up", ["x"]),
        layer("MultiplyBeta", "beta", ["up"], beta=0.2),
    ]
    path = tiny_tfjs.write(tmp_path, tiny_tfjs.layers_model(functional(layers, ["x"], ["beta"])), {})
    with pytest.raises(InputError, match=r"PixelShuffle2x \(layer up\); MultiplyBeta \(layer beta\).*--custom"):
        load(path)

    def shuffle(writer: LayerWriter) -> None:
        writer.emit("DepthToSpace", [writer.spatial()], blocksize=2, mode="DCR")

    def scaled(writer: LayerWriter) -> None:
        writer.emit("Mul", [writer.either(), writer.constant("beta", writer.option("beta"))])

    proto = load(path, custom={"PixelShuffle2x": shuffle, "MultiplyBeta": scaled})
    image = noise(1, 2, 3, 8)
    expected = 0.2 * image.reshape(1, 2, 3, 2, 2, 2).transpose(0, 1, 3, 2, 4, 5).reshape(1, 4, 6, 2)
    np.testing.assert_allclose(run(proto, first(image))[0], first(expected), atol=1e-6)


def _graph() -> tuple[tensorflow_graphs.Net, str]:
    net = tensorflow_graphs.Net()
    image = net.input(IMAGE, "image", [-1, 5, 6, 3])
    made = np.maximum(correlated(IMAGE, KERNEL) + BIAS, 0)
    words = {**VALID, "fused_ops": ["BiasAdd", "Relu"], "num_args": 2, "epsilon": 0.0}
    return net, net.add("_FusedConv2D", [image, net.constant(KERNEL), net.constant(BIAS)], made, "Identity", **words)


def test_a_graph_model_with_a_fused_convolution(tmp_path: Path) -> None:
    net, end = _graph()
    topology, weights = tiny_tfjs.graph_model(net.message)
    path = tiny_tfjs.write(tmp_path, topology, weights, signature=tiny_tfjs.signature(["image"], {"out": f"{end}:0"}))
    proto = load(path)
    assert [value.name for value in proto.graph.output] == ["out"]
    assert operators(proto)[0] == "Conv" and operators(proto)[-1] == "Relu"
    np.testing.assert_allclose(run(proto, first(IMAGE))[0], first(net.values[end]), atol=1e-5)
    path = tiny_tfjs.write(tmp_path, topology, weights)  # without a signature: what nothing reads
    assert [value.name for value in load(path).graph.output] == [end]
    assert [value.name for value in load(path, output_names=f"{end}/BiasAdd").graph.output] == [f"{end}/BiasAdd"]


FUSED: dict[str, tuple[list[str], Callable[[np.ndarray], np.ndarray]]] = {
    "Relu6": (["BiasAdd", "Relu6"], lambda x: np.clip(x + BIAS, 0, 6)),
    "nothing": (["BiasAdd"], lambda x: x + BIAS),
    "no bias": (["NoOp", "Elu"], lambda x: np.where(x > 0, x, np.expm1(x))),
    "LeakyRelu": (["BiasAdd", "LeakyRelu"], lambda x: np.where(x + BIAS > 0, x + BIAS, 0.3 * (x + BIAS))),
    "Prelu": (["BiasAdd", "Prelu"], lambda x: np.where(x + BIAS > 0, x + BIAS, BIAS * (x + BIAS))),
}


@pytest.mark.parametrize("op", ["_FusedConv2D", "FusedDepthwiseConv2dNative", "_FusedMatMul"])
@pytest.mark.parametrize("case", FUSED)
def test_what_is_fused_is_taken_apart(op: str, case: str, tmp_path: Path) -> None:
    steps, after = FUSED[case]
    net = tensorflow_graphs.Net()
    extra = [net.constant(BIAS) for step in steps if step in ("BiasAdd", "Prelu")]
    words: dict[str, Any] = {"fused_ops": steps, "num_args": len(extra), "leakyrelu_alpha": 0.3}
    if op == "_FusedMatMul":
        value, weight = noise(2, 3), noise(3, 4, seed=5)
        result, words = value @ weight, {**words, "transpose_a": False, "transpose_b": False}
    elif op == "_FusedConv2D":
        value, weight, words = IMAGE, KERNEL, {**words, **VALID}
        result = correlated(value, weight)
    else:
        value, weight, words = noise(2, 5, 6, 2), noise(1, 1, 2, 2, seed=6), {**words, **VALID}
        result = (value[..., None] * weight[0, 0]).reshape(2, 5, 6, 4)
    end = net.add(op, [net.input(value, "x"), net.constant(weight), *extra], after(result), "end", **words)
    topology, weights = tiny_tfjs.graph_model(net.message)
    made = run(load(tiny_tfjs.write(tmp_path, topology, weights)), first(value) if value.ndim == 4 else value)[0]
    expected = net.values[end]
    np.testing.assert_allclose(made, first(expected) if expected.ndim == 4 else expected, atol=1e-5)


def test_the_certificate_of_a_layers_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By Keras where TensorFlow.js is not installed."""
    monkeypatch.delenv("NODE_PATH", raising=False)
    if find_spec("keras") is None:
        pytest.skip("keras is not installed")
    path = tiny_tfjs.write(tmp_path, tiny_tfjs.layers_model(NETWORK), WEIGHTS)
    certificate = certify(path, None, load(path), per_layer=True)
    assert certificate.verified and certificate.reference.startswith("Keras"), certificate
    assert [row.name for row in certificate.outputs] == ["c"]


def test_esrgan_is_what_tensorflow_js_computes(
    tfjs: Mapping[str, str], shared: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODE_PATH", tfjs["NODE_PATH"])
    path = shared("models/tfjs/upscaler_esrgan_slim_x2") / "model.json"
    proto = load(path)
    assert len(proto.graph.node) == 23  # one a layer
    certificate = certify(path, None, proto)
    assert certificate.verified and certificate.reference.startswith("TensorFlow.js"), certificate


def test_the_graph_in_json_is_plain(tmp_path: Path) -> None:
    """What the tests write is what the converter does: attributes by name, no numbers of constants."""
    net, _ = _graph()
    topology, weights = tiny_tfjs.graph_model(net.message)
    plain = json.loads(tiny_tfjs.write(tmp_path, topology, weights).read_text())["modelTopology"]
    constant = next(node for node in plain["node"] if node["op"] == "Const")
    assert constant["attr"]["value"]["tensor"].keys() == {"dtype", "tensorShape"}
    convolution = next(node for node in plain["node"] if node["op"] == "_FusedConv2D")
    assert convolution["attr"]["data_format"]["s"] == tiny_tfjs.text("NHWC")


def test_every_verb_takes_it(
    shared: Callable[[str], Path], cli: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    """A network whose answer is an image."""
    path, picture = shared("models/tfjs/upscaler_esrgan_slim_x2") / "model.json", tmp_path / "noise.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)).save(picture)
    small = (path, "--size", 16)
    code, out, err = cli("summary", *small, "--json")
    assert code == 0, err
    assert json.loads(out)["total_params"] == 222_075
    for verb, words in {
        "graph": ("-o", tmp_path / "net.html"),
        "weights": ("-o", tmp_path / "weights"),
        "activations": (picture, "-o", tmp_path / "maps"),
        "explain": (picture, "--method", "saliency", "--target", "SR:0:8:8", "-o", tmp_path / "heat.png"),
        "convert": ("-o", tmp_path / "net.onnx", "--no-verify"),
    }.items():
        code, _, err = cli(verb, small[0], *words, *small[1:])
        assert code == 0, f"{verb}: {err}"
    assert len(onnx.load(tmp_path / "net.onnx").graph.node) == 23
