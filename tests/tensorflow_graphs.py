"""TensorFlow graphs written node by node, every tensor's value computed with NumPy on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from onnxray.importers.tensorflow.reader import type_number
from onnxray.importers.tensorflow.wire_schema import message_class
from onnxray.importers.tensorflow.writer import write_attribute
from tensorflow_references import conv2d

VALID = {"strides": [1, 1, 1, 1], "padding": "VALID", "data_format": "NHWC"}


@dataclass
class Net:
    """A graph while it is written; the names of tensors are those of its nodes."""

    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    message: Any = field(default_factory=lambda: message_class("Graph")())
    values: dict[str, np.ndarray] = field(default_factory=dict)
    feeds: dict[str, np.ndarray] = field(default_factory=dict)

    def node(self, op: str, inputs: Sequence[str], name: str = "", **attributes: Any) -> str:
        """A node; types are attributes too: T="FLOAT32"."""
        name = name or f"{op.lower()}_{len(self.message.node)}"
        written = self.message.node.add(name=name, op=op, input=inputs)
        for key, value in attributes.items():
            write_attribute(written.attr.add(key=key).value, value)
        return name

    def input(self, value: np.ndarray, name: str = "", shape: Sequence[int] | None = None) -> str:
        """A placeholder, and what is fed in; `shape`: what the file says of it."""
        made = self.node("Placeholder", [], name, dtype=kind_of(value), shape=tuple(shape or value.shape))
        self.feeds[made] = self.values[made] = value
        return made

    def constant(self, value: Any, dtype: Any = np.float32, name: str = "") -> str:
        """A constant node."""
        array = np.asarray(value, dtype)
        made = self.node("Const", [], name, dtype=kind_of(array), value=array)
        self.values[made] = array
        return made

    def ints(self, value: Any) -> str:
        """A constant of 32-bit integers."""
        return self.constant(value, np.int32)

    def add(self, op: str, inputs: Sequence[str], value: np.ndarray, name: str = "", **attributes: Any) -> str:
        """A node whose value is known; T is the type of its first input unless said."""
        attributes = {"T": kind_of(self.values[inputs[0]]), **attributes} if inputs else attributes
        made = self.node(op, inputs, name, **attributes)
        self.values[made] = np.asarray(value)
        return made

    def add_many(self, op: str, inputs: Sequence[str], values: Sequence[np.ndarray], **attributes: Any) -> list[str]:
        """A node with several outputs."""
        made = self.node(op, inputs, **attributes)
        names = [made if at == 0 else f"{made}:{at}" for at in range(len(values))]
        self.values.update(zip(names, values, strict=True))
        return names

    def bytes(self) -> bytes:
        """The graph file."""
        self.message.versions.producer = 27
        return bytes(self.message.SerializeToString())

    # What is drawn.

    def integer(self, low: int, high: int) -> int:
        """From low to high, both possible."""
        return int(self.random.integers(low, high + 1))

    def chance(self, share: float = 0.5) -> bool:
        """True in this share of draws."""
        return bool(self.random.random() < share)

    def pick(self, choices: Sequence[Any]) -> Any:
        """One of them."""
        return choices[self.integer(0, len(choices) - 1)]

    def numbers(self, *shape: int) -> np.ndarray:
        """Of a normal distribution."""
        return self.random.normal(size=shape).astype(np.float32)


def kind_of(value: np.ndarray) -> str:
    """FLOAT32, INT64, BOOL …"""
    name = value.dtype.name.upper()
    assert type_number(name) is not None, name
    return name


def saved_model(
    net: Net, signature: Mapping[str, Mapping[str, str]] | None = None, key: str = "serving_default"
) -> Any:
    """The graph as a SavedModel message; `signature`: {"inputs": {key: tensor}, "outputs": …}."""
    message = message_class("SavedModel")(saved_model_schema_version=1)
    meta = message.meta_graphs.add()
    meta.meta_info_def.tags.append("serve")
    meta.graph_def.CopyFrom(net.message)
    if signature is not None:
        entry = meta.signature_def.add(key=key)
        for side, tensors in signature.items():
            for name, tensor in tensors.items():
                getattr(entry.value, side).add(key=name).value.name = f"{tensor}:0"
    return message


def small() -> Net:
    """x [?, 6, 5, 3] -> conv -> relu -> probabilities."""
    net = Net()
    x = net.input(net.numbers(1, 6, 5, 3), "x", shape=(-1, 6, 5, 3))
    w = net.constant(net.numbers(3, 3, 3, 4), name="w")
    y = net.add("Conv2D", [x, w], conv2d(net.values[x], net.values[w], (1, 1), (1, 1), [(0, 0)] * 2), "conv", **VALID)
    y = net.add("Relu", [y], np.maximum(net.values[y], 0), "relu")
    net.add("Mean", [y, net.ints([1, 2])], net.values[y].mean((1, 2)), "answer", keep_dims=False, Tidx="INT32")
    return net


def write(path: Path, net: Net) -> Path:
    """The graph file."""
    path.write_bytes(net.bytes())
    return path


def with_function(net: Net, name: str, *, output: str, argument: str = "a") -> Any:
    """A function of one float tensor; its nodes are for the caller to add."""
    function = net.message.library.function.add()
    function.signature.name = name
    function.signature.input_arg.add(name=argument, type=1)
    function.signature.output_arg.add(name="out", type=1)
    function.ret.add(key="out", value=output)
    return function


def call(net: Net, op: str, inputs: list[str], name: str, **functions: str) -> None:
    """A node that calls functions."""
    net.node(op, inputs, name)
    for key, function in functions.items():
        net.message.node[-1].attr.add(key=key).value.func.name = function


def saved(folder: Path, net: Net, key: str = "serving_default") -> Path:
    """A SavedModel's folder: image -> scores."""
    folder.mkdir(exist_ok=True)
    message = saved_model(net, {"inputs": {"image": "x"}, "outputs": {"scores": "answer"}}, key)
    (folder / "saved_model.pb").write_bytes(message.SerializeToString())
    return folder
