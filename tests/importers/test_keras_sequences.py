"""Recurrent layers as old versions stored them, and masks that are written down nowhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny_keras
from onnxray.importers import load
from tiny_keras import layer, noise, sequential

GATES = {"LSTM": 4, "GRU": 3}
UNITS, WIDTH = 2, 3


def _to_cudnn(kernel: np.ndarray, recurrent: np.ndarray, gates: int) -> tuple[np.ndarray, np.ndarray]:
    """As Keras 2 turned the weights of its own layers into those of CuDNN's: a gate at a time, transposed."""
    kernels = [part.T.reshape(part.shape) for part in np.split(kernel, gates, axis=1)]
    return np.hstack(kernels), np.hstack([part.T for part in np.split(recurrent, gates, axis=1)])


@pytest.mark.parametrize("kind", GATES)
def test_layers_of_cudnn(kind: str, tmp_path: Path) -> None:
    count = GATES[kind] * UNITS
    kernel, recurrent, bias = noise(WIDTH, count), noise(UNITS, count), noise(2, count)
    plain = {"l": [("k", kernel), ("r", recurrent), ("b", bias if kind == "GRU" else bias.sum(0))]}
    given = {"batch_input_shape": [None, 5, WIDTH], "units": UNITS}
    own = sequential(layer(kind, "l", reset_after=True, return_sequences=True, **given))
    theirs = sequential(layer(f"CuDNN{kind}", "l", return_sequences=True, **given))
    turned = {"l": [*zip("kr", _to_cudnn(kernel, recurrent, GATES[kind]), strict=True), ("b", bias.ravel())]}
    x = noise(2, 5, WIDTH, seed=3)
    (expected,) = tiny_keras.run(load(tiny_keras.write_h5(tmp_path / "own.h5", own, plain)), x)
    (found,) = tiny_keras.run(load(tiny_keras.write_h5(tmp_path / "theirs.h5", theirs, turned)), x)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def _last_state(steps: np.ndarray, kernel: np.ndarray, recurrent: np.ndarray) -> np.ndarray:
    """SimpleRNN over those steps [T, F] alone."""
    state = np.zeros(len(recurrent), np.float32)
    for step in steps:
        state = np.tanh(step @ kernel + state @ recurrent)
    return state


def test_steps_that_do_not_count_wherever_they_are(tmp_path: Path) -> None:
    """At the front, as Keras pads, in the middle, at the end, and everywhere."""
    words = np.array([[0, 0, 3, 1], [2, 0, 0, 4], [5, 1, 0, 0], [0, 0, 0, 0]], np.int32)
    rows, kernel, recurrent = noise(6, WIDTH), noise(WIDTH, UNITS), noise(UNITS, UNITS)
    net = sequential(
        layer("Embedding", "e", input_dim=6, output_dim=WIDTH, mask_zero=True, batch_input_shape=[None, 4]),
        layer("Dropout", "d", rate=0.5),
        layer("SimpleRNN", "r", units=UNITS, use_bias=False),
    )
    path = tiny_keras.write_h5(tmp_path / "net.h5", net, {"e": [("e", rows)], "r": [("k", kernel), ("r", recurrent)]})
    (found,) = tiny_keras.run(load(path), words)
    expected = [_last_state(rows[line[line > 0]], kernel, recurrent) for line in words]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("version", "joined"), [("2.4.0", np.logical_and), ("3.1.0", np.logical_or)])
def test_masks_that_meet(version: str, joined: np.ufunc, tmp_path: Path) -> None:
    """A sum counts where both do before Keras 3, where one does since."""
    left = [[1, 2, 0, 3], [0, 1, 1, 0]]
    right = [[1, 0, 0, 2], [1, 2, 0, 3]]
    words = [np.array(each, np.int32) for each in (left, right)]
    rows = noise(4, WIDTH)
    inputs = [layer("InputLayer", name, [], batch_input_shape=[None, 4], dtype="int32") for name in ("left", "right")]
    sides = [
        layer("Embedding", f"e_{name}", [name], input_dim=4, output_dim=WIDTH, mask_zero=True)
        for name in ("left", "right")
    ]
    rest = [layer("Add", "sum", ["e_left", "e_right"]), layer("GlobalAveragePooling1D", "mean", ["sum"])]
    net = tiny_keras.functional([*inputs, *sides, *rest], ["left", "right"], ["mean"])
    weights = {f"e_{name}": [("e", rows)] for name in ("left", "right")}
    (found,) = tiny_keras.run(load(tiny_keras.write_h5(tmp_path / "net.h5", net, weights, version)), *words)
    counts = joined(words[0] > 0, words[1] > 0)[..., None]
    expected = ((rows[words[0]] + rows[words[1]]) * counts).sum(1) / counts.sum(1)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
