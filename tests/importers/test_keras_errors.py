"""Keras files that cannot be used: one line that says what was expected, what was found and where."""

from __future__ import annotations

import copy
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tiny_keras
from onnxray.importers import load
from onnxray.importers.errors import InputError
from tiny_keras import functional, given, layer, noise, sequential

KERNEL, BIAS = noise(4, 3), noise(3)
DENSE = sequential(layer("Dense", "d", units=3, batch_input_shape=[None, 4]))
WEIGHTS = {"d": [("d/kernel:0", KERNEL), ("d/bias:0", BIAS)]}
ARRAYS = {"layers/dense/vars/0": KERNEL, "layers/dense/vars/1": BIAS}


def refused(path: Path, companion: Path | None = None) -> str:
    with pytest.raises(InputError) as caught:
        load(path, companion=companion)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 700
    return message


def refused_h5(folder: Path, architecture: Any, weights: Any = None, version: str | None = "2.4.0") -> str:
    return refused(tiny_keras.write_h5(folder / "net.h5", architecture, weights or {}, version))


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.999])
def test_truncated(suffix: str, share: float, tmp_path: Path) -> None:
    path = tmp_path / f"net{suffix}"
    if suffix == ".h5":
        tiny_keras.write_h5(path, DENSE, WEIGHTS)
    else:
        tiny_keras.write_keras(path, DENSE, ARRAYS)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    assert refused(path)


def test_every_byte_may_be_damaged(tmp_path: Path) -> None:
    """What is read in spite of a wrong byte is read; whatever is refused is refused in one line."""
    path = tiny_keras.write_h5(tmp_path / "net.h5", DENSE, WEIGHTS)
    whole = path.read_bytes()
    generator = np.random.default_rng(0)
    refusals = 0
    for at in generator.integers(0, len(whole), 150):
        broken = bytearray(whole)
        broken[at] ^= int(generator.integers(1, 256))
        path.write_bytes(broken)
        try:
            load(path)
        except InputError as error:
            refusals += 1
            assert "\n" not in str(error)
    assert refusals


def _mutated(tree: Any, generator: np.random.Generator) -> Any:
    """The same JSON with one value of another kind somewhere in it."""
    tree = copy.deepcopy(tree)
    node, path = tree, []
    while isinstance(node, (dict, list)) and node and (not path or generator.integers(4)):
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        path.append((node, keys[generator.integers(len(keys))]))
        node = node[path[-1][1]]
    holder, key = path[-1]
    values = [None, -1, 1 << 60, 0.5, "text", [], {}, [[]], ["x", 0, 0], {"class_name": "Dense"}, True]
    holder[key] = values[generator.integers(len(values))]
    return tree


def test_any_wrong_value_of_an_architecture(tmp_path: Path) -> None:
    conv = layer("Conv2D", "c", ["x"], filters=3, kernel_size=[2, 2], strides=[1, 1], padding="same", activation="relu")
    layers = [
        given("x", 4, 4, 3),
        conv,
        layer("BatchNormalization", "b", ["c"], axis=[3], epsilon=1e-3),
        layer("Add", "a", ["c", "b"]),
        layer("Flatten", "f", ["a"]),
        layer("Dense", "d", ["f"], units=3, activation="softmax"),
    ]
    model = functional(layers, ["x"], ["d"])
    weights = {
        "c": [("k", noise(2, 2, 3, 3)), ("b", BIAS)],
        "b": [(name, np.ones(3, np.float32)) for name in "gbmv"],
        "d": [("k", noise(48, 3)), ("b", BIAS)],
    }
    generator, refusals = np.random.default_rng(1), 0
    for _ in range(150):
        path = tiny_keras.write_h5(tmp_path / "net.h5", _mutated(model, generator), weights)
        try:
            load(path)
        except InputError as error:
            refusals += 1
            assert "\n" not in str(error)
    assert refusals > 50


def _external_link(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file["model_weights/elsewhere"] = h5py.ExternalLink("/etc/passwd", "/")


def _soft_link(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file["again"] = h5py.SoftLink("/model_weights")


def _virtual(path: Path) -> None:
    layout = h5py.VirtualLayout((4, 3), "f4")
    layout[:] = h5py.VirtualSource("/etc/other.h5", "data", (4, 3))
    with h5py.File(path, "a") as file:
        del file["model_weights/d/d/kernel:0"]
        file.create_virtual_dataset("model_weights/d/d/kernel:0", layout)


def _external_storage(path: Path) -> None:
    with h5py.File(path, "a") as file:
        del file["model_weights/d/d/kernel:0"]
        file.create_dataset("model_weights/d/d/kernel:0", (4, 3), "f4", external=[("/etc/passwd", 0, 48)])


def _endless(path: Path) -> None:
    with h5py.File(path, "a") as file:
        del file["model_weights/d/d/kernel:0"]
        file.create_dataset("model_weights/d/d/kernel:0", (1 << 30, 1 << 30), "f4", chunks=(1 << 10, 1 << 10))


def _packed(path: Path) -> None:
    with h5py.File(path, "a") as file:
        del file["model_weights/d/d/kernel:0"]
        zeros = np.zeros((1 << 13, 1 << 11), np.float32)
        file.create_dataset("model_weights/d/d/kernel:0", data=zeros, compression="gzip", chunks=(1 << 13, 1 << 11))


def _objects(path: Path) -> None:
    with h5py.File(path, "a") as file:
        del file["model_weights/d/d/kernel:0"]
        file.create_dataset("model_weights/d/d/kernel:0", data=["text"], dtype=h5py.string_dtype())


def _circle(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file["model_weights/d/back"] = file["model_weights"]


MALICE: dict[str, tuple[Callable[[Path], None], str]] = {
    "external link": (_external_link, "elsewhere is a link"),
    "soft link": (_soft_link, "again is a link"),
    "virtual": (_virtual, "lie in another file"),
    "external storage": (_external_storage, "lie in another file"),
    "endless": (_endless, "more than the file can hold"),
    "packed": (_packed, "more than the file can hold"),
    "objects": (_objects, "expected numbers in"),
    "circle": (_circle, "nested without end"),
}


@pytest.mark.parametrize("what", MALICE)
def test_files_that_reach_out_or_claim_too_much(what: str, tmp_path: Path) -> None:
    change, says = MALICE[what]
    path = tiny_keras.write_h5(tmp_path / "net.h5", DENSE, WEIGHTS)
    change(path)
    assert says in refused(path)


def test_archives_that_lead_outside(tmp_path: Path) -> None:
    for name in ("../evil.py", "/evil.py", "a\\..\\..\\evil.py", "C:\\evil.py"):
        path = tiny_keras.write_keras(tmp_path / "net.keras", DENSE, ARRAYS, **{name: "x"})
        assert "leads outside of it" in refused(path)
    assert {entry.name for entry in tmp_path.iterdir()} == {"net.keras"}


@pytest.mark.parametrize("member", ["config.json", "model.weights.h5"])
def test_archives_that_unpack_to_too_much(member: str, tmp_path: Path) -> None:
    path = tmp_path / "net.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("config.json", "model.weights.h5"):
            archive.writestr(name, b" " * (80 << 20) if name == member else "{}")
    assert f"{member} would unpack to more than" in refused(path)


def test_archives_that_lack_a_part(tmp_path: Path) -> None:
    path = tmp_path / "net.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("metadata.json", "{}")
        archive.writestr("model.weights.json", "{}")
    assert "found none of: model.weights.h5; weights in several shards" in refused(path)


def test_json_nested_without_end(tmp_path: Path) -> None:
    path = tmp_path / "net.h5"
    tiny_keras.write_h5(path, None, {})
    (tmp_path / "deep.json").write_text("[" * 100_000)
    assert "deep.json: expected JSON" in refused(path, tmp_path / "deep.json")
    inner = DENSE
    for depth in range(60):
        inner = sequential({**inner, "config": {**inner["config"], "name": f"m{depth}"}})
    assert "nested in each other without end" in refused_h5(tmp_path, inner)


def test_unknown_layers_are_all_named(tmp_path: Path) -> None:
    """A Lambda's code is neither read nor run: the file's other faults are told in the same line."""
    canary = tmp_path / "canary"
    code = f"__import__('pathlib').Path({str(canary)!r}).touch()"
    layers = [
        layer("Lambda", "code", function=[code, None, None], function_type="lambda", batch_input_shape=[None, 4]),
        {**layer("MyScale", "scale"), "registered_name": "Custom>MyScale"},
        {**layer("Dense", "own", units=2), "module": None, "registered_name": "Dense"},
        {**layer("Add", "theirs"), "module": "their.layers"},
        layer("Dense", "d", units=2, activation="snake"),
        layer("TFOpLambda", "fft", function="signal.fft"),
        layer("Dense", "q", units=2, dtype={"class_name": "DTypePolicy", "config": {"name": "int8_from_float32"}}),
    ]
    message = refused_h5(tmp_path, sequential(*layers))
    for part in (
        "Lambda (layer code)",
        "Custom>MyScale (layer scale)",
        "own class Dense (layer own)",
        "their.layers.Add (layer theirs)",
        "activation snake (layer d)",
        "TFOpLambda signal.fft (layer fft)",
        "quantisation int8_from_float32 (layer q)",
    ):
        assert part in message
    assert not canary.exists()


def test_an_own_function_is_not_keras_own(tmp_path: Path) -> None:
    own = {"module": "builtins", "class_name": "function", "config": "relu", "registered_name": "relu"}
    entry = layer("Activation", "a", activation=own, batch_input_shape=[None, 4])
    assert "activation own function relu (layer a)" in refused_h5(tmp_path, sequential(entry))


def test_a_model_of_somebodys_own_class(tmp_path: Path) -> None:
    assert "found one of the class MyNet" in refused_h5(tmp_path, {"class_name": "MyNet", "config": {}})


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    missing = refused_h5(tmp_path, DENSE, {"d": WEIGHTS["d"][:1]})
    assert "d (Dense) expects kernel, bias, the file has 1 arrays for it" in missing
    assert "the file has 0 arrays" in refused_h5(tmp_path, DENSE, {"other": WEIGHTS["d"]})
    wrong = {"d": [("k", noise(5, 3)), ("b", BIAS)]}
    assert "layer d (Dense): its weights are for 5 numbers, the input has 4" in refused_h5(tmp_path, DENSE, wrong)
    path = tiny_keras.write_h5(tmp_path / "net.h5", DENSE, WEIGHTS)
    with h5py.File(path, "a") as file:
        del file["model_weights/d/d/bias:0"]
    assert "names the array model_weights/d/d/bias:0, which is not in the file" in refused(path)


def test_files_of_something_else(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["x"] = KERNEL
    assert "found an HDF5 file of something else" in refused(tmp_path / "data.h5")
    (tmp_path / "arch.json").write_text(json.dumps(DENSE))
    assert "found a Keras architecture (.json); pass the file of its weights" in refused(tmp_path / "arch.json")
    path = tiny_keras.write_h5(tmp_path / "w.h5", None, WEIGHTS)
    (tmp_path / "other.json").write_text('{"nodes": []}')
    assert "other.json: expected a Keras architecture" in refused(path, tmp_path / "other.json")
    assert "cannot read the architecture" in refused(path, tmp_path / "none.json")


def test_references_that_lead_nowhere(tmp_path: Path) -> None:
    circle = [given("x", 4), layer("Add", "a", ["x", "b"]), layer("Activation", "b", ["a"], activation="relu")]
    assert "the layers a, b read each other in a circle" in refused_h5(tmp_path, functional(circle, ["x"], ["b"]))
    nothing = [given("x", 4), layer("Activation", "a", ["y"], activation="relu")]
    assert "a layer reads y, which is not in the model" in refused_h5(tmp_path, functional(nothing, ["x"], ["a"]))
    beyond = [given("x", 4), layer("Activation", "a", [["x", 0, 3, {}]], activation="relu")]
    assert "reads output 3 of x, which has fewer" in refused_h5(tmp_path, functional(beyond, ["x"], ["a"]))
    assert "states no input shape for d_input" in refused_h5(
        tmp_path, sequential(layer("Dense", "d", units=3)), WEIGHTS
    )


def test_what_a_call_asks_for_and_is_not_supported(tmp_path: Path) -> None:
    training = [given("x", 4), layer("Dropout", "d", [["x", 0, 0, {"training": True}]], rate=0.5)]
    model = functional(training, ["x"], ["d"])
    assert "layer d (Dropout): is called with training" in refused_h5(tmp_path, model)
    load(tiny_keras.write_h5(tmp_path / "three.h5", model, {}, "3.1.0"))  # there, `predict` decides
    masked = [
        layer("Embedding", "e", input_dim=4, output_dim=3, mask_zero=True, batch_input_shape=[None, 5]),
        layer("Softmax", "s"),
    ]
    says = "layer s (Softmax): reads the mask of its input, which is not supported"
    assert says in refused_h5(tmp_path, sequential(*masked), {"e": [("e", KERNEL)]})
