"""Small TensorFlow Lite files with what a test wants in them, and how they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxray
import pytest
from onnxray.importers.errors import InputError
from tflite_writer import Op, T, constant, model

RANDOM = np.random.default_rng(0)
IMAGE = [1, 6, 5, 3]


def small(**more: Any) -> bytes:
    """image [1, 6, 5, 3] → conv [1, 6, 5, 4] → scores [1, 4]."""
    tensors = {
        "image": T(IMAGE),
        "weights": constant(RANDOM.normal(size=(4, 3, 3, 3))),
        "bias": constant(RANDOM.normal(size=4)),
        "conv": T([1, 6, 5, 4]),
        "axes": constant([1, 2], "int32"),
        "scores": T([1, 4]),
    }
    window = {"padding": 0, "stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1, "activation": 1}
    operators = [
        Op("CONV_2D", ["image", "weights", "bias"], ["conv"], "Conv2D", window),
        Op("MEAN", ["conv", "axes"], ["scores"], "Reducer", {"keep_dims": False}),
    ]
    return model(tensors, operators, ["image"], ["scores"], **more)


def one(kind: str, inputs: dict[str, T], output: T, table: str = "", **options: Any) -> bytes:
    """A file with one operator; inputs without data are the graph's."""
    entering = [name for name, tensor in inputs.items() if tensor.data is None]
    return model({**inputs, "out": output}, [Op(kind, list(inputs), ["out"], table, options)], entering, ["out"])


def loaded(tmp_path: Path, content: bytes, **options: Any) -> onnx.ModelProto:
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    return onnxray.load(path, **options).proto


def refusal(tmp_path: Path, content: bytes, **options: Any) -> str:
    """What is said when it is not read: one line."""
    with pytest.raises(InputError) as caught:
        loaded(tmp_path, content, **options)
    assert "\n" not in str(caught.value) and "model.tflite" in str(caught.value)
    return str(caught.value)


STEPS = {"scale": [1 / 128], "zero_point": [128]}


def quantised(**steps: Any) -> bytes:
    """image (bytes) → conv (bytes), its weights with a scale a channel."""
    tensors = {
        "image": T(IMAGE, "uint8", **STEPS),
        "weights": constant(RANDOM.integers(-127, 128, (4, 1, 1, 3)), "int8", scale=[0.01, 0.02, 0.03, 0.04],
                            zero_point=[0] * 4),
        "bias": constant([1, 2, 3, 4], "int32", scale=[0.01 / 128, 0.02 / 128, 0.03 / 128, 0.04 / 128]),
        "conv": T([1, 6, 5, 4], "uint8", **(steps or {"scale": [0.05], "zero_point": [100]})),
    }  # fmt: skip
    window = {"padding": 0, "stride_h": 1, "stride_w": 1, "activation": 3}
    operators = [Op("CONV_2D", ["image", "weights", "bias"], ["conv"], "Conv2D", window)]
    return model(tensors, operators, ["image"], ["conv"])


def written(tmp_path: Path, content: bytes) -> Path:
    """The path of a file with this content."""
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    return path
