"""TensorFlow.js: what is damaged, missing, elsewhere or unknown is refused in one line."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_graphs
import tiny_tfjs
from onnxray.importers import load
from onnxray.importers.errors import InputError
from tiny_keras import functional, given, layer, noise

CONV: dict[str, Any] = {"filters": 4, "kernel_size": [2, 3], "padding": "valid"}
NETWORK = functional([given("x", 5, 6, 3), layer("Conv2D", "c", ["x"], **CONV)], ["x"], ["c"])
WEIGHTS = {"c/kernel": noise(2, 3, 3, 4), "c/bias": noise(4)}
SHARD = "group1-shard1of1.bin"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A layers-model: 304 bytes of weights."""
    return tiny_tfjs.write(tmp_path / "model", tiny_tfjs.layers_model(NETWORK), WEIGHTS)


def refused(path: Path, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        load(path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def changed(path: Path, change: Callable[[Any], object]) -> str:
    """What is said of the model after a change of its JSON."""
    plain = json.loads(path.read_text())
    change(plain)
    return refused(tiny_tfjs.save(path.parent, plain))


def test_weights_that_are_not_all_there(model: Path) -> None:
    shard = model.with_name(SHARD)
    content = shard.read_bytes()
    shard.write_bytes(content[:-4])
    assert f"{SHARD}: the manifest lists 304 bytes of weights, found 300" in refused(model)
    shard.write_bytes(content + b"\0")
    assert "lists 304 bytes of weights, found 305" in refused(model)
    shard.unlink()
    assert f"its weights {SHARD} are missing; they belong in {model.parent}" in refused(model)


def test_all_missing_shards_are_named(tmp_path: Path) -> None:
    path = tiny_tfjs.write(tmp_path, tiny_tfjs.layers_model(NETWORK), WEIGHTS, cut=100)
    for shard in tmp_path.glob("*.bin"):
        shard.unlink()
    assert "group1-shard1of4.bin, group1-shard2of4.bin, group1-shard3of4.bin and 1 more are missing" in refused(path)


@pytest.mark.parametrize(
    "place", ["../secret.bin", "/etc/hostname", "a/../../secret.bin", "C:\\secret.bin", "..\\x", ""]
)
def test_weights_outside_the_folder(place: str, model: Path) -> None:
    (model.parent.parent / "secret.bin").write_bytes(model.with_name(SHARD).read_bytes())

    def elsewhere(plain: Any) -> None:
        plain["weightsManifest"][0]["paths"] = [place]

    assert "must be a file inside the model's folder" in changed(model, elsewhere)


def test_links_and_pipes_instead_of_weights(model: Path) -> None:
    shard, secret = model.with_name(SHARD), model.parent.parent / "secret.bin"
    shard.rename(secret)
    shard.symlink_to(secret)
    assert "is a link out of the model's folder" in refused(model)
    shard.unlink()
    os.mkfifo(shard)
    assert "is not a regular file" in refused(model)


def _first(plain: Any) -> Any:
    return plain["weightsManifest"][0]["weights"][0]


def _last(plain: Any) -> Any:
    return plain["weightsManifest"][0]["weights"][-1]


def _quantised(plain: Any, kind: str = "float32", **how: Any) -> None:
    _first(plain).update(dtype=kind, quantization=how)


BROKEN: dict[str, tuple[Callable[[Any], object], str]] = {
    "no topology": (lambda plain: plain.pop("modelTopology"), "found no modelTopology"),
    "another topology": (lambda plain: plain.update(modelTopology={"a": 1}), "found neither"),
    "no manifest": (lambda plain: plain.pop("weightsManifest"), "expected a weightsManifest"),
    "groups that are none": (lambda plain: plain.update(weightsManifest=[1]), "expected a weightsManifest"),
    "no paths": (lambda plain: plain["weightsManifest"][0].pop("paths"), "has no list of paths"),
    "paths that are none": (lambda plain: plain["weightsManifest"][0].update(paths=[3]), "has no list of paths"),
    "no weights": (lambda plain: plain["weightsManifest"][0].update(weights={}), "has no list of weights"),
    "no name": (lambda plain: _first(plain).pop("name"), "a weight with a name and a shape"),
    "a negative size": (lambda plain: _first(plain).update(shape=[-1, 2]), "a weight with a name and a shape"),
    "a size that is none": (lambda plain: _first(plain).update(shape=["2"]), "a weight with a name and a shape"),
    "2^60 numbers": (lambda plain: _first(plain).update(shape=[1 << 30, 1 << 30]), "lists 4611686018427387920 bytes"),
    "many axes": (lambda plain: _first(plain).update(shape=[1] * 40), "has 40 axes"),
    "another type": (lambda plain: _first(plain).update(dtype="int4"), "the type 'int4', which is not supported"),
    "a type of no text": (lambda plain: _first(plain).update(dtype=[1]), "which is not supported"),
    "another quantisation": (lambda plain: _quantised(plain, dtype="int2"), "expected one of uint8"),
    "quantised beyond numbers": (
        lambda plain: _quantised(plain, dtype="uint8", min=0, scale=10**400), "without the numbers scale",
    ),
    "a file twice": (lambda plain: plain["weightsManifest"][0]["paths"].append(SHARD), "lists a file twice"),
    "quantised without a scale": (lambda plain: _quantised(plain, dtype="uint8", min=0), "without the numbers scale"),
    "quantised integers": (lambda plain: _quantised(plain, "int32", dtype="float16"), "which only float32 can be"),
    "twice the same": (lambda plain: _first(plain).update(name="c/bias"), "is listed twice"),
    "of no layer": (lambda plain: _first(plain).update(name="d/kernel"), "d/kernel is of none of the layers"),
    "another role": (lambda plain: _last(plain).update(name="c/gamma"), "is listed where c (Conv2D) expects bias"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_damaged_json(case: str, model: Path) -> None:
    change, says = BROKEN[case]
    assert says in changed(model, change)


def test_text_that_is_no_json(model: Path) -> None:
    text = model.read_text()
    model.write_text(text[: len(text) // 2])
    assert "expected JSON" in refused(model)
    model.write_text('{"modelTopology": ' + "[" * 100_000)
    assert "expected JSON" in refused(model)


def test_all_unknown_layers_are_named(tmp_path: Path) -> None:
    layers = [given("x", 4), layer("Mystery", "a", ["x"]), layer("Riddle", "b", ["a"])]
    path = tiny_tfjs.write(tmp_path, tiny_tfjs.layers_model(functional(layers, ["x"], ["b"])), {})
    assert "Mystery (layer a); Riddle (layer b)" in refused(path)


def _graph(tmp_path: Path, change: Callable[[Any], object] = lambda topology: None, **more: Any) -> Path:
    topology, weights = tiny_tfjs.graph_model(tensorflow_graphs.small().message)
    topology = copy.deepcopy(topology)
    change(topology)
    return tiny_tfjs.write(tmp_path, topology, weights, **more)


def _node(topology: Any, name: str) -> Any:
    return next(node for node in topology["node"] if node["name"] == name)


def _fuse(topology: Any) -> None:
    node = _node(topology, "conv")
    node["op"] = "_FusedConv2D"
    node["attr"]["fused_ops"] = {"list": {"s": [tiny_tfjs.text("BiasAdd")]}}


def test_graphs_that_are_damaged(tmp_path: Path) -> None:
    assert load(_graph(tmp_path)).graph.output[0].name == "answer"
    assert "constants lost" in refused(_graph(tmp_path, lambda graph: _node(graph, "w").update(name="lost")))
    cases: dict[str, Callable[[Any], object]] = {
        "damaged content": lambda graph: graph.update(node=3),
        "expected a TensorFlow graph": lambda graph: _node(graph, "conv")["attr"].update(T={"type": [3]}),
        "which the file lacks": lambda graph: _node(graph, "relu").update(input=["nowhere"]),
        "Riddle (1)": lambda graph: _node(graph, "relu").update(op="Riddle"),
        "has no input for its BiasAdd": _fuse,
    }
    for says, change in cases.items():
        assert says in refused(_graph(tmp_path, change)), says


def test_options_of_the_other_kind(model: Path, tmp_path: Path) -> None:
    assert "output_names is for graph-models" in refused(model, output_names="c")
    assert "--custom is for layers-models" in refused(_graph(tmp_path), custom={"a": "b:c"})
    assert "no node is called nowhere" in refused(_graph(tmp_path), output_names="nowhere")


def test_weights_without_a_network(tmp_path: Path) -> None:
    """The manifest of the first versions, a file of its own."""
    plain = {"weightsManifest": [{"paths": ["a.bin"], "weights": []}]}
    assert "found no modelTopology in it" in refused(tiny_tfjs.save(tmp_path, plain))


def test_text_and_complex_weights_are_no_numbers(tmp_path: Path) -> None:
    """Text is skipped by its lengths; what reads it is refused."""
    path = tiny_tfjs.write(tmp_path, tiny_tfjs.layers_model(NETWORK), WEIGHTS)
    plain = json.loads(path.read_text())
    weights = plain["weightsManifest"][0]["weights"]
    weights.append({"name": "c/text", "shape": [2], "dtype": "string"})
    shard = path.with_name(SHARD)
    shard.write_bytes(shard.read_bytes() + b"\x01\0\0\0a" + b"\x02\0\0\0bc")
    assert "expects kernel, bias, the file has 3 arrays" in refused(tiny_tfjs.save(tmp_path, plain))
    weights[-1]["shape"] = [1 << 40]
    assert "truncated, or not its" in refused(tiny_tfjs.save(tmp_path, plain))


def test_numbers_beyond_float32_are_infinite(tmp_path: Path) -> None:
    path = tiny_tfjs.write(
        tmp_path, tiny_tfjs.layers_model(NETWORK), WEIGHTS, quantised={"c/kernel": "uint8", "c/bias": "float16"}
    )
    plain = json.loads(path.read_text())
    _first(plain)["quantization"].update(scale=1e300, min=-1e308)
    proto = load(tiny_tfjs.save(tmp_path, plain))
    kernel = next(tensor for tensor in proto.graph.initializer if len(tensor.dims) == 4)
    assert np.isinf(np.frombuffer(kernel.raw_data, np.float32)).all()


def test_the_form_before_version_1_is_named(tmp_path: Path) -> None:
    """Its graph would be read as TensorFlow's, its constants as zeros."""
    path = tensorflow_graphs.write(tmp_path / "tensorflowjs_model.pb", tensorflow_graphs.small())
    load(path)
    (tmp_path / "weights_manifest.json").write_text("[]")
    assert "TensorFlow.js before version 1, which is not read" in refused(path)
