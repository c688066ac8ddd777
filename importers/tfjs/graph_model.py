"""A graph-model: TensorFlow's graph as JSON, its constants among the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from google.protobuf import json_format

from ..errors import InputError
from ..keras.custom import Custom
from ..tensorflow.network import Network, flat_network, frozen_network
from ..tensorflow.reader import Graph, Node, read_graph, tensor_name
from ..tensorflow.wire_schema import message_class
from ..tflite.reader import NUMPY_TYPES
from .fused import unfused
from .model_json import ModelJson
from .shards import Shards

_MAPS = ("attr", "ret", "argAttr", "arg_attr")
_BROKEN = (json_format.Error, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError)
_SHOWN = 3


def open_graph(model: ModelJson, output_names: str | None, custom: Custom | None = None) -> Network:
    """What TensorFlow's translation starts from; its outputs: those named, the signature's, or what nothing reads.

    Raises InputError when the graph is damaged or its constants are not among the weights.
    """
    try:
        if custom:
            raise InputError("--custom is for layers-models; this is a graph-model, which has operators")
        graph = _graph(model.topology, model.weights)
        outputs = [] if output_names else _outputs(model.signature)
        return flat_network(graph, outputs) if outputs else frozen_network(graph, output_names)
    except InputError as error:
        raise InputError(f"{model.path}: {error}") from None


def _outputs(signature: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(name for the world, tensor)."""
    outputs = signature.get("outputs")
    if not isinstance(outputs, Mapping):
        return []
    found = [
        (name.removesuffix(":0"), tensor_name(entry["name"]))
        for name, entry in outputs.items()
        if isinstance(entry, Mapping) and isinstance(entry.get("name"), str)
    ]
    for name, _ in found:
        if not name or not name.isprintable():
            raise InputError(f"the signature calls an output {name!r}, which is no name; the file is damaged")
    return found


def _graph(topology: Mapping[str, Any], weights: Shards) -> Graph:
    message = message_class("Graph")()
    try:
        json_format.ParseDict(_with_lists(topology), message, ignore_unknown_fields=True)
    except _BROKEN as error:
        raise InputError(f"expected a TensorFlow graph as JSON, found damaged content ({error})") from None
    graph = read_graph(message)
    missing: list[str] = []
    functions = {
        name: replace(function, nodes=_complete(function.nodes, weights, missing))
        for name, function in graph.functions.items()
    }
    nodes = _complete(graph.nodes, weights, missing)
    if missing:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise InputError(f"the constants {', '.join(missing[:_SHOWN])}{more} of the graph are not among its weights")
    return Graph(nodes, functions)


def _with_lists(tree: Any) -> Any:
    """JSON's maps as the lists of entries that they are in the binary form, of which the schema is.

    Values of constants are left out: all that JSON has of them is a type and a shape.
    """
    if isinstance(tree, list):
        return [_with_lists(entry) for entry in tree]
    if not isinstance(tree, Mapping):
        return tree
    hidden = "value" if tree.get("op") == "Const" else None
    return {
        name: [{"key": key, "value": _with_lists(entry)} for key, entry in value.items() if key != hidden]
        if name in _MAPS and isinstance(value, Mapping)
        else _with_lists(value)
        for name, value in tree.items()
    }


def _complete(nodes: list[Node], weights: Shards, missing: list[str]) -> list[Node]:
    """The nodes with the values of their constants, or these among the missing; what is fused taken apart."""
    for node in nodes:
        if node.op == "Const" and node.name in weights:
            node.attributes = {**node.attributes, "value": _typed(weights.value(node.name), node)}
        elif node.op == "Const":
            missing.append(node.name)
    return unfused(nodes)


def _typed(value: np.ndarray | None, node: Node) -> np.ndarray | list[str]:
    """In the type that the graph says: a 64-bit integer is stored in 32 bits. No numbers: an empty list."""
    if value is None:
        return []
    kind = NUMPY_TYPES.get(str(node.attributes.get("dtype")))
    with np.errstate(invalid="ignore", over="ignore"):
        return value if kind is None else value.astype(kind, copy=False)
