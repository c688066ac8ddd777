"""Layers of somebody's own, written by functions that the user names; the documentation's example is one of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_keras
from onnxray.cli.main import main
from onnxray.importers import load
from onnxray.importers.errors import InputError
from onnxray.importers.keras.layer_writer import LayerWriter
from tiny_keras import layer, noise, sequential

DOCS = Path(__file__).parents[2] / "docs" / "keras.md"
CODE = ["__import__('pathlib').Path('canary').touch()", None, None]
NET = sequential(
    layer("Lambda", "prepare", function=CODE, batch_input_shape=[None, 4, 5, 3]),
    layer("ChannelScale", "first", clip=0.5, p=7),
    layer("ChannelScale", "second"),
)
FACTORS = noise(3), noise(3, seed=1)
WEIGHTS = {name: [(f"{name}/inner/factor:0", value)] for name, value in zip(("first", "second"), FACTORS, strict=True)}


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with my_layers.py as the documentation has it."""
    (block,) = re.findall(r'```python\n(""".*?my_layers.*?)```', DOCS.read_text(), re.DOTALL)
    (tmp_path / "my_layers.py").write_text(block)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _expected(image: np.ndarray) -> np.ndarray:
    """[N, H, W, C]"""
    inner = np.minimum((image / 127.5 - 1) * FACTORS[0], 0.5)
    return np.minimum(inner * FACTORS[1], 6)


@pytest.mark.parametrize("prepare", ["prepare=my_layers.py:to_unit", "Lambda=my_layers:to_unit"])
def test_the_documented_example(prepare: str, example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(example))  # and forget the module afterwards
    path = tiny_keras.write_h5(example / "model.h5", NET, WEIGHTS)
    words = ["--custom", prepare, "--custom", "ChannelScale=my_layers:channel_scale", "-o", "net.onnx"]
    main(["convert", str(path), *words])
    image = noise(2, 4, 5, 3) * 100
    (found,) = tiny_keras.run(load("net.onnx"), tiny_keras.first(image))
    np.testing.assert_allclose(found, tiny_keras.first(_expected(image)), rtol=1e-5)
    assert not (example / "canary").exists()


def scale(layer: LayerWriter) -> None:
    assert layer.array("0") is not None and layer.option("p", 7) == 7  # as the file has it, no `rate` of Keras 1
    layer.emit("Mul", [layer.source(), layer.constant("factor", layer.array("0"))])


def test_functions_in_archives_by_layer_before_class(tmp_path: Path) -> None:
    """Keras 3 numbers weights; what the file says of modules is no part of a class's name."""
    own = {**layer("Scale", "own", p=7), "module": None, "registered_name": "mine>Scale"}
    other = {**layer("Scale", "other"), "module": None, "registered_name": "Scale"}
    start = layer("Activation", "a", activation="relu", batch_input_shape=[None, 3])
    arrays = {"layers/scale/vars/0": FACTORS[0], "layers/scale_1/vars/0": FACTORS[1]}
    path = tiny_keras.write_keras(tmp_path / "net.keras", sequential(start, own, other), arrays)
    x = np.abs(noise(2, 3))
    (found,) = tiny_keras.run(load(path, custom={"Scale": scale}), x)
    np.testing.assert_allclose(found, x * FACTORS[0] * FACTORS[1], rtol=1e-6)
    (found,) = tiny_keras.run(load(path, custom={"Scale": scale, "other": LayerWriter.passes}), x)
    np.testing.assert_allclose(found, x * FACTORS[0], rtol=1e-6)


def test_a_function_at_each_step_of_a_sequence(tmp_path: Path) -> None:
    wrapped = layer("TimeDistributed", "each", layer=layer("Lambda", "l"), batch_input_shape=[None, 4, 3])
    path = tiny_keras.write_h5(tmp_path / "net.h5", sequential(wrapped), {})
    proto = load(path, custom={"Lambda": lambda layer: layer.emit("Abs", [layer.either()])})
    x = noise(2, 4, 3)
    np.testing.assert_array_equal(tiny_keras.run(proto, x)[0], np.abs(x))


def fails(layer: LayerWriter) -> None:
    raise RuntimeError("two\nlines")


def silent(layer: LayerWriter) -> None:
    pass


def wrong(layer: LayerWriter) -> None:
    layer.emit("Conv", [layer.source()])


WORDS: dict[str, tuple[Any, str]] = {
    "raises": ({"ChannelScale": fails}, "ChannelScale=fails failed (RuntimeError: two lines)"),
    "writes nothing": ({"ChannelScale": silent}, "ChannelScale=silent wrote no result"),
    "no graph": ({"ChannelScale": wrong}, "layer first (ChannelScale): --custom ChannelScale=wrong failed (ValueError"),
    "no such layer": ({"ChannelScal": silent}, "no layer has that name or class; did you mean ChannelScale?"),
    "no function": ({"ChannelScale": 3}, "ChannelScale=3: expected a function, found int"),
    "no module": ({"ChannelScale": "no_such_module_of_ours:f"}, "no_such_module_of_ours cannot be imported"),
    "no file": ({"ChannelScale": "nowhere.py:f"}, "nowhere.py cannot be imported (FileNotFoundError"),
    "no name": ({"ChannelScale": "my_layers.py:to_units"}, "there is no to_units; did you mean to_unit?"),
    "no colon": ({"ChannelScale": "my_layers"}, "--custom expects LAYER=module:function"),
    "no dictionary": (["a"], "custom expects a dictionary, found ['a']"),
    "not all": ({"prepare": silent}, "ChannelScale (layer first, second); name functions that do with --custom"),
}


@pytest.mark.parametrize("what", WORDS)
def test_what_goes_wrong_is_one_line(what: str, example: Path) -> None:
    custom, says = WORDS[what]
    path = tiny_keras.write_h5(example / "model.h5", NET, WEIGHTS)
    if isinstance(custom, dict) and what != "not all":
        custom = {"Lambda": LayerWriter.passes, **custom}
    with pytest.raises(InputError) as caught:
        load(path, custom=custom)
    assert says in str(caught.value) and "\n" not in str(caught.value)
