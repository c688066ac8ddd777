"""Damaged, hostile and half PaddlePaddle models: one line each, and nothing outside of the model's files is read."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_paddle
import tiny_pir
from onnxray.importers import load
from onnxray.importers.errors import InputError
from onnxray.importers.paddle.oracle import check_only_computes
from onnxray.importers.paddle.reader import read_program
from onnxray.importers.paddle.wire_schema import message_class


def refused(path: Path, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        load(path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny_paddle.write_small(tmp_path)


def test_weights_cut_short_say_where_and_how_many_bytes(model: Path) -> None:
    weights = model.with_suffix(".pdiparams")
    whole = weights.read_bytes()
    for length in (1, 30, len(whole) // 2, len(whole) - 1):
        weights.write_bytes(whole[:length])
        message = refused(model)
        assert f"found {length}" in message and "expected at least" in message
    weights.write_bytes(whole + b"more")
    assert f"expected 3 weights in {len(whole)} bytes, found {len(whole) + 4}" in refused(model)


def test_weights_of_another_model_are_told(model: Path) -> None:
    _, values = tiny_paddle.small()
    for other in (np.zeros((4, 3, 5, 5), np.float32), np.zeros((4, 3, 3, 3), np.float64)):
        model.with_suffix(".pdiparams").write_bytes(tiny_paddle.stored({**values, "conv.w_0": other}))
        message = refused(model)
        assert "conv.w_0 as float32 [4, 3, 3, 3], found" in message and "belong together" in message


def test_swapped_and_wrong_companions(model: Path, tmp_path: Path) -> None:
    weights = model.with_suffix(".pdiparams")
    program, stored = model.read_bytes(), weights.read_bytes()
    assert "expected the weights" in refused(model, companion=model)
    assert "expected the program" in refused(weights, companion=weights)
    assert "no such file" in refused(model, companion=tmp_path / "gone.pdiparams")
    model.write_bytes(stored)
    weights.write_bytes(program)  # each is told by what it holds
    assert load(weights, companion=model).graph.node


def test_a_program_cut_anywhere_is_refused(model: Path) -> None:
    whole = model.read_bytes()
    for length in range(8, len(whole), 97):
        model.write_bytes(whole[:length])
        refused(model)


def test_a_weight_that_claims_two_to_the_sixty_is_refused(tmp_path: Path) -> None:
    described = message_class("TensorDescription")(data_type=5, dims=[1 << 30, 1 << 30]).SerializeToString()
    steps = [tiny_paddle.step("relu", {"X": "w"}, {"Out": "y"})]
    data = tiny_paddle.program(steps, {"w": np.zeros((1, 1), np.float32)}, ["y"])
    message = message_class("Program")()
    message.ParseFromString(data)
    held = next(each for each in message.blocks[0].vars if each.name == "w")
    held.type.lod_tensor.tensor.dims[:] = [1 << 30, 1 << 30]
    path = tiny_paddle.write(tmp_path, message.SerializeToString(), {})
    path.with_suffix(".pdiparams").write_bytes(struct.pack("<IQIi", 0, 0, 0, len(described)) + described + bytes(8))
    assert f"expected at least {20 + len(described) + (4 << 60)}" in refused(path)


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "a/../../secret", "zero\0byte", "x" * 300, "link"])
def test_weights_in_files_of_their_own_stay_in_their_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    value = np.ones(3, np.float32)
    (tmp_path / "secret").write_bytes(tiny_paddle.tensor(value))
    (folder / "link").symlink_to(tmp_path / "secret")
    steps = [tiny_paddle.step("elementwise_add", {"X": "x", "Y": name}, {"Out": "y"}, axis=-1)]
    (folder / "__model__").write_bytes(tiny_paddle.program(steps, {name: value}, ["y"], {"x": (-1, 3)}))
    message = refused(folder)
    assert "refused" in message or "is missing" in message


ODD: dict[str, tuple[str, tiny_paddle.Step]] = {
    "a window without axes": ("window", tiny_paddle.step("pool2d", {"X": "x"}, {"Out": "y"}, pooling_type="max")),
    "channels last": (
        "NHWC",
        tiny_paddle.step(
            "pool2d", {"X": "x"}, {"Out": "y"}, pooling_type="max", data_format="NHWC", global_pooling=True
        ),
    ),
    "a word for a number": ("attribute axis", tiny_paddle.step("softmax", {"X": "x"}, {"Out": "y"}, axis="one")),
    "an axis that is not there": ("axis 7", tiny_paddle.step("softmax", {"X": "x"}, {"Out": "y"}, axis=7)),
    "training": ("for training", tiny_paddle.step("dropout", {"X": "x"}, {"Out": "y"}, is_test=False)),
    "an input nothing makes": ("nothing makes", tiny_paddle.step("relu", {"X": "z"}, {"Out": "y"})),
    "the places of maxima": (
        "the Mask of max_pool2d_with_index, which is not supported",
        tiny_paddle.step("max_pool2d_with_index", {"X": "x"}, {"Out": "most", "Mask": "y"}, global_pooling=True),
    ),
    "a last window outside": (
        "outside of the image",
        tiny_paddle.step(
            "pool2d", {"X": "x"}, {"Out": "y"}, pooling_type="max", ksize=[2, 2], strides=[3, 3], ceil_mode=True
        ),
    ),
    "no input": ("X is missing", tiny_paddle.step("relu", {}, {"Out": "y"})),
    "open sides for even windows": (
        "leaves open",
        tiny_paddle.step("pool2d", {"X": "x"}, {"Out": "y"}, pooling_type="avg", adaptive=True, ksize=[3, 3]),
    ),
}


@pytest.mark.parametrize("what", ODD)
def test_operators_that_do_not_fit_are_refused_by_name(tmp_path: Path, what: str) -> None:
    says, step = ODD[what]
    path = tiny_paddle.write(tmp_path, tiny_paddle.program([step], {}, ["y"]), {})
    message = refused(path)
    assert says in message and str(path) in message


def test_a_shape_that_the_user_gives_settles_open_sides(tmp_path: Path) -> None:
    _, step = ODD["open sides for even windows"]
    path = tiny_paddle.write(tmp_path, tiny_paddle.program([step], {}, ["y"]), {})
    for options in ({"shapes": {"x": (1, 3, 9, 7)}}, {"size": (9, 7)}):
        dims = load(path, **options).graph.output[0].type.tensor_type.shape.dim
        assert [dim.dim_value for dim in dims][1:] == [3, 3, 3]


def test_programs_that_are_not_for_inference_are_told(tmp_path: Path) -> None:
    data = tiny_paddle.program([tiny_paddle.step("relu", {"X": "x"}, {"Out": "y"})], {}, [])
    assert "what is fetched" in refused(tiny_paddle.write(tmp_path, data, {}))


def test_paddle_gets_no_operator_that_does_more_than_compute() -> None:
    steps = [
        tiny_paddle.step("relu", {"X": "x"}, {"Out": "y"}),
        tiny_paddle.step("save", {"X": "x"}, {}, file_path="/tmp/canary"),
    ]
    with pytest.raises(InputError, match="not known here: save"):
        check_only_computes(read_program(tiny_paddle.program(steps, {}, ["y"])))


def _pir(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    _, values = tiny_paddle.small()
    path = tmp_path / "inference.json"
    path.write_bytes(tiny_pir.small(values))
    path.with_suffix(".pdiparams").write_bytes(tiny_paddle.stored(values))
    return path, json.loads(path.read_bytes())


DAMAGES: dict[str, Callable[[list[dict[str, Any]]], object]] = {
    "a value that nothing makes": lambda ops: ops[4]["I"][0].update({"%": 999}),
    "no kind": lambda ops: ops[4]["O"][0].pop("TT"),
    "a number for a list": lambda ops: ops[4].update(I=7),
    "two of one name": lambda ops: ops.append(ops[0]),
    "a text for a size": lambda ops: ops[3]["O"][0]["TT"]["D"].__setitem__(1, ["x"]),
    "a size beyond any": lambda ops: ops[3]["O"][0]["TT"]["D"].__setitem__(1, [-1, 1 << 70]),
    "a list for a name": lambda ops: ops[0].update(A=[0, 1, 1, ["x"]]),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_damaged_programs_of_paddle_3_are_refused(tmp_path: Path, what: str) -> None:
    path, document = _pir(tmp_path)
    DAMAGES[what](document["program"]["regions"][0]["blocks"][0]["ops"])
    path.write_text(json.dumps(document))
    assert "damaged" in refused(path)


def test_brackets_nested_ten_thousand_deep_are_refused(tmp_path: Path) -> None:
    path, _ = _pir(tmp_path)
    path.write_text('{"base_code":{"magic":"pir","version":1},"program":' + "[" * 100_000)
    assert "PaddlePaddle program" in refused(path)


def test_unknown_operators_of_paddle_3_are_named_all_at_once(tmp_path: Path) -> None:
    program = tiny_pir.Program()
    found = program.add("yolo_box", [program.feed("x", [-1, 3, 8, 8])], [[-1]])
    found = program.add("while", found, [[-1]])
    program.fetch(found[0])
    path = tmp_path / "inference.json"
    path.write_bytes(program.bytes())
    assert "not supported: pd_op.yolo_box (1), pd_op.while (1)" in refused(path)
