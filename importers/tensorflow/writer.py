"""A network written as a frozen graph: for TensorFlow and OpenCV to read, and for tests."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from ..channels_last import to_last
from .network import Network
from .reader import type_number
from .wire_schema import message_class


def in_file_order(feeds: Mapping[str, np.ndarray], first: Collection[str]) -> dict[str, np.ndarray]:
    """Values of graph inputs with their axes as the file has them. `first`: those turned in the graph."""
    return {
        name: np.ascontiguousarray(value.transpose(to_last(value.ndim))) if name in first else value
        for name, value in feeds.items()
    }


def write_graph(network: Network, shapes: Mapping[str, Sequence[int]]) -> bytes:
    """`shapes`: of its inputs, in the file's order of axes."""
    message = message_class("Graph")()
    for node in network.nodes:
        shape = {"shape": tuple(shapes[node.name])} if node.op == "Placeholder" else {}
        attributes = {**node.attributes, **shape}
        written = message.node.add(name=node.name, op=node.op, input=node.inputs)
        for key, value in attributes.items():
            if value is not None and not key.startswith("_"):
                write_attribute(written.attr.add(key=key).value, value)
    message.versions.producer = 27  # of TensorFlow 1.12: what OpenCV expects
    return bytes(message.SerializeToString())


def write_attribute(message: Any, value: Any) -> None:
    """Plain data as `reader` makes it."""
    if isinstance(value, np.ndarray):
        _write_tensor(message.tensor, value)
    elif isinstance(value, list):
        message.list.SetInParent()
        for entry in value:
            _write_entry(message.list, entry)
    elif isinstance(value, tuple):
        message.shape.SetInParent()
        _write_shape(message.shape, value)
    elif isinstance(value, str) and (number := type_number(value)) is not None:
        message.type = number
    elif isinstance(value, str):
        message.s = value.encode()
    else:
        setattr(message, "b" if isinstance(value, bool) else "i" if isinstance(value, int) else "f", value)


def _write_entry(message: Any, value: Any) -> None:
    if isinstance(value, str) and (number := type_number(value)) is not None:
        message.type.append(number)
    elif isinstance(value, str):
        message.s.append(value.encode())
    elif isinstance(value, tuple):
        _write_shape(message.shape.add(), value)
    elif isinstance(value, (bool, int, float)):
        kind = "b" if isinstance(value, bool) else "i" if isinstance(value, int) else "f"
        getattr(message, kind).append(value)


def _write_tensor(message: Any, value: np.ndarray) -> None:
    message.dtype = type_number(value.dtype.name.upper())
    _write_shape(message.tensor_shape, value.shape)
    message.tensor_content = value.astype(value.dtype.newbyteorder("<"), copy=False).tobytes()


def _write_shape(message: Any, shape: Sequence[int]) -> None:
    message.SetInParent()
    for side in shape:
        message.dim.add(size=side)
