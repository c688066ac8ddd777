"""Small MXNet models: symbols and parameters written by hand, in the forms of all its versions."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

MAGIC = struct.pack("<QQ", 0x112, 0)
_TYPES = ("float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bool")
_ARRAY_MAGIC = {1: 0xF993FAC8, 2: 0xF993FAC9, 3: 0xF993FACA}

Entry = tuple[int, int]


class Net:
    """A network, node by node."""

    def __init__(self, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[dict[str, Any]] = []
        self.parameters: dict[str, np.ndarray] = {}
        self.inputs: dict[str, tuple[int, ...]] = {}
        self.heads: list[Entry] = []

    def variable(self, name: str) -> Entry:
        """Of its value nothing is said."""
        self.nodes.append({"op": "null", "name": name, "attributes": {}, "inputs": []})
        return len(self.nodes) - 1, 0

    def input(self, name: str, shape: tuple[int, ...]) -> Entry:
        """A graph input."""
        self.inputs[name] = shape
        return self.variable(name)

    def parameter(self, name: str, value: np.ndarray, kind: str = "arg") -> Entry:
        """A learned variable; "aux" is what training keeps, as moving statistics."""
        self.parameters[f"{kind}:{name}"] = np.asarray(value, np.float32)
        return self.variable(name)

    def weight(self, name: str, *shape: int) -> Entry:
        """A learned variable, drawn."""
        spread = np.sqrt(2 / max(np.prod(shape[1:]), 1)) if len(shape) > 1 else 0.5
        return self.parameter(name, self.random.normal(size=shape) * spread)

    def node(self, op: str, name: str, *inputs: Entry, **attributes: Any) -> Entry:
        """An operator; the last one written is the network's output unless `heads` are named."""
        texts = {key: str(value) for key, value in attributes.items()}
        self.nodes.append({"op": op, "name": name, "attributes": texts, "inputs": [list(entry) for entry in inputs]})
        return len(self.nodes) - 1, 0

    def state_shapes(self) -> None:
        """Have the symbol say the shapes of its inputs, as some do."""
        for node in self.nodes:
            if node["name"] in self.inputs:
                node["attributes"]["__shape__"] = str(self.inputs[node["name"]])

    def symbol(self, version: str = "1.9") -> str:
        """Its JSON as MXNet 0.8, 0.9 or 1.9 writes it."""
        nodes = [self._node(plain, version) for plain in self.nodes]
        heads = self.heads or [(len(nodes) - 1, 0)]
        plain = {
            "nodes": nodes,
            "arg_nodes": [index for index, node in enumerate(nodes) if node["op"] == "null"],
            "heads": [[*head, *[0] * (version != "0.8")] for head in heads],
        }
        if version != "0.8":
            plain |= {"attrs": {"mxnet_version": ["int", 904 if version == "0.9" else 10901]}}
        return json.dumps(plain, indent=2)

    @staticmethod
    def _node(plain: Mapping[str, Any], version: str) -> dict[str, Any]:
        node: dict[str, Any] = {"op": plain["op"], "name": plain["name"]}
        if version == "0.8":
            return {"op": plain["op"], "param": plain["attributes"], "name": plain["name"], "inputs": plain["inputs"],
                    "backward_source_id": -1}  # fmt: skip
        if plain["attributes"]:
            node["attr" if version == "0.9" else "attrs"] = plain["attributes"]
        return {**node, "inputs": [[*entry, 0] for entry in plain["inputs"]]}

    def write(self, folder: Path, name: str = "net", version: str = "1.9", form: int = 2, epoch: int = 0) -> Path:
        """The symbol's path; the parameters lie beside it."""
        path = folder / f"{name}-symbol.json"
        path.write_text(self.symbol(version))
        (folder / f"{name}-{epoch:04}.params").write_bytes(params(self.parameters, form))
        return path

    def feeds(self) -> dict[str, np.ndarray]:
        """Seeded numbers for each input."""
        return {name: (2 * self.random.normal(size=shape)).astype(np.float32) for name, shape in self.inputs.items()}


def params(arrays: Mapping[str, np.ndarray], form: int = 2) -> bytes:
    """A file of parameters, its arrays in one of the four forms that NDArray has had."""
    content = b"".join(_array(value, form) for value in arrays.values())
    names = b"".join(struct.pack("<Q", len(name.encode())) + name.encode() for name in arrays)
    return MAGIC + struct.pack("<Q", len(arrays)) + content + struct.pack("<Q", len(arrays)) + names


def _array(value: np.ndarray, form: int) -> bytes:
    head = b"" if form == 0 else struct.pack("<I", _ARRAY_MAGIC[form])
    head += struct.pack("<i", 0) if form >= 2 else b""
    head += struct.pack(f"<I{value.ndim}{'I' if form == 0 else 'q'}", value.ndim, *value.shape)
    return head + struct.pack("<3i", 1, 0, _TYPES.index(value.dtype.name)) + np.ascontiguousarray(value).tobytes()
