"""Random models against TensorFlow.js itself, in Node: layers-models that it made, graph-models of an operator each."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_cases
import tensorflow_graphs
import tiny_tfjs
from onnxray.importers import load
from onnxray.importers.certificate import certify
from onnxray.importers.errors import InputError
from onnxray.importers.tfjs.graph_model import open_graph
from onnxray.importers.tfjs.model_json import open_model
from tensorflow_runs import disagreement, run_network
from tiny_keras import first, functional, given, layer, noise, run, sequential

CASES = int(os.environ.get("ONNXRAY_CASES", "100"))
SEED = int(os.environ.get("ONNXRAY_SEED", "0"))
BAR = 1e-4  # of the largest number
WRITER = Path(__file__).parent.parent / "tfjs_networks.js"
ACTIVATIONS = ("linear", "relu", "relu6", "elu", "selu", "sigmoid", "hard_sigmoid", "tanh", "softplus", "softsign",
               "softmax", "swish", "mish", "gelu")  # fmt: skip

Draw = np.random.Generator
Case = tuple[str, list[int], dict[str, Any]]  # layer, its input without the batch, its options


def _image(draw: Draw) -> list[int]:
    return [int(draw.integers(6, 11)), int(draw.integers(6, 11)), 4]


def _pair(draw: Draw, low: int = 1, high: int = 4) -> list[int]:
    return [int(side) for side in draw.integers(low, high, 2)]


def _padding(draw: Draw) -> str:
    return str(draw.choice(["same", "valid"]))


def _activation(draw: Draw) -> str:
    return str(draw.choice(ACTIVATIONS))


def _windows(draw: Draw) -> dict[str, Any]:
    """Strides or dilation, never both: TensorFlow.js refuses that."""
    dilated = bool(draw.integers(2))
    return {
        "kernel_size": _pair(draw),
        "strides": [1, 1] if dilated else [int(draw.integers(1, 3))] * 2,
        "dilation_rate": _pair(draw, 1, 3) if dilated else [1, 1],
        "padding": _padding(draw),
        "use_bias": bool(draw.integers(2)),
        "activation": _activation(draw),
    }


def _conv2d(draw: Draw) -> Case:
    return "Conv2D", _image(draw), {"filters": 3, **_windows(draw)}


def _depthwise(draw: Draw) -> Case:
    options = {**_windows(draw), "dilation_rate": [1, 1]}  # TensorFlow.js 4.22 takes any for 1 here
    return "DepthwiseConv2D", _image(draw), {"depth_multiplier": int(draw.integers(1, 3)), **options}


def _separable(draw: Draw) -> Case:
    return "SeparableConv2D", _image(draw), {"filters": 3, "depth_multiplier": 2, **_windows(draw)}


def _transposed(draw: Draw) -> Case:
    options = {**_windows(draw), "dilation_rate": [1, 1], "strides": _pair(draw, 1, 3)}
    return "Conv2DTranspose", _image(draw), {"filters": 3, **options}


def _conv1d(draw: Draw) -> Case:
    options = {"kernel_size": [int(draw.integers(1, 4))], "strides": [1], "padding": _padding(draw)}
    return "Conv1D", [8, 3], {"filters": 2, **options, "activation": _activation(draw)}


def _conv3d(draw: Draw) -> Case:
    return "Conv3D", [4, 5, 6, 2], {"filters": 2, "kernel_size": [2, 3, 2], "padding": _padding(draw)}


def _pooling(draw: Draw) -> Case:
    kind = str(draw.choice(["MaxPooling2D", "AveragePooling2D"]))
    return kind, _image(draw), {"pool_size": _pair(draw, 2, 4), "strides": _pair(draw), "padding": _padding(draw)}


def _pooling1d(draw: Draw) -> Case:
    kind = str(draw.choice(["MaxPooling1D", "AveragePooling1D"]))
    return kind, [9, 3], {"pool_size": [2], "strides": [2], "padding": _padding(draw)}


def _global(draw: Draw) -> Case:
    kind, axes = str(draw.choice(["Max", "Average"])), int(draw.integers(1, 3))
    return f"Global{kind}Pooling{axes}D", _image(draw) if axes == 2 else [7, 3], {}


def _dense(draw: Draw) -> Case:
    return "Dense", [[5], [3, 5]][draw.integers(2)], {"units": 4, "activation": _activation(draw)}


def _batch_norm(draw: Draw) -> Case:
    options = {"axis": -1, "scale": bool(draw.integers(2)), "center": bool(draw.integers(2)), "epsilon": 1e-3}
    return "BatchNormalization", [_image(draw), [6]][draw.integers(2)], options


def _layer_norm(draw: Draw) -> Case:
    return "LayerNormalization", _image(draw), {"axis": -1, "epsilon": 1e-3}


def _recurrent(draw: Draw) -> Case:
    kind = str(draw.choice(["LSTM", "GRU", "SimpleRNN"]))
    options = {"units": 3, "return_sequences": bool(draw.integers(2)), "go_backwards": bool(draw.integers(2))}
    inner = {"recurrent_activation": str(draw.choice(["sigmoid", "hard_sigmoid"]))} if kind != "SimpleRNN" else {}
    more = {"reset_after": False} if kind == "GRU" else {}  # the other one TensorFlow.js does not have
    return kind, [5, 4], {**options, **inner, **more, "recurrent_initializer": _plain_initializer()}


def _plain_initializer() -> dict[str, Any]:
    return {"class_name": "Zeros", "config": {}}


def _bidirectional(draw: Draw) -> Case:
    kind, shape, options = _recurrent(draw)
    options["go_backwards"] = False
    mode = str(draw.choice(["concat", "sum", "mul", "ave"]))
    return "Bidirectional", shape, {"layer": layer(kind, "cell", **options), "merge_mode": mode}


def _each(draw: Draw) -> Case:
    return "TimeDistributed", [3, 4], {"layer": layer("Dense", "each", units=2, activation=_activation(draw))}


def _shapes(draw: Draw) -> Case:
    cases: list[Case] = [
        ("Flatten", [3, 4, 2], {}),
        ("Reshape", [3, 4, 2], {"target_shape": [4, -1]}),
        ("Permute", [3, 4, 2], {"dims": [3, 1, 2]}),
        ("RepeatVector", [4], {"n": 3}),
        ("ZeroPadding2D", [4, 5, 2], {"padding": [[1, 0], [2, 1]]}),
        ("Cropping2D", [6, 5, 2], {"cropping": [[1, 0], [2, 1]]}),
        ("UpSampling2D", [3, 4, 2], {"size": [2, 3], "interpolation": str(draw.choice(["nearest", "bilinear"]))}),
        ("Dropout", [4], {"rate": 0.5}),
        ("Rescaling", [3, 4, 2], {"scale": 0.01, "offset": -1}),
    ]
    return cases[draw.integers(len(cases))]


def _activations(draw: Draw) -> Case:
    cases: list[Case] = [
        ("Activation", [3, 4, 2], {"activation": _activation(draw)}),
        ("ReLU", [3, 4, 2], {"max_value": float(draw.choice([1, 6]))}),
        ("LeakyReLU", [3, 4, 2], {"alpha": 0.1}),
        ("ELU", [3, 4, 2], {}),
        ("PReLU", [3, 4, 2], {"shared_axes": [1, 2]}),
        ("ThresholdedReLU", [3, 4, 2], {"theta": 0.5}),
        ("Softmax", [3, 4, 2], {"axis": -1}),
    ]
    return cases[draw.integers(len(cases))]


def _embedding(draw: Draw) -> Case:
    return "Embedding", [5], {"input_dim": 7, "output_dim": 3}


DRAWS: list[Callable[[Draw], Case]] = [
    *(_conv2d, _depthwise, _separable, _transposed, _conv1d, _conv3d, _pooling, _pooling1d, _global, _dense),
    *(_batch_norm, _layer_norm, _recurrent, _bidirectional, _each, _shapes, _activations, _embedding),
]


def _branched() -> tuple[Any, list[int]]:
    """Branches that meet again, in every way."""
    convolution = {"filters": 4, "kernel_size": [3, 3], "padding": "same"}
    layers = [
        given("x", 6, 7, 4),
        layer("Conv2D", "block/conv", ["x"], use_bias=False, **convolution),
        layer("BatchNormalization", "block/conv/bn", ["block/conv"], axis=[3]),
        layer("Conv2D", "side", ["x"], activation="sigmoid", **convolution),
        *(layer(kind, kind.lower(), ["block/conv/bn", "side"]) for kind in ("Add", "Multiply", "Average", "Maximum")),
        layer("Concatenate", "all", ["add", "multiply", "average", "maximum"], axis=-1),
        layer("GlobalAveragePooling2D", "pool", ["all"]),
        layer("Dense", "end", ["pool"], units=3, activation="softmax"),
    ]
    return functional(layers, ["x"], ["end"]), [6, 7, 4]


def _nested() -> tuple[Any, list[int]]:
    """A model in a model, called twice, then both directions of a sequence."""
    inner = sequential(layer("Dense", "i", units=4, batch_input_shape=[None, 5, 4]), layer("Dense", "j", units=4))
    nodes = [[["x", 0, 0, {}]], [["m", 1, 0, {}]]]
    nested = {**inner, "name": "m", "config": {**inner["config"], "name": "m"}, "inbound_nodes": nodes}
    cell = layer("LSTM", "cell", units=2, return_sequences=True, recurrent_initializer=_plain_initializer())
    both = layer("Bidirectional", "both", [["m", 2, 0, {}]], layer=cell, merge_mode="concat")
    return functional([given("x", 5, 4), nested, both], ["x"], ["both"]), [5, 4]


@pytest.fixture(scope="module")
def folder(tfjs: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models that TensorFlow.js has made, and what it computes."""
    folder = tmp_path_factory.mktemp("tfjs")
    draw = np.random.default_rng(SEED)
    drawn = [DRAWS[number % len(DRAWS)](draw) for number in range(CASES)]
    models = [
        (sequential(layer(kind, "a", batch_input_shape=[None, *shape], **options)), shape)
        for kind, shape, options in drawn
    ]
    cases = []
    for number, (model, shape) in enumerate([_branched(), _nested(), *models]):
        (folder / str(number)).mkdir()
        integers = 7 if model["config"]["layers"][0]["class_name"] == "Embedding" else 0
        cases.append(
            {"folder": str(folder / str(number)), "architecture": model, "shape": [2, *shape], "integers": integers}
        )
    (folder / "cases.json").write_text(json.dumps(cases))
    subprocess.run(["node", WRITER, folder / "cases.json"], check=True, env={**os.environ, **tfjs}, capture_output=True)
    return folder


def test_layers_models_are_what_tensorflow_js_computes(folder: Path) -> None:
    cases = {case["folder"]: case for case in json.loads((folder / "cases.json").read_text())}
    refused, wrong = [], []
    for path, case in cases.items():
        stored = json.loads((Path(path) / "case.json").read_text())
        if "error" in stored:
            refused.append(f"{case['architecture']['config']['layers'][0]}: {stored['error']}")
            continue
        value, expected = (np.reshape(stored[name]["data"], stored[name]["shape"]) for name in ("input", "output"))
        try:
            apart = _difference(Path(path) / "model.json", value.astype(np.float32), expected)
        except InputError as error:
            wrong.append(str(error))
            continue
        if apart > BAR:
            wrong.append(f"{apart:.1e}: {case['architecture']['config']['layers'][0]}")
    assert not wrong, "\n".join(wrong)
    assert not refused, "\n".join(refused)


def _difference(path: Path, value: np.ndarray, expected: np.ndarray) -> float:
    """Of the largest number."""
    proto = load(path)
    if proto.graph.input[0].type.tensor_type.elem_type != 1:
        value = value.astype(np.int32)
    made = run(proto, first(value) if value.ndim == 4 else value)[0]
    expected = first(expected) if expected.ndim == 4 else expected
    if made.shape != expected.shape:
        return float("inf")
    return float(np.abs(made - expected).max() / max(np.abs(expected).max(), 1e-3))


def test_graph_models_are_what_their_operators_say(tmp_path: Path) -> None:
    """By NumPy: the graphs that hold for TensorFlow's own files, as JSON."""
    wrong, refused = [], []
    for seed in range(SEED, SEED + max(CASES // 2, 40)):
        net, outputs = tensorflow_cases.draw(seed)
        path = tiny_tfjs.write(tmp_path, *tiny_tfjs.graph_model(net.message))
        what = f"{seed} {[node.op for node in net.message.node if node.op != 'Const']}"
        try:
            found = run_network(open_graph(open_model(path), ",".join(outputs)), outputs, net.feeds)
        except InputError as error:
            refused.append(f"{what}: {error}")
            continue
        reasons = [disagreement(net.values[name], ours) for name, ours in zip(outputs, found, strict=True)]
        wrong += [f"{what}: {'; '.join(filter(None, reasons))}"] if any(reasons) else []
    assert not wrong, "\n".join(wrong)
    assert len(refused) < 0.05 * CASES, "\n".join(refused)


def test_graph_models_are_what_tensorflow_js_computes(
    tfjs: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every tensor that it has; what fuses is taken apart, and has the same end."""
    monkeypatch.setenv("NODE_PATH", tfjs["NODE_PATH"])
    net = tensorflow_graphs.small()
    bias, slope = net.constant([0.5, -0.5, 0, 1], name="bias"), net.constant([0.1, 0.2, 0.3, 0.4], name="slope")
    words = {"T": "FLOAT32", "strides": [1, 1, 1, 1], "dilations": [1, 1, 1, 1], "data_format": "NHWC", "num_args": 2}
    conv = net.node("_FusedConv2D", ["x", "w", bias, slope], fused_ops=["BiasAdd", "Prelu"], padding="SAME", **words)
    deep = net.constant(net.numbers(3, 3, 4, 1), name="deep")
    words = {**words, "num_args": 1}
    net.node("FusedDepthwiseConv2dNative", [conv, deep, bias], "deeper", fused_ops=["BiasAdd", "Relu6"], padding="SAME",
             **words)  # fmt: skip
    dense = net.constant(net.numbers(4, 5), name="dense")
    words = {"T": "FLOAT32", "transpose_a": False, "transpose_b": False, "num_args": 0}
    net.node("_FusedMatMul", ["answer", dense], "end", fused_ops=["NoOp", "Elu"], **words)
    topology, weights = tiny_tfjs.graph_model(net.message)
    for node in topology["node"]:  # TensorFlow.js knows no defaults
        if node["op"] == "Conv2D":
            node["attr"]["dilations"] = {"list": {"i": ["1"] * 4}}
    path = tiny_tfjs.write(
        tmp_path, topology, weights, signature=tiny_tfjs.signature(["x"], {"a": "deeper", "b": "end:0"})
    )
    certificate = certify(path, None, load(path), per_layer=True)
    assert certificate.reference.startswith("TensorFlow.js")
    assert certificate.verified, list(certificate.verdict())
    assert {row.name for row in certificate.inner} >= {conv, "relu", "answer"}


def test_what_tensorflow_js_refuses_is_no_certificate(
    tfjs: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODE_PATH", tfjs["NODE_PATH"])
    grouped = layer("Conv2D", "a", filters=4, kernel_size=[1, 1], groups=2, batch_input_shape=[None, 3, 3, 4])
    weights = {"a/kernel": noise(1, 1, 2, 4), "a/bias": noise(4)}
    path = tiny_tfjs.write(tmp_path, tiny_tfjs.layers_model(sequential(grouped)), weights)
    assert "TensorFlow.js cannot run this model" in certify(path, None, load(path)).note
