"""From a large file to ONNX: at most three times the file in memory, on top of what a small one takes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
import tensorflow_graphs
import tiny_caffe
import tiny_keras
import tiny_tflite
from onnx import parser
from tflite_writer import Op, T, constant, model

LAYERS, MOST = 5, 3
CONVERT = """
import sys
from pathlib import Path
import onnxray
from onnxray.importers.onnx_file import write
for word in sys.argv[1:]:
    write(onnxray.load(word).proto, Path(word).with_suffix(".written"), None)
    print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""


def kernel(channels: int) -> np.ndarray:
    """Of a convolution, as channels last have it."""
    return np.full((3, 3, channels, channels), 0.01, np.float32)


def keras_h5(folder: Path, channels: int) -> Path:
    return tiny_keras.write_h5(folder / "net.h5", architecture(channels), keras_weights(channels))


def keras_archive(folder: Path, channels: int) -> Path:
    arrays = {
        f"layers/conv2d{'_' * bool(index)}{index or ''}/vars/0": array
        for index, ((_, array),) in enumerate(keras_weights(channels).values())
    }
    return tiny_keras.write_keras(folder / "net.keras", architecture(channels), arrays)


def architecture(channels: int) -> tiny_keras.Config:
    layers, before = [tiny_keras.given("image", 3, 3, channels)], "image"
    for name in keras_weights(1):
        layers.append(
            tiny_keras.layer(
                "Conv2D", name, [before], filters=channels, kernel_size=[3, 3], padding="same", use_bias=False
            )
        )
        before = name
    return tiny_keras.functional(layers, ["image"], [before])


def keras_weights(channels: int) -> dict[str, list[tuple[str, np.ndarray]]]:
    return {f"conv{index}": [(f"conv{index}/kernel:0", kernel(channels))] for index in range(LAYERS)}


def tensorflow(folder: Path, channels: int) -> Path:
    net = tensorflow_graphs.Net()
    x = net.input(np.zeros((1, 3, 3, channels), np.float32), "image")
    for _ in range(LAYERS):
        options = {**tensorflow_graphs.VALID, "padding": "SAME"}
        x = net.add("Conv2D", [x, net.constant(kernel(channels))], net.values["image"], **options)
    return tensorflow_graphs.write(folder / "net.pb", net)


def tflite(folder: Path, channels: int) -> Path:
    shape = [1, 3, 3, channels]
    tensors = {"x0": T(shape), "bias": constant(np.zeros(channels))}
    operators = []
    for index in range(LAYERS):
        tensors |= {f"w{index}": constant(kernel(channels).transpose(3, 0, 1, 2)), f"x{index + 1}": T(shape)}
        window = {"padding": 0, "stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1, "activation": 0}
        operators.append(Op("CONV_2D", [f"x{index}", f"w{index}", "bias"], [f"x{index + 1}"], "Conv2D", window))
    return tiny_tflite.written(folder, model(tensors, operators, ["x0"], [f"x{LAYERS}"]))


def caffe(folder: Path, channels: int) -> Path:
    param = f"num_output: {channels} kernel_size: 3 pad: 1 bias_term: false"
    names = ["data", *(f"conv{index}" for index in range(LAYERS))]
    layers = [
        tiny_caffe.layer("Convolution", before, name, convolution_param=param) for before, name in pairwise(names)
    ]
    weights = {name: [kernel(channels).transpose(3, 2, 0, 1)] for name in names[1:]}
    return tiny_caffe.write(folder, tiny_caffe.deploy("\n".join(layers), (1, channels, 3, 3)), weights)[1]


def onnx_itself(folder: Path, channels: int) -> Path:
    nodes = " ".join(f"x{index + 1} = Conv <pads = [1, 1, 1, 1]> (x{index}, w{index})" for index in range(LAYERS))
    header = '<ir_version: 8, opset_import: ["" : 17]>'
    proto = parser.parse_model(
        f"{header} net (float[1, {channels}, 3, 3] x0) => (float[1, {channels}, 3, 3] x{LAYERS}) {{ {nodes} }}"
    )
    for index in range(LAYERS):
        proto.graph.initializer.append(
            onnx.numpy_helper.from_array(kernel(channels).transpose(3, 2, 0, 1), f"w{index}")
        )
    onnx.save(proto, folder / "net.onnx")
    return folder / "net.onnx"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells a process how much memory it took")
@pytest.mark.parametrize("write", [keras_h5, keras_archive, tensorflow, tflite, caffe, onnx_itself])
def test_a_large_file_takes_three_times_its_size(write: Callable[[Path, int], Path], tmp_path: Path) -> None:
    paths = []
    for name, channels in (("small", 4), ("large", 512)):
        (tmp_path / name).mkdir()
        paths.append(write(tmp_path / name, channels))
    words = [sys.executable, "-c", CONVERT, *map(str, paths)]
    small, large = map(int, subprocess.run(words, capture_output=True, text=True, check=True).stdout.split())
    size = paths[1].stat().st_size
    assert size > LAYERS * kernel(512).nbytes
    assert (large - small) * 1024 <= MOST * size
