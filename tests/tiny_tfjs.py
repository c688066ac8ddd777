"""Small TensorFlow.js models, written as its converter writes them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import json_format
from onnxray.importers.tensorflow.reader import read_tensor

Weights = Mapping[str, np.ndarray]


def write(
    folder: Path,
    topology: Any,
    weights: Weights,
    *,
    quantised: Mapping[str, str] | None = None,  # weight -> uint8, uint16 or float16
    cut: int = 1 << 22,  # bytes of a shard
    **more: Any,  # further entries of the JSON
) -> Path:
    """model.json and its shards."""
    folder.mkdir(exist_ok=True, parents=True)
    entries, content = [], b""
    for name, value in weights.items():
        entry, stored = _stored(name, value, (quantised or {}).get(name, ""))
        entries.append(entry)
        content += stored
    pieces = [content[at : at + cut] for at in range(0, max(len(content), 1), cut)]
    paths = [f"group1-shard{number}of{len(pieces)}.bin" for number in range(1, len(pieces) + 1)]
    for path, piece in zip(paths, pieces, strict=True):
        (folder / path).write_bytes(piece)
    manifest = [{"paths": paths, "weights": entries}]
    return save(folder, {"modelTopology": topology, **more, "weightsManifest": manifest})


def save(folder: Path, plain: Any) -> Path:
    """A model.json of this content."""
    (folder / "model.json").write_text(json.dumps(plain))
    return folder / "model.json"


def quantise(value: np.ndarray, kind: str) -> tuple[dict[str, Any], np.ndarray]:
    """What the manifest says of a quantised weight, and what is stored."""
    if kind == "float16":
        return {"dtype": kind}, value.astype(np.float16)
    least, most = float(value.min()), float(value.max())
    scale = (most - least) / np.iinfo(kind).max
    stored = np.round((value.astype(np.float64) - least) / scale).astype(kind)
    return {"dtype": kind, "min": least, "scale": scale, "original_dtype": value.dtype.name}, stored


def _stored(name: str, value: np.ndarray, kind: str) -> tuple[dict[str, Any], bytes]:
    if value.dtype == np.int64:
        value = value.astype(np.int32)
    entry: dict[str, Any] = {"name": name, "shape": list(value.shape), "dtype": value.dtype.name}
    if kind:
        entry["quantization"], value = quantise(value, kind)
    return entry, value.astype(value.dtype.newbyteorder("<")).tobytes()


def layers_model(architecture: Any) -> Any:
    """The topology of a layers-model as Python's converter writes it."""
    return {"keras_version": "2.10.0", "backend": "tensorflow", "model_config": architecture}


def graph_model(message: Any) -> tuple[Any, dict[str, np.ndarray]]:
    """The topology of a graph-model and its weights."""
    constants = [node for node in message.node if node.op == "Const"]
    tensors = {node.name: next(entry.value.tensor for entry in node.attr if entry.key == "value") for node in constants}
    weights = {name: np.asarray(read_tensor(tensor, name)) for name, tensor in tensors.items()}
    topology = {"versions": {"producer": 27}, **_with_maps(json_format.MessageToDict(message))}
    for node in topology["node"]:
        if node["op"] == "Const":
            node["attr"]["value"]["tensor"].pop("tensorContent", None)
    return topology, weights


def _with_maps(tree: Any) -> Any:
    """Lists of entries as the maps that they are in JSON."""
    if isinstance(tree, list):
        return [_with_maps(entry) for entry in tree]
    if not isinstance(tree, dict):
        return tree
    return {
        name: {entry["key"]: _with_maps(entry["value"]) for entry in value}
        if name in ("attr", "ret", "argAttr")
        else _with_maps(value)
        for name, value in tree.items()
    }


def text(value: str) -> str:
    """A text among the attributes of a node."""
    return base64.b64encode(value.encode()).decode()


def signature(inputs: Sequence[str], outputs: Mapping[str, str]) -> dict[str, Any]:
    """Of a graph-model: its inputs, and name -> tensor of its outputs."""
    return {
        "inputs": {name: {"name": f"{name}:0"} for name in inputs},
        "outputs": {name: {"name": tensor} for name, tensor in outputs.items()},
    }
