"""Runs a Keras model in Keras, in a process of its own: a framework is no part of this program.

Started by path, so that it imports nothing of ours:
python keras_process.py MODEL ARCHITECTURE FEEDS.npz WANTED.json RESULTS.npz    (ARCHITECTURE: "" where MODEL has it;
MODEL: .npz where it is arrays "LAYER:0", "LAYER:1" …)
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

os.environ["KERAS_BACKEND"] = "torch"
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")  # less exact than the bar

REFUSED = 3  # exit code when Keras raises


def main(model: str, architecture: str, feeds: str, wanted: str, results: str) -> int:
    """RESULTS holds the tensors [layer, node, index] of WANTED that the model has, by their number there."""
    import keras

    correct_keras()
    try:
        network = _load(keras, model, architecture)
        tensors = _tensors(network, json.loads(Path(wanted).read_text()))
        probe = keras.Model(network.inputs, list(tensors.values()))
        with np.load(feeds) as stored:
            values = probe([stored[str(index)] for index in range(len(network.inputs))], training=False)
    except Exception as error:  # Keras raises whatever its backend does
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return REFUSED
    values = values if isinstance(values, (list, tuple)) else [values]
    found = {str(number): keras.ops.convert_to_numpy(value) for number, value in zip(tensors, values, strict=True)}
    np.savez(results, **found)
    return 0


def _load(keras: Any, model: str, architecture: str) -> Any:
    if not architecture:
        return keras.models.load_model(model, compile=False, safe_mode=True)
    if model.endswith(".npz"):
        return _from_arrays(json.loads(Path(architecture).read_text()), model)
    network = keras.models.model_from_json(Path(architecture).read_text())
    network.load_weights(model)
    return network


def _from_arrays(architecture: Any, file: str) -> Any:
    """A model of Keras 2's words, as JSON alone has them: Keras 3 reads those of `.h5` files so."""
    from keras.src.legacy.saving.saving_utils import model_from_config

    network = model_from_config(architecture)
    _set_weights(network, file)
    return network


def _set_weights(network: Any, file: str) -> None:
    layers = dict(_layers(network, ""))
    with np.load(file) as stored:
        names = dict.fromkeys(key.rpartition(":")[0] for key in stored.files)
        for name in names:
            count = sum(key.rpartition(":")[0] == name for key in stored.files)
            layers[name].set_weights([stored[f"{name}:{index}"] for index in range(count)])


def _layers(network: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """(path, layer), those of models within it too."""
    for layer in network.layers:
        yield prefix + layer.name, layer
        yield from _layers(layer, f"{prefix}{layer.name}/") if hasattr(layer, "layers") else ()


def _tensors(network: Any, wanted: list[tuple[str, int, int]]) -> dict[int, Any]:
    """Number in `wanted` -> Keras' tensor; nodes count only where the model itself calls the layer."""
    inner = getattr(network, "_functional", None) or network
    found = {}
    for number, (name, node, index) in enumerate(wanted):
        layer = next((layer for layer in inner.operations if layer.name == name), None)
        nodes = [] if layer is None else enumerate(layer._inbound_nodes)
        calls = [call for position, call in nodes if f"{id(layer)}_ib-{position}" in inner._nodes]
        if node < len(calls) and index < len(calls[node].output_tensors):
            found[number] = calls[node].output_tensors[index]
    return found


def correct_keras() -> None:
    """Put right what Keras 3.15 computes otherwise on torch than on TensorFlow."""
    from keras.src.ops import nn

    _correct_average_pooling()
    _correct_variance()
    # It would hand LayerNormalization over axes in the middle to torch, which takes the last ones.
    nn.is_continuous_axis = lambda axis: False


def _correct_variance() -> None:
    """Keras takes E[x²] - E[x]², which is mostly rounding where numbers differ little."""
    from keras.src.backend.torch import nn

    def moments(x: Any, axes: Any, keepdims: bool = False, synchronized: bool = False) -> Any:
        return x.mean(axes, keepdim=keepdims), x.var(axes, correction=0, keepdim=keepdims)

    nn.moments = moments


def _correct_average_pooling() -> None:
    """Keras 3.15 with torch repeats the border where "same" pads unevenly; TensorFlow leaves the padding out."""
    import torch
    from keras.src.backend.torch import nn
    from torch.nn import functional

    pools = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}
    original = nn.average_pool

    def average_pool(
        inputs: Any, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str = "channels_last"
    ) -> Any:
        if padding != "same":
            return original(inputs, pool_size, strides, padding, data_format)
        axes = inputs.ndim - 2
        size = [pool_size] * axes if isinstance(pool_size, int) else list(pool_size)
        step = size if strides is None else [strides] * axes if isinstance(strides, int) else list(strides)
        last = data_format == "channels_last"
        images = inputs.movedim(-1, 1) if last else inputs
        pads: list[int] = []
        for side, width, stride in zip(images.shape[2:], size, step, strict=True):
            total = max((-(-side // stride) - 1) * stride + width - side, 0)
            pads = [total // 2, total - total // 2, *pads]
        sums = pools[axes](functional.pad(images, pads), size, step)
        share = pools[axes](functional.pad(torch.ones_like(images), pads), size, step)
        return (sums / share).movedim(1, -1) if last else sums / share

    nn.average_pool = average_pool


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
