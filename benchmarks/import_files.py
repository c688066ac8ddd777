"""Networks with random weights for import.py: python import_files.py FOLDER NAME.SUFFIX …

`MobileNetV2.h5`, `.keras`, `.pb`, `.tflite`, and without suffix the folder of a SavedModel: any network of
keras.applications; the last three take a Python that has TensorFlow. `caffenet.caffemodel` takes one that has onnxray.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def write(folder: Path, name: str) -> None:
    """One file."""
    path = folder / name
    if path.suffix == ".caffemodel":
        _caffenet(folder, path.stem)
        return
    model = _network(path.stem)
    writers: dict[str, Callable[[], object]] = {
        ".h5": partial(model.save, path),
        ".keras": partial(model.save, path),
        "": partial(model.export, path, verbose=False),
        ".pb": partial(_frozen, model, path),
        ".tflite": partial(_tflite, model, path),
    }
    writers[path.suffix]()


@cache
def _network(name: str) -> Any:
    import keras

    model = getattr(keras.applications, name)(weights=None, classifier_activation=None)
    generator = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(_drawn(generator, weight.path, tuple(weight.shape)))
    return model


def _drawn(generator: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """As large as a trained network's, so that what goes in is seen in what comes out."""
    if len(shape) > 1:
        reads = np.prod(shape[:2] if "depthwise" in name else shape[:-1])
        return generator.normal(0, np.sqrt(2 / reads), shape)
    return generator.normal(0, 0.1, shape) if name.endswith("bias") else generator.uniform(0.5, 1.5, shape)


def _frozen(model: Any, path: Path) -> None:
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    image = tf.TensorSpec([1, *model.input_shape[1:]], tf.float32, name="image")
    function = tf.function(partial(model, training=False)).get_concrete_function(image)
    graph = convert_variables_to_constants_v2(function).graph.as_graph_def()
    path.write_bytes(graph.SerializeToString())


def _tflite(model: Any, path: Path) -> None:
    import tensorflow as tf

    path.write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())


def _caffenet(folder: Path, stem: str) -> None:
    """A network of CaffeNet's size, 61 million weights, 244 MB, and its prototxt beside it."""
    from onnxray.importers.caffe.wire_schema import message_class

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
    (folder / f"{stem}.prototxt").write_text("\n".join(lines))
    (folder / f"{stem}.caffemodel").write_bytes(net.SerializeToString())


def _layer(kind: str, name: str, bottom: str, param: str) -> str:
    return f'layer {{ name: "{name}" type: "{kind}" bottom: "{bottom}" top: "{name}" {param} }}'


if __name__ == "__main__":
    for word in sys.argv[2:]:
        write(Path(sys.argv[1]), word)
