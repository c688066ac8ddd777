"""SavedModel folders: which graph, which of its signatures or functions, and what its captured tensors are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import InputError, nearest_names
from .network import Entry, Network, flat_network
from .reader import Function, Graph, Node, read_graph, tensor_name

_DEFAULT = "serving_default"
_INTERNAL = ("__saved_model_init_op", "__saved_model_train_op")


def saved_network(message: Any, signature: str | None) -> Network:
    """The network that a signature stands for, or, where there is none, the only function.

    Raises InputError when there are several and `signature` names none of them.
    """
    meta = _serving(message)
    graph = read_graph(meta.graph_def)
    signatures = {entry.key: entry.value for entry in meta.signature_def if entry.key not in _INTERNAL}
    functions = {name: graph.functions[name] for name in _functions(meta) if name in graph.functions}
    if signature is None:
        signature = _chosen(signatures, functions)
    if signature in signatures:
        return _of_signature(graph, signatures[signature])
    if signature not in functions:
        known = [*signatures, *functions]
        raise InputError(f"no signature or function is called {signature}; {nearest_names(signature, known)}")
    return _of_function(graph, functions[signature], _captured(meta, signature))


def _serving(message: Any) -> Any:
    if not message.meta_graphs:
        raise InputError("the SavedModel holds no graph")
    serving = [meta for meta in message.meta_graphs if "serve" in meta.meta_info_def.tags]
    return (serving or message.meta_graphs)[0]


def _functions(meta: Any) -> list[str]:
    """What the saved object lets others call."""
    return [entry.key for entry in meta.object_graph_def.concrete_functions]


def _chosen(signatures: Mapping[str, Any], functions: Mapping[str, Function]) -> str:
    if _DEFAULT in signatures:
        return _DEFAULT
    names = list(signatures) or list(functions)
    if len(names) != 1:
        found = ", ".join(names) or "none"
        raise InputError(f"expected one signature or function, found {found}; say which with --signature")
    return names[0]


def _of_signature(graph: Graph, signature: Any) -> Network:
    inputs = {tensor_name(entry.value.name): entry.key for entry in signature.inputs}
    outputs = [(entry.key, tensor_name(entry.value.name)) for entry in signature.outputs]
    if not outputs:
        raise InputError("the signature has no outputs")
    network = flat_network(graph, sorted(outputs))
    taken = {node.name for node in network.nodes if node.name not in inputs}
    _rename(network, {old: new for old, new in inputs.items() if new not in taken})
    return network


def _rename(network: Network, names: Mapping[str, str]) -> None:
    for node in network.nodes:
        node.name = names.get(node.name, node.name)
        node.inputs = [names.get(tensor, tensor) for tensor in node.inputs]
    network.inputs = [Entry(names.get(entry.name, entry.name), entry.type, entry.shape) for entry in network.inputs]
    network.outputs = [(name, names.get(tensor, tensor)) for name, tensor in network.outputs]


def _of_function(graph: Graph, function: Function, captured: list[str | None]) -> Network:
    """A graph with one call of the function."""
    own = len(function.inputs) - len(captured)
    nodes = list(graph.nodes)
    inputs: list[str] = []
    known = {node.name for node in nodes}
    for at, name in enumerate(function.inputs):
        source = captured[at - own] if at >= own else None
        if source is None:
            shape = function.shapes.get(at)
            nodes.append(Node(name, "Placeholder", [], {"dtype": function.types[at], "shape": shape}))
            source = name
        elif source not in known:
            raise InputError(f"the captured tensor {source} is not in the graph; the file is damaged")
        inputs.append(source)
    nodes.append(Node("call", function.name, inputs, {}))
    outputs = [(name, "call" if at == 0 else f"call:{at}") for at, (name, _) in enumerate(function.outputs)]
    return flat_network(Graph(nodes, graph.functions), outputs)


def _captured(meta: Any, function: str) -> list[str | None]:
    """The nodes whose values a function gets behind its own inputs."""
    objects = meta.object_graph_def
    bound = next(entry.value.bound_inputs for entry in objects.concrete_functions if entry.key == function)
    found: list[str | None] = []
    for number in bound:
        entry = objects.nodes[number] if 0 <= number < len(objects.nodes) else None
        if entry is None or not entry.constant.operation:
            raise InputError("variables")
        found.append(entry.constant.operation)
    return found
