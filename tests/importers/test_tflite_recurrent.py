"""Recurrent layers of TensorFlow Lite: where a sequence starts, and what is refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnxray.importers.certificate import certify, run_onnx
from tflite_writer import Op, T, constant, model
from tiny_tflite import RANDOM, loaded, refusal

SHAPE = [1, 3, 2]  # images, steps, numbers
STEPS = {"scale": [1 / 128], "zero_point": [0]}


def recurrent(entering: T, output: T, activation: int = 4, steps: int = 3, state: bool = True) -> bytes:
    """UNIDIRECTIONAL_SEQUENCE_RNN of four units."""
    shapes = {"w": (4, 2), "r": (4, 4), "b": (4,)}
    tensors = {"x": entering, **{name: constant(RANDOM.normal(size=shape)) for name, shape in shapes.items()}}
    tensors |= {"state": T([1, 4], more={"is_variable": state}), "y": output}
    options = {"activation": activation, "time_major": False}
    operator = Op("UNIDIRECTIONAL_SEQUENCE_RNN", ["x", "w", "r", "b", "state"], ["y"], "SequenceRNN", options)
    return model(tensors, [operator], ["x"], ["y"])


def test_states_start_at_zero_in_every_run(tmp_path: Path) -> None:
    proto = loaded(tmp_path, recurrent(T(SHAPE), T([1, 3, 4])))
    value = {"x": RANDOM.normal(size=SHAPE).astype(np.float32)}
    first, again = (run_onnx(proto, value, ["y"])["y"] for _ in range(2))
    assert np.array_equal(first, again) and first.shape == (1, 3, 4)
    assert certify(tmp_path / "model.tflite", None, proto).verified


def test_other_layers_may_not_keep_anything(tmp_path: Path) -> None:
    tensors = {"x": T([2]), "kept": T([2], more={"is_variable": True}), "y": T([2])}
    content = model(tensors, [Op("ADD", ["x", "kept"], ["y"], "Add")], ["x"], ["y"])
    assert "kept (keeps its value from one run to the next)" in refusal(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (recurrent(T(SHAPE), T([1, 3, 4]), activation=1), "its activation has number 1, expected 4 (TANH)"),
        (recurrent(T(SHAPE, "int8", **STEPS), T([1, 3, 4], "int8", **STEPS)), "only float sequences are supported"),
        (recurrent(T([1, 513, 2]), T([1, 513, 4])), "a sequence of at most 512 steps, found the shape [1, 513, 2]"),
        (recurrent(T([1, 2]), T([1, 4])), "a sequence of at most 512 steps, found the shape [1, 2]"),
        (recurrent(T([1, 3, 7]), T([1, 3, 4])), "UNIDIRECTIONAL_SEQUENCE_RNN y: does not fit its inputs"),
    ],
)
def test_what_is_not_supported_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    assert message in refusal(tmp_path, content)


def test_normalised_gates_are_refused(tmp_path: Path) -> None:
    names = [f"w{index}" for index in range(24)]
    tensors = {"x": T(SHAPE), **{name: constant(np.ones((2, 2))) for name in names[1:]}, "y": T([1, 3, 2])}
    options = {"activation": 4, "cell_clip": 0.0, "proj_clip": 0.0, "time_major": False}
    operator = Op("UNIDIRECTIONAL_SEQUENCE_LSTM", ["x", *names[1:]], ["y"], "UnidirectionalSequenceLSTM", options)
    assert "gates are normalised" in refusal(tmp_path, model(tensors, [operator], ["x"], ["y"]))
