"""Small Keras files, written as each version writes them, with h5py alone."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx
import onnxruntime as ort

Arrays = Sequence[tuple[str, np.ndarray]]  # name of a weight -> its numbers, in the file's order
Config = dict[str, Any]


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    """Seeded numbers around 0."""
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(np.float32)


def layer(kind: str, name: str, /, reads: Sequence[Any] | None = None, **config: Any) -> Config:
    """One entry of a model of Keras 1 or 2; `reads`: names of layers, or nodes as the file has them."""
    entry: Config = {"class_name": kind, "name": name, "config": {"name": name, **config}}
    if reads is not None:
        plain = [[read, 0, 0, {}] if isinstance(read, str) else read for read in reads]
        entry["inbound_nodes"] = [plain] if plain else []
    return entry


def given(name: str, *shape: int | None) -> Config:
    """An input layer, its shape without the batch."""
    return layer("InputLayer", name, [], batch_input_shape=[None, *shape], dtype="float32")


def sequential(*layers: Config) -> Config:
    """A Sequential model as Keras 2.2 writes it."""
    bare = [{key: value for key, value in entry.items() if key != "name"} for entry in layers]
    return {"class_name": "Sequential", "config": {"name": "sequential", "layers": bare}}


def functional(layers: Sequence[Config], inputs: Sequence[str], outputs: Sequence[Any], name: str = "model") -> Config:
    """A Functional model; `outputs`: names of layers, or references as the file has them."""
    ends = [[output, 0, 0] if isinstance(output, str) else output for output in outputs]
    config = {"name": name, "layers": list(layers), "input_layers": [[each, 0, 0] for each in inputs]}
    return {"class_name": "Functional", "config": {**config, "output_layers": ends}}


def write_h5(
    path: Path,
    architecture: Config | None,  # None: a file of weights alone
    weights: Mapping[str, Arrays],
    version: str | None = "2.4.0",
    backend: str = "tensorflow",
    chunks: int = 1,  # into how many attributes a list of names is cut
) -> Path:
    """A file as `model.save` of Keras 1 and 2 writes it."""
    with h5py.File(path, "w") as file:
        root = file if architecture is None else file.create_group("model_weights")
        if architecture is not None:
            file.attrs["model_config"] = json.dumps(architecture).encode()
        if version is not None:
            root.attrs["keras_version"] = version.encode()
            root.attrs["backend"] = backend.encode()
        _write_names(root, "layer_names", list(weights), chunks)
        for name, arrays in weights.items():
            group = root.create_group(name)
            _write_names(group, "weight_names", [entry for entry, _ in arrays], chunks)
            for entry, array in arrays:
                group.create_dataset(entry, data=array)
    return path


def _write_names(group: Any, attribute: str, names: Sequence[str], chunks: int) -> None:
    encoded = [name.encode() for name in names]
    if chunks == 1:
        group.attrs[attribute] = encoded
        return
    for index, part in enumerate(np.array_split(np.array(encoded, "S"), chunks)):
        group.attrs[f"{attribute}{index}"] = part


def write_keras(
    path: Path, architecture: Config, arrays: Mapping[str, np.ndarray], version: str = "3.4.0", **members: str
) -> Path:
    """A `.keras` archive; `arrays`: path in its HDF5 file -> numbers; `members`: further ones of the archive."""
    stored = io.BytesIO()
    with h5py.File(stored, "w") as file:
        for name, array in arrays.items():
            *groups, last = name.split("/")
            group = file
            for part in groups:
                group = group.require_group(part)
            group.create_dataset(last, data=array)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": version}))
        archive.writestr("config.json", json.dumps(architecture))
        archive.writestr("model.weights.h5", stored.getvalue())
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def run(proto: onnx.ModelProto, *values: np.ndarray) -> list[np.ndarray]:
    """What onnxruntime makes of a graph's inputs."""
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    feeds = {entry.name: value for entry, value in zip(session.get_inputs(), values, strict=True)}
    return list(session.run(None, feeds))


def correlated(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """[N, H, W, C] and [h, w, C, F]: the sum of products at every place where the kernel fits."""
    high, wide = kernel.shape[:2]
    rows, columns = image.shape[1] - high + 1, image.shape[2] - wide + 1
    result = np.zeros((image.shape[0], rows, columns, kernel.shape[3]), np.float32)
    for row in range(rows):
        for column in range(columns):
            part = image[:, row : row + high, column : column + wide]
            result[:, row, column] = np.tensordot(part, kernel, 3)
    return result


def first(image: np.ndarray) -> np.ndarray:
    """[N, H, W, C] -> [N, C, H, W]."""
    return image.transpose(0, 3, 1, 2)
