"""Layers that today's Keras has no more, against their definition."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny_keras
from onnxray.importers import load
from onnxray.importers.errors import InputError
from tiny_keras import layer, noise, sequential


def _locally(image: np.ndarray, kernel: np.ndarray, window: tuple[int, int], strides: tuple[int, int]) -> np.ndarray:
    """[N, H, W, C] and [places, h * w * C, F]: at every place its own kernel."""
    rows, columns = (
        (size - side) // step + 1 for size, side, step in zip(image.shape[1:], window, strides, strict=False)
    )
    result = np.zeros((len(image), rows, columns, kernel.shape[-1]), np.float32)
    for row in range(rows):
        for column in range(columns):
            top, left = row * strides[0], column * strides[1]
            part = image[:, top : top + window[0], left : left + window[1]].reshape(len(image), -1)
            result[:, row, column] = part @ kernel[row * columns + column]
    return result


@pytest.mark.parametrize("bias", [True, False])
def test_locally_connected_images(bias: bool, tmp_path: Path) -> None:
    given = {"filters": 4, "kernel_size": [3, 2], "strides": [2, 1], "use_bias": bias, "activation": "relu"}
    net = sequential(layer("LocallyConnected2D", "l", batch_input_shape=[None, 7, 5, 3], **given))
    kernel, added = noise(3 * 4, 3 * 2 * 3, 4), noise(3, 4, 4)
    weights = {"l": [("k", kernel), ("b", added)][: 1 + bias]}
    path, image = tiny_keras.write_h5(tmp_path / "net.h5", net, weights), noise(2, 7, 5, 3, seed=1)
    (found,) = tiny_keras.run(load(path), tiny_keras.first(image))
    expected = np.maximum(_locally(image, kernel, (3, 2), (2, 1)) + added * bias, 0)
    np.testing.assert_allclose(found, tiny_keras.first(expected), rtol=1e-4, atol=1e-5)


def test_locally_connected_sequences(tmp_path: Path) -> None:
    net = sequential(layer("LocallyConnected1D", "l", filters=2, kernel_size=[3], batch_input_shape=[None, 6, 3]))
    kernel, bias, x = noise(4, 9, 2), noise(4, 2), noise(2, 6, 3, seed=1)
    path = tiny_keras.write_h5(tmp_path / "net.h5", net, {"l": [("k", kernel), ("b", bias)]})
    expected = _locally(x[:, :, None], kernel, (3, 1), (1, 1))[:, :, 0] + bias
    np.testing.assert_allclose(tiny_keras.run(load(path), x)[0], expected, rtol=1e-4, atol=1e-5)
    wrong = tiny_keras.write_h5(tmp_path / "wrong.h5", net, {"l": [("k", kernel[1:]), ("b", bias)]})
    with pytest.raises(InputError, match=r"layer l \(LocallyConnected1D\): expected a kernel \[4, 9, filters\], found"):
        load(wrong)


def test_cells_of_somebodys_own_are_named(tmp_path: Path) -> None:
    net = sequential(layer("RNN", "r", cell={"class_name": "MyCell", "config": {}}, batch_input_shape=[None, 6, 3]))
    with pytest.raises(InputError, match=r"RNN of MyCell \(layer r\)"):
        load(tiny_keras.write_h5(tmp_path / "net.h5", net, {}))
