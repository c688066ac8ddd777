"""Small Caffe models: a prototxt by hand, a caffemodel with seeded random weights of the shapes it asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import onnx
from onnxray.importers import caffe
from onnxray.importers.caffe import layer_writer, source
from onnxray.importers.caffe.translate import translate
from onnxray.importers.caffe.wire_schema import message_class

Weights = Mapping[str, Sequence[np.ndarray]]


def deploy(layers: str, shape: Sequence[int] = (1, 3, 8, 8), name: str = "data") -> str:
    """A prototxt with one input."""
    dims = " ".join(f"dim: {size}" for size in shape)
    return f'name: "tiny"\ninput: "{name}"\ninput_shape {{ {dims} }}\n{layers}\n'


def layer(kind: str, bottom: str = "data", top: str = "out", name: str = "", **params: str) -> str:
    """One `layer {}`; several bottoms or tops with commas; params: relu_param="negative_slope: 0.1"."""
    lines = [f'name: "{name or top}" type: "{kind}"']
    lines += [f'bottom: "{blob}"' for blob in bottom.split(",") if blob]
    lines += [f'top: "{blob}"' for blob in top.split(",") if blob]
    lines += [f"{param} {{ {text} }}" for param, text in params.items()]
    return f"layer {{ {' '.join(lines)} }}"


def write(folder: Path, prototxt: str, weights: Weights | None = None, seed: int = 0) -> tuple[Path, Path]:
    """(prototxt, caffemodel) in `folder`; weights not given are drawn at random, as large as a trained net's."""
    text, binary = folder / "net.prototxt", folder / "net.caffemodel"
    text.write_text(prototxt)
    binary.write_bytes(caffemodel(weights or random_weights(text, seed)))
    return text, binary


def caffemodel(weights: Weights) -> bytes:
    """A caffemodel that holds nothing but these weights."""
    net = message_class("Net")(name="tiny")
    for name, arrays in weights.items():
        entry = net.layer.add(name=name)
        for array in arrays:
            entry.blobs.add(data=np.asarray(array, "<f4").tobytes()).shape.dim.extend(np.shape(array))
    if not weights:
        net.layer.add(name="nothing")
    return bytes(net.SerializeToString())


def random_weights(prototxt: Path, seed: int = 0) -> dict[str, list[np.ndarray]]:
    """Seeded weights of the shapes that the importer asks for as it goes."""
    generator = np.random.default_rng(seed)
    made: dict[str, list[np.ndarray]] = {}

    def draw(entry: Any, shapes: Mapping[str, tuple[int, ...]], fillers: Any) -> dict[str, np.ndarray]:
        values = {role: _draw(generator, role, shape) for role, shape in shapes.items()}
        made[entry.name] = list(values.values())
        return values

    binary = prototxt.with_suffix(".weights_to_come.caffemodel")
    binary.write_bytes(caffemodel({}))
    try:
        with mock.patch.object(layer_writer, "checked_weights", draw):
            translate(source.open_source(prototxt, binary).net)
    finally:
        binary.unlink()
    return made


def _draw(generator: np.random.Generator, role: str, shape: tuple[int, ...]) -> np.ndarray:
    if role == "divisor":
        return np.array([3.0], np.float32)
    if role in ("variance", "scale", "slope"):
        return generator.uniform(0.5, 1.5, shape).astype(np.float32)
    spread = np.sqrt(2 / max(np.prod(shape[1:]), 1)) if role == "weight" else 0.1
    return (generator.normal(size=shape) * spread).astype(np.float32)


def convert(folder: Path, prototxt: str, weights: Weights | None = None) -> onnx.ModelProto:
    """The ONNX of a prototxt with given, or else random, weights."""
    text, binary = write(folder, prototxt, weights)
    return caffe.read(text, binary)


def opencv(
    prototxt: Path, caffemodel: Path, feeds: Mapping[str, np.ndarray], layers: Sequence[str]
) -> list[list[np.ndarray]]:
    """All tops of the named layers, as OpenCV's reader of the same two files computes them."""
    import cv2

    net = cv2.dnn.readNetFromCaffe(str(prototxt), str(caffemodel))
    net.enableFusion(False)
    net.enableWinograd(False)
    for name, value in feeds.items():
        net.setInput(np.ascontiguousarray(value), name)
    return [list(tops) for tops in net.forwardAndRetrieve(list(layers))]


def run(proto: onnx.ModelProto, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every output of an ONNX model."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(feeds)), strict=True))


def noise(shape: Sequence[int], seed: int = 1, spread: float = 3.0) -> np.ndarray:
    """Seeded normal numbers, float32."""
    return (np.random.default_rng(seed).normal(size=tuple(shape)) * spread).astype(np.float32)


def blobs(proto: onnx.ModelProto, feeds: Mapping[str, np.ndarray], names: Sequence[str]) -> dict[str, np.ndarray]:
    """Any tensors of an ONNX model."""
    probe = onnx.ModelProto()
    probe.CopyFrom(proto)
    del probe.graph.output[:]
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return run(probe, feeds)
