"""How long it takes to read a Caffe model as ONNX, against OpenCV's readNetFromCaffe on the same files.

OpenCV only parses and links layers; we also infer every shape, check the graph and hash the files.
Run: python benchmarks/import_caffe.py [FOLDER of the shared models]
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from onnxray.importers import load
from onnxray.importers.caffe.wire_schema import message_class

MODELS = (
    ("lenet", "lenet_mnist/lenet_iter_10000.caffemodel", "lenet_mnist/lenet_deploy.prototxt"),
    (
        "cifar10_quick",
        "cifar10_quick/cifar10_quick_iter_5000.caffemodel",
        "cifar10_quick/cifar10_quick_deploy.prototxt",
    ),
    ("RFB-320", "ultraface_rfb320/RFB-320.caffemodel", "ultraface_rfb320/RFB-320.prototxt"),
)
REPEATS = 15


def median_ms(function: Callable[[], object], repeats: int = REPEATS) -> float:
    """Median time of a call, after one that warms up."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


def caffenet(folder: Path) -> tuple[Path, Path]:
    """A network of CaffeNet's size, 61 million weights, 244 MB, drawn at random."""
    convolutions = [(96, 3, 11, 1), (256, 96, 5, 2), (384, 256, 3, 1), (384, 384, 3, 2), (256, 384, 3, 2)]
    lines = ['input: "data" input_shape { dim: 1 dim: 3 dim: 227 dim: 227 }']
    net, bottom, generator = message_class("Net")(), "data", np.random.default_rng(0)

    def add(name: str, *shapes: tuple[int, ...]) -> None:
        entry = net.layer.add(name=name)
        for shape in shapes:
            values = generator.standard_normal(shape, np.float32) / 100
            entry.blobs.add(data=values.tobytes()).shape.dim.extend(shape)

    for number, (count, channels, kernel, group) in enumerate(convolutions, 1):
        name = f"conv{number}"
        step = "stride: 4" if number == 1 else f"pad: {kernel // 2}"
        param = f"num_output: {count} kernel_size: {kernel} group: {group} {step}"
        lines.append(_layer("Convolution", name, bottom, f"convolution_param {{ {param} }}"))
        add(name, (count, channels // group, kernel, kernel), (count,))
        bottom = name
        if number in (1, 2, 5):
            bottom = f"pool{number}"
            lines.append(_layer("Pooling", bottom, name, "pooling_param { kernel_size: 3 stride: 2 }"))
    for name, count, width in (("fc6", 4096, 9216), ("fc7", 4096, 4096), ("fc8", 1000, 4096)):
        lines.append(_layer("InnerProduct", name, bottom, f"inner_product_param {{ num_output: {count} }}"))
        add(name, (count, width), (count,))
        bottom = name
    text, binary = folder / "caffenet.prototxt", folder / "caffenet.caffemodel"
    text.write_text("\n".join(lines))
    binary.write_bytes(net.SerializeToString())
    return text, binary


def _layer(kind: str, name: str, bottom: str, param: str) -> str:
    return f'layer {{ name: "{name}" type: "{kind}" bottom: "{bottom}" top: "{name}" {param} }}'


def compare(name: str, prototxt: Path, caffemodel: Path, repeats: int = REPEATS) -> None:
    """One row."""
    ours = median_ms(lambda: load(caffemodel, companion=prototxt), repeats)
    theirs = median_ms(lambda: cv2.dnn.readNetFromCaffe(str(prototxt), str(caffemodel)), repeats)
    size = caffemodel.stat().st_size / 1e6
    print(f"{name:<14} {size:7.1f} MB   onnxray {ours:8.1f} ms   OpenCV {theirs:8.1f} ms   ratio {ours / theirs:5.2f}")


def main() -> None:
    """A row a model."""
    default = Path(os.environ.get("ONNXRAY_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "models"
    folder = (Path(sys.argv[1]) if len(sys.argv) > 1 else default) / "caffe"
    for name, weights, prototxt in MODELS:
        compare(name, folder / prototxt, folder / weights)
    with tempfile.TemporaryDirectory() as temporary:
        compare("CaffeNet size", *caffenet(Path(temporary)), repeats=3)


if __name__ == "__main__":
    main()
