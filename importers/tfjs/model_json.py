"""A model.json: which of the two kinds it is, the network as plain data, and the weights that lie beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..keras.archive import parse_json
from .shards import Shards, open_shards

_LARGEST = 1 << 28  # bytes of JSON


@dataclass(frozen=True)
class ModelJson:
    """What the file says."""

    path: Path
    is_graph: bool  # else a layers-model
    topology: Mapping[str, Any]
    signature: Mapping[str, Any]  # of a graph-model; empty where it has none
    weights: Shards

    @property
    def files(self) -> tuple[Path, ...]:
        """The file itself and those of the weights."""
        return (self.path, *self.weights.files)


def open_model(path: Path) -> ModelJson:
    """Raises InputError when it is no such model, or its weights are not all there."""
    if path.stat().st_size > _LARGEST:
        raise InputError(f"{path}: expected a model.json, found {path.stat().st_size} bytes; no network is that long")
    plain = parse_json(path.read_bytes(), str(path))
    topology = plain.get("modelTopology") if isinstance(plain, Mapping) else None
    if not isinstance(topology, Mapping):
        raise InputError(f"{path}: expected a TensorFlow.js model, found no modelTopology in it; its weights alone?")
    is_graph = "node" in topology
    if not is_graph and "model_config" not in topology and "class_name" not in topology:
        raise InputError(f"{path}: expected the modelTopology of a layers-model or a graph-model, found neither")
    weights = open_shards(plain.get("weightsManifest"), path)
    return ModelJson(path, is_graph, topology, _signature(plain), weights)


def _signature(plain: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of a newer file its own entry, of an older one among what the user defined."""
    defined = plain.get("userDefinedMetadata")
    found = plain.get("signature") or (defined.get("signature") if isinstance(defined, Mapping) else None)
    return found if isinstance(found, Mapping) else {}
