"""SavedModels and checkpoints: which graph, which signature or function of it, and what its captured tensors are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError, nearest_names
from .checkpoint import Checkpoint
from .network import VARIABLES, Entry, Network, flat_network, frozen_network
from .reader import Function, Graph, Node, read_graph, tensor_name, text_of
from .restoring import with_variables
from .training import without_training
from .wire_schema import message_class

_DEFAULT = "serving_default"
_INTERNAL = ("__saved_model_init_op", "__saved_model_train_op")


def saved_network(message: Any, signature: str | None, checkpoint: Path) -> Network:
    """The network that a signature stands for, or, where there is none, the only function.

    `checkpoint`: where its variables are, if it has any. Raises InputError when there are several signatures and
    `signature` names none of them.
    """
    meta = _serving(message)
    graph, signatures = _read(meta)
    functions = {name: graph.functions[name] for name in _functions(meta) if name in graph.functions}
    if signature is None:
        signature = _chosen(signatures, functions)
    if signature in signatures:
        return _with_variables(_of_signature(graph, signatures[signature]), graph, meta, checkpoint)
    if signature not in functions:
        known = [*signatures, *functions]
        raise InputError(f"no signature or function is called {signature}; {nearest_names(signature, known)}")
    network = _of_function(graph, functions[signature], _captured(meta, signature, graph))
    return _with_variables(network, graph, meta, checkpoint)


def checkpoint_network(meta: Any, output_names: str | None, signature: str | None, checkpoint: Path) -> Network:
    """The network that a checkpoint's graph trains: its outputs are those named, those of a signature, or what
    nothing but the training reads.

    Raises InputError when that is not clear, or the checkpoint is not there.
    """
    graph, signatures = _read(meta)
    if signature is not None and signature not in signatures:
        raise InputError(f"no signature is called {signature}; {nearest_names(signature, signatures)}")
    if output_names is None and (signature or _DEFAULT in signatures):
        network = _of_signature(graph, signatures[signature or _DEFAULT])
    else:
        network = frozen_network(graph if output_names else without_training(graph), output_names)
    return _with_variables(network, graph, meta, checkpoint)


def _read(meta: Any) -> tuple[Graph, dict[str, Any]]:
    """The graph and its signatures."""
    signatures = {text_of(entry.key): entry.value for entry in meta.signature_def if entry.key not in _INTERNAL}
    return read_graph(meta.graph_def), signatures


def _with_variables(network: Network, graph: Graph, meta: Any, prefix: Path) -> Network:
    """The network and the values of the variables it reads."""
    if any(node.op in VARIABLES for node in network.nodes):
        return with_variables(network, graph, Checkpoint(prefix), meta.object_graph_def)
    return network


def _serving(message: Any) -> Any:
    if not message.meta_graphs:
        raise InputError("the SavedModel holds no graph")
    serving = [meta for meta in message.meta_graphs if "serve" in meta.meta_info_def.tags]
    return (serving or message.meta_graphs)[0]


def _functions(meta: Any) -> list[str]:
    """What the saved object lets others call."""
    return [text_of(entry.key) for entry in meta.object_graph_def.concrete_functions]


def _chosen(signatures: Mapping[str, Any], functions: Mapping[str, Function]) -> str:
    if _DEFAULT in signatures:
        return _DEFAULT
    names = list(signatures) or list(functions)
    if len(names) != 1:
        found = ", ".join(names) or "none"
        raise InputError(f"expected one signature or function, found {found}; say which with --signature")
    return names[0]


def _of_signature(graph: Graph, signature: Any) -> Network:
    inputs = {tensor_name(text_of(entry.value.name)): text_of(entry.key) for entry in signature.inputs}
    outputs = [(text_of(entry.key), tensor_name(text_of(entry.value.name))) for entry in signature.outputs]
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


def _of_function(graph: Graph, function: Function, captured: Sequence[str]) -> Network:
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


def _captured(meta: Any, function: str, graph: Graph) -> list[str]:
    """The nodes whose values a function gets behind its own inputs."""
    objects = meta.object_graph_def
    bound = next(entry.value.bound_inputs for entry in objects.concrete_functions if entry.key == function)
    shared: dict[str, list[str]] = {}
    for node in graph.nodes:
        if node.op in VARIABLES:
            shared.setdefault(str(node.attributes.get("shared_name") or node.name), []).append(node.name)
    found: list[str] = []
    for number in bound:
        entry = objects.nodes[number] if 0 <= number < len(objects.nodes) else message_class("Object")()
        nodes = [entry.constant.operation] if entry.constant.operation else shared.get(entry.variable.name, [])
        if len(nodes) != 1:
            name = entry.variable.name or f"number {number}"
            raise InputError(f"the captured tensor {name} of {function} is not clear; expected one node for it")
        found += nodes
    return found
