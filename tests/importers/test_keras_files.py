"""Keras files as each version writes them: names, orders of weights, references, containers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx
import pytest
import tiny_keras
from onnxray.importers import keras, load
from onnxray.importers.errors import InputError
from onnxray.importers.input_spec import read_input_spec
from tiny_keras import first, functional, given, layer, noise, sequential

IMAGE = noise(2, 5, 6, 3)
KERNEL = noise(2, 3, 3, 4, seed=1)
BIAS = noise(4, seed=2)
CONVOLVED = tiny_keras.correlated(IMAGE, KERNEL) + BIAS
CONV: dict[str, Any] = {"filters": 4, "kernel_size": [2, 3], "padding": "valid", "data_format": "channels_last"}
OLD_CONV: dict[str, Any] = {"nb_filter": 4, "nb_row": 2, "nb_col": 3, "border_mode": "valid", "subsample": [1, 1]}


def operators(proto: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in proto.graph.node]


def shapes(values: Any) -> list[list[int | str]]:
    return [[dim.dim_value or dim.dim_param for dim in value.type.tensor_type.shape.dim] for value in values]


@pytest.mark.parametrize("written", ["tf", "th", "th of theano"])
def test_keras_1_convolution(written: str, tmp_path: Path) -> None:
    """Its words, its order of kernels where channels are first, and Theano's kernels turned round."""
    order, backend = written[:2], "theano" if "theano" in written else "tensorflow"
    shape = [None, 5, 6, 3] if order == "tf" else [None, 3, 5, 6]
    entry = layer("Convolution2D", "c", **OLD_CONV, dim_ordering=order, bias=True, batch_input_shape=shape)
    kernel = KERNEL if order == "tf" else KERNEL.transpose(3, 2, 0, 1)
    if backend == "theano":
        kernel = kernel[:, :, ::-1, ::-1]
    architecture = {"class_name": "Sequential", "config": [{"class_name": "Convolution2D", "config": entry["config"]}]}
    weights = {"c": [("c_W", kernel), ("c_b", BIAS)]}
    path = tiny_keras.write_h5(tmp_path / "old.h5", architecture, weights, "1.2.2", backend)
    proto = load(path)
    assert operators(proto) == ["Conv"]
    assert [value.name for value in (*proto.graph.input, *proto.graph.output)] == ["c_input", "c"]
    np.testing.assert_allclose(tiny_keras.run(proto, first(IMAGE))[0], first(CONVOLVED), atol=1e-5)


@pytest.mark.parametrize(("kind", "gates", "old"), [("LSTM", "ifco", "icfo"), ("GRU", "zrh", "zrh")])
def test_keras_1_recurrent_layers_have_a_matrix_a_gate(kind: str, gates: str, old: str, tmp_path: Path) -> None:
    parts = {gate: (noise(3, 2, seed=i), noise(2, 2, seed=i + 9), noise(2, seed=i)) for i, gate in enumerate(gates)}
    apart = [(f"{kind}_{role}_{gate}", parts[gate][at]) for gate in old for at, role in enumerate("WUb")]
    joined = [(name, np.concatenate([parts[gate][at] for gate in gates], -1)) for at, name in enumerate("kRb")]
    shape = {"batch_input_shape": [None, 4, 3]}
    old_entry = layer(kind, "r", output_dim=2, activation="tanh", inner_activation="hard_sigmoid", **shape)
    new_entry = layer(kind, "r", units=2, activation="tanh", recurrent_activation="hard_sigmoid", **shape)
    one = tiny_keras.write_h5(tmp_path / "1.h5", sequential(old_entry), {"r": apart}, "1.2.0")
    two = tiny_keras.write_h5(tmp_path / "2.h5", sequential(new_entry), {"r": joined}, "2.1.0")
    value = noise(2, 4, 3)
    found, expected = (tiny_keras.run(load(path), value)[0] for path in (one, two))
    assert found.shape == (2, 2) and np.ptp(found) > 0
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("version", "slope"), [("1.1.0", 0.2), ("2.15.0", 0.2), ("3.1.0", 1 / 6)])
def test_hard_sigmoid_is_that_of_the_version(version: str, slope: float, tmp_path: Path) -> None:
    entry = layer("Activation", "a", activation="hard_sigmoid", batch_input_shape=[None, 7])
    path = tiny_keras.write_h5(tmp_path / "a.h5", sequential(entry), {"a": []}, version)
    value = np.linspace(-4, 4, 7, dtype=np.float32)[None]
    np.testing.assert_allclose(tiny_keras.run(load(path), value)[0], np.clip(slope * value + 0.5, 0, 1), atol=1e-6)


def test_old_merges_and_alpha_as_an_array(tmp_path: Path) -> None:
    layers = [
        given("a", 3),
        layer("LeakyReLU", "leaky", ["a"], alpha={"type": "ndarray", "value": 0.25}),
        layer("Merge", "both", ["a", "leaky"], mode="concat", concat_axis=-1),
    ]
    path = tiny_keras.write_h5(tmp_path / "m.h5", functional(layers, ["a"], ["both"]), {}, "1.0.8")
    value = noise(2, 3)
    expected = np.concatenate([value, np.where(value < 0, value / 4, value)], -1)
    np.testing.assert_allclose(tiny_keras.run(load(path), value)[0], expected, atol=1e-7)


def test_names_are_the_layers(tmp_path: Path) -> None:
    """Nodes and tensors; what a layer does before its activation has a name of its own."""
    conv = layer("Conv2D", "first conv", **CONV, activation="relu", batch_input_shape=[None, 5, 6, 3])
    path = tiny_keras.write_h5(
        tmp_path / "n.h5", sequential(conv), {"first conv": [("kernel:0", KERNEL), ("bias:0", BIAS)]}
    )
    proto = load(path)
    assert [(node.name, node.output[0]) for node in proto.graph.node] == [
        ("first conv/before_activation", "first conv/before_activation"),
        ("first conv", "first conv"),
    ]
    assert shapes(proto.graph.input) == [["batch", 3, 5, 6]] and shapes(proto.graph.output) == [["batch", 4, 4, 4]]
    spec = read_input_spec(proto)
    assert spec is not None and (spec.layout, spec.size, spec.labels) == ("NCHW", (5, 6), ())


def test_shared_layers_several_inputs_and_outputs(tmp_path: Path) -> None:
    """One kernel in the graph; an output twice and an input that is an output are copies."""
    layers = [
        given("left", 5, 6, 3),
        given("right", 5, 6, 3),
        layer("Conv2D", "conv", **CONV),
        layer("Subtract", "apart", [["conv", 0, 0, {}], ["conv", 1, 0, {}]]),
        layer("Dropout", "drop", ["apart"], rate=0.5),
    ]
    layers[2]["inbound_nodes"] = [[["left", 0, 0, {}]], [["right", 0, 0, {}]]]
    model = functional(layers, ["left", "right"], ["apart", ["conv", 1, 0], "drop", "left"])
    path = tiny_keras.write_h5(tmp_path / "s.h5", model, {"conv": [("k", KERNEL), ("b", BIAS)], "drop": []})
    proto = load(path)
    assert len(proto.graph.initializer) == 2
    assert [value.name for value in proto.graph.output] == ["apart", "conv_2", "drop/output", "left/output"]
    other = noise(2, 5, 6, 3, seed=5)
    found = tiny_keras.run(proto, first(IMAGE), first(other))
    second = first(tiny_keras.correlated(other, KERNEL) + BIAS)
    for value, expected in zip(
        found, [first(CONVOLVED) - second, second, first(CONVOLVED) - second, first(IMAGE)], strict=True
    ):
        np.testing.assert_allclose(value, expected, atol=1e-5)


@pytest.mark.parametrize("node", [0, 1])
@pytest.mark.parametrize("names", ["told", "untold"])
def test_models_in_models(names: str, node: int, tmp_path: Path) -> None:
    """Some versions count the nodes of a model from 1; its weights are one list, what is trained first."""
    inner = functional(
        [
            given("inside", 3),
            layer("Dense", "frozen", ["inside"], units=3, use_bias=False, trainable=False),
            layer("BatchNormalization", "bn", ["frozen"], axis=-1, epsilon=0.0),
            layer("Dense", "free", ["bn"], units=3, use_bias=False),
        ],
        ["inside"],
        ["free"],
        "part",
    )
    part = {**inner, "name": "part", "inbound_nodes": [[["x", 0, 0, {}]]]}
    model = functional([given("x", 3), part], ["x"], [["part", node, 0]])
    frozen, free = noise(3, 3, seed=1), noise(3, 3, seed=2)
    moments = [noise(3, seed=at) for at in range(3)] + [np.abs(noise(3, seed=3)) + 1]
    roles = ("gamma", "beta", "moving_mean", "moving_variance")
    arrays = [("bn/gamma:0", moments[0]), ("bn/beta:0", moments[1]), ("free/kernel:0", free)]
    arrays += [("frozen/kernel:0", frozen), ("bn/moving_mean:0", moments[2]), ("bn/moving_variance:0", moments[3])]
    if names == "untold":
        arrays = [(f"variable_{index}", array) for index, (_, array) in enumerate(arrays)]
    proto = load(tiny_keras.write_h5(tmp_path / "n.h5", model, {"part": arrays}))
    assert [entry.name for entry in proto.graph.node] == ["part/frozen", "part/bn", "part/free"]
    value = noise(2, 3)
    gamma, beta, mean, variance = moments
    expected = ((value @ frozen - mean) / np.sqrt(variance) * gamma + beta) @ free
    np.testing.assert_allclose(tiny_keras.run(proto, value)[0], expected, atol=1e-4)
    assert {f"part/bn/{role}" for role in roles} <= {tensor.name for tensor in proto.graph.initializer}


def test_states_of_random_numbers_are_no_weights(tmp_path: Path) -> None:
    """tf.keras stores them with the layer, in a model used as a layer among its arrays."""
    state = np.zeros(3, np.int64)
    inner = functional(
        [given("inside", 3), layer("RandomFlip", "flip", ["inside"]), layer("Dense", "d", ["flip"], units=2)],
        ["inside"],
        ["d"],
        "part",
    )
    part = {**inner, "name": "part", "inbound_nodes": [[["x", 0, 0, {}]]]}
    model = functional([given("x", 3), layer("RandomZoom", "zoom", ["x"]), part], ["x"], ["part"])
    kernel, bias = noise(3, 2), noise(2)
    arrays = [("d/kernel:0", kernel), ("d/bias:0", bias), ("flip/StateVar:0", state)]
    path = tiny_keras.write_h5(tmp_path / "r.h5", model, {"part": arrays, "zoom": [("zoom/StateVar:0", state)]})
    value = noise(2, 3)
    np.testing.assert_allclose(tiny_keras.run(load(path), value)[0], value @ kernel + bias, atol=1e-6)


def test_long_lists_of_names_are_cut(tmp_path: Path) -> None:
    entries = [layer("Dense", f"d{index}", units=2, batch_input_shape=[None, 2]) for index in range(3)]
    weights = {f"d{at}": [("k", noise(2, 2, seed=at)), ("b", noise(2, seed=at))] for at in range(3)}
    paths = [
        tiny_keras.write_h5(tmp_path / f"{count}.h5", sequential(*entries), weights, chunks=count) for count in (1, 2)
    ]
    one, two = (tiny_keras.run(load(path), noise(2, 2))[0] for path in paths)
    np.testing.assert_array_equal(one, two)


ENTRY = layer("Conv2D", "c", **CONV, batch_input_shape=[None, 5, 6, 3])


@pytest.mark.parametrize(
    "place",
    ["layers/conv2d/vars", "layers\\conv2d/vars", "layers\\conv2d\\vars", "_layer_checkpoint_dependencies/conv2d/vars"],
)
def test_archives_of_every_version_and_of_windows(place: str, tmp_path: Path) -> None:
    arrays = {f"{place}/0": KERNEL, f"{place}/1": BIAS}
    path = tiny_keras.write_keras(tmp_path / "a.keras", sequential(ENTRY), arrays, "2.13.1")
    np.testing.assert_allclose(tiny_keras.run(load(path), first(IMAGE))[0], first(CONVOLVED), atol=1e-5)


def test_weights_alone_take_the_architecture_as_companion(tmp_path: Path) -> None:
    architecture = tmp_path / "arch.json"
    architecture.write_text(json.dumps({**sequential(ENTRY), "keras_version": "2.4.0"}))
    named = tiny_keras.write_h5(tmp_path / "w.h5", None, {"c": [("c/kernel:0", KERNEL), ("c/bias:0", BIAS)]})
    numbered = tmp_path / "w.weights.h5"
    with h5py.File(numbered, "w") as file:
        file["layers/conv2d/vars/0"], file["layers/conv2d/vars/1"] = KERNEL, BIAS
    for path in (named, numbered):
        with pytest.raises(InputError, match=r"holds only weights; name the architecture .* with --companion"):
            load(path)
        proto = load(path, companion=architecture)
        np.testing.assert_allclose(tiny_keras.run(proto, first(IMAGE))[0], first(CONVOLVED), atol=1e-5)


@pytest.mark.parametrize("kind", ["float16", "float64", "bfloat16"])
def test_weights_of_other_types(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "t.h5"
    kernel = np.array([[1.5, -2.0], [0.25, 3.0]], np.float32)
    entry = layer("Dense", "d", units=2, use_bias=False, batch_input_shape=[None, 2])
    stored = (kernel.view("<u4") >> 16).astype("<u2") if kind == "bfloat16" else kernel.astype(kind)
    tiny_keras.write_h5(path, sequential(entry), {"d": [("k", stored)]})
    if kind == "bfloat16":
        with h5py.File(path, "a") as file:
            file["model_weights/d/k"].attrs["dtype"] = "bfloat16"
    value = noise(3, 2)
    np.testing.assert_allclose(tiny_keras.run(load(path), value)[0], value @ kernel, atol=1e-6)


def test_functions_of_tensorflow_between_layers(tmp_path: Path) -> None:
    """x[:, 1:] * 0.5 + mean, as tf.keras 2.4 notes it: nodes that are one list, numbers among the keywords."""
    spec = [{"start": None, "stop": None, "step": None}, {"start": 1, "stop": None, "step": None}]
    functions = {
        "part": ("SlicingOpLambda", "__operators__.getitem", ["x", 0, 0, {"slice_spec": spec}]),
        "half": ("TFOpLambda", "math.multiply", ["part", 0, 0, {"y": 0.5, "name": None}]),
        "mean": ("TFOpLambda", "math.reduce_mean", ["x", 0, 0, {"axis": 1, "keepdims": True}]),
        "sum": ("TFOpLambda", "__operators__.add", ["half", 0, 0, {"y": ["mean", 0, 0], "name": None}]),
    }
    layers = [given("x", 4)]
    for name, (kind, function, node) in functions.items():
        layers.append({**layer(kind, name, function=function), "inbound_nodes": [node]})
    proto = load(tiny_keras.write_h5(tmp_path / "f.h5", functional(layers, ["x"], ["sum"]), {}))
    value = noise(2, 4)
    expected = value[:, 1:] * 0.5 + value.mean(1, keepdims=True)
    np.testing.assert_allclose(tiny_keras.run(proto, value)[0], expected, atol=1e-6)


def test_a_convolutional_network_needs_no_transpose(tmp_path: Path) -> None:
    """Where only Dense layers read what Flatten gives, their rows follow; the result is the same."""
    flat = noise(64, 2, seed=7)
    layers = [ENTRY, layer("Flatten", "flat"), layer("Dropout", "drop", rate=0.5), layer("Dense", "d", units=2)]
    weights = {"c": [("k", KERNEL), ("b", BIAS)], "d": [("k", flat), ("b", np.zeros(2, np.float32))]}
    proto = load(tiny_keras.write_h5(tmp_path / "f.h5", sequential(*layers), weights))
    assert operators(proto) == ["Conv", "Flatten", "Gemm"]
    expected = CONVOLVED.reshape(2, -1) @ flat
    np.testing.assert_allclose(tiny_keras.run(proto, first(IMAGE))[0], expected, atol=1e-4)


def test_models_with_channels_first_stay_as_they_are(tmp_path: Path) -> None:
    conv = {**CONV, "data_format": "channels_first"}
    entry = layer("Conv2D", "c", **conv, batch_input_shape=[None, 3, 5, 6])
    proto = load(tiny_keras.write_h5(tmp_path / "c.h5", sequential(entry), {"c": [("k", KERNEL), ("b", BIAS)]}))
    assert operators(proto) == ["Conv"] and shapes(proto.graph.input) == [["batch", 3, 5, 6]]
    np.testing.assert_allclose(tiny_keras.run(proto, first(IMAGE))[0], first(CONVOLVED), atol=1e-5)


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_pooling_after_padding_sees_the_zeros(padding: str, tmp_path: Path) -> None:
    """onnxruntime merges the two where it can, and then pads with the lowest number instead."""
    layers = [
        layer("ZeroPadding2D", "pad", padding=[[1, 1], [1, 1]], batch_input_shape=[None, 4, 4, 1]),
        layer("MaxPooling2D", "pool", pool_size=[3, 3], strides=[2, 2], padding=padding),
    ]
    proto = load(tiny_keras.write_h5(tmp_path / "p.h5", sequential(*layers), {}))
    (found,) = tiny_keras.run(proto, np.full((1, 1, 4, 4), -5, np.float32))
    assert found.shape == ((1, 1, 2, 2) if padding == "valid" else (1, 1, 3, 3))
    assert found[0, 0, 0, 0] == 0  # the corner's window has zeros in it


@pytest.mark.parametrize("side", [7, 8, 9, 10])
def test_same_padding_of_sizes_that_the_file_leaves_open(side: int, tmp_path: Path) -> None:
    conv = {"filters": 2, "kernel_size": [3, 3], "strides": [2, 2], "padding": "same", "use_bias": False}
    weights = {"c": [("k", noise(3, 3, 1, 2))]}
    value, found = noise(1, 1, side, side), []
    for name, shape in (("open", None), ("known", side)):
        entry = layer("Conv2D", "c", **conv, batch_input_shape=[None, shape, shape, 1])
        found.append(tiny_keras.run(load(tiny_keras.write_h5(tmp_path / name, sequential(entry), weights)), value)[0])
    assert found[0].shape == found[1].shape == (1, 2, -(-side // 2), -(-side // 2))
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)


def test_layers_of_keras_own_networks(tmp_path: Path) -> None:
    """ConvNeXt's, which are no public layers."""
    layers = [
        {**layer("StochasticDepth", "deep", rate=0.1), "module": "keras.src.applications.convnext"},
        {**layer("LayerScale", "s", projection_dim=3), "module": "keras.src.applications.convnext"},
    ]
    layers[0]["config"]["batch_input_shape"] = [None, 5, 6, 3]
    gamma = noise(3)
    proto = load(tiny_keras.write_h5(tmp_path / "s.h5", sequential(*layers), {"s": [("gamma", gamma)]}))
    np.testing.assert_allclose(tiny_keras.run(proto, first(IMAGE))[0], first(IMAGE * gamma), atol=1e-6)


def test_an_output_that_has_to_be_turned_keeps_its_name(tmp_path: Path) -> None:
    layers = [layer("Reshape", "r", target_shape=[2, 3, 4], batch_input_shape=[None, 24])]
    proto = load(tiny_keras.write_h5(tmp_path / "r.h5", sequential(*layers), {}))
    assert [value.name for value in proto.graph.output] == ["r"] and shapes(proto.graph.output) == [["batch", 4, 2, 3]]
    value = noise(2, 24)
    np.testing.assert_array_equal(tiny_keras.run(proto, value)[0], first(value.reshape(2, 2, 3, 4)))


def test_whole_numbers_keep_their_type(tmp_path: Path) -> None:
    """Indices of an Embedding as they are; of anything else a cast follows."""
    rows = noise(7, 3)
    numbers = {"class_name": "InputLayer", "config": {"name": "i", "batch_input_shape": [None, 4], "dtype": "int32"}}
    looked_up = sequential(numbers, layer("Embedding", "e", input_dim=7, output_dim=3))
    proto = load(tiny_keras.write_h5(tmp_path / "e.h5", looked_up, {"e": [("e", rows)]}))
    value = np.array([[0, 6, 3, 3]], np.int32)
    np.testing.assert_array_equal(tiny_keras.run(proto, value)[0], rows[value])
    scaled = sequential(numbers, layer("Rescaling", "s", scale=0.5, offset=1.0))
    proto = load(tiny_keras.write_h5(tmp_path / "s.h5", scaled, {}))
    np.testing.assert_array_equal(tiny_keras.run(proto, value)[0], value * 0.5 + 1)


@pytest.mark.parametrize("shape", [-1, "6", {}, [None, True], [None, 1 << 60], [None, "6"]])
def test_input_shapes_that_are_none(shape: object, tmp_path: Path) -> None:
    entry = layer("Rescaling", "a", scale=2.0, batch_input_shape=shape)
    path = tiny_keras.write_h5(tmp_path / "net.h5", sequential(entry), {})
    with pytest.raises(InputError, match=r"batch_input_shape expects a list of sizes|expected a size on axis 1"):
        load(path)


def test_an_input_listed_twice_is_refused(tmp_path: Path) -> None:
    model = functional([given("x", 4), layer("Add", "a", ["x", "x"])], ["x", "x"], ["a"])
    with pytest.raises(InputError, match="lists an input twice"):
        load(tiny_keras.write_h5(tmp_path / "net.h5", model, {}))


def test_numbers_beyond_float32_are_infinite(tmp_path: Path) -> None:
    entry = layer("Rescaling", "a", scale=1e308, batch_input_shape=[None, 2])
    proto = load(tiny_keras.write_h5(tmp_path / "net.h5", sequential(entry), {}))
    assert np.isinf(tiny_keras.run(proto, np.ones((1, 2), np.float32))[0]).all()


def test_a_negative_variance_is_read_without_a_warning(tmp_path: Path) -> None:
    entry = layer("Normalization", "n", axis=-1, batch_input_shape=[None, 2])
    stored = [(name, np.full(2, -1, np.float32)) for name in ("mean", "variance", "count")]
    proto = load(tiny_keras.write_h5(tmp_path / "net.h5", sequential(entry), {"n": stored}))
    assert np.isnan(tiny_keras.run(proto, noise(1, 2))[0]).all()


def test_the_module_reads_what_load_reads(tmp_path: Path) -> None:
    path = tiny_keras.write_h5(tmp_path / "c.h5", sequential(ENTRY), {"c": [("k", KERNEL), ("b", BIAS)]})
    assert keras.read(path, None).graph == load(path).graph
