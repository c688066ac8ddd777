"""Which tensor of a checkpoint each variable of a graph is restored from.

The graph says it itself: nodes that read the checkpoint (RestoreV2) and assign what they read. Where Keras 3 saves a
model with `tf.saved_model.save`, these assign to copies that nothing reads: there it is the path of the variable
through the saved objects that counts, which the checkpoint has too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError

from ..errors import InputError
from .checkpoint import Checkpoint
from .network import VARIABLES, Network
from .reader import Function, Graph, Node
from .wire_schema import message_class

_OBJECTS = "_CHECKPOINTABLE_OBJECT_GRAPH"


@dataclass(frozen=True)
class Place:
    """A tensor of a checkpoint, or a part of it."""

    key: str
    part: str = ""  # "6 200 0,6:0,67"


def with_variables(network: Network, graph: Graph, checkpoint: Checkpoint, objects: Any) -> Network:
    """The network with the values of the variables it reads. `objects`: the saved ones.

    Raises InputError when one is not in the checkpoint.
    """
    places = _assigned(graph.nodes, graph.functions, checkpoint)
    paths = _by_path(objects, checkpoint)
    for node in network.nodes:
        if node.op in VARIABLES:
            shared = str(node.attributes.get("shared_name") or node.name)
            place = places.get(node.name) or paths.get(shared) or Place(node.name)
            network.variables[node.name] = checkpoint.value(place.key, place.part)
    return network


def _assigned(
    nodes: list[Node], functions: Mapping[str, Function], checkpoint: Checkpoint, bound: Mapping[str, str] | None = None
) -> dict[str, Place]:
    """As the nodes for restoring say it. `bound`: input of a function -> the node that it stands for.

    Of several (averages, restored in the place of what they are averages of) that of the variable's own name.
    """
    outer, bound = bound is None, bound or {}
    by_name = {node.name: node for node in nodes}
    found: dict[str, Place] = {}
    for node in nodes:
        called = functions.get(str(node.attributes.get("f")))
        if called is not None and len(called.inputs) == len(node.inputs):
            inner = dict(zip(called.inputs, (bound.get(tensor, tensor) for tensor in node.inputs), strict=True))
            if outer and any(other.op == "RestoreV2" for other in called.nodes):
                found.update(_assigned(called.nodes, functions, checkpoint, inner))
        elif node.op in ("AssignVariableOp", "Assign") and len(node.inputs) == 2:
            place, variable = _place(node.inputs[1], by_name), bound.get(node.inputs[0], node.inputs[0])
            if place is not None and place.key in checkpoint and (variable not in found or place.key == variable):
                found[variable] = place
    return found


def _place(tensor: str, nodes: Mapping[str, Node]) -> Place | None:
    """What a tensor is called in the checkpoint that it is read from."""
    source = nodes.get(tensor.partition(":")[0])
    while source is not None and source.op == "Identity" and source.inputs:
        tensor = source.inputs[0]
        source = nodes.get(tensor.partition(":")[0])
    if source is None or source.op != "RestoreV2" or len(source.inputs) < 3:
        return None
    number = int(tensor.partition(":")[2] or 0)
    key, part = (_text(nodes.get(name), number) for name in source.inputs[1:3])
    return None if key is None else Place(key, part or "")


def _text(node: Node | None, number: int) -> str | None:
    listed = node.attributes.get("value") if node is not None else None
    return str(listed[number]) if isinstance(listed, list) and number < len(listed) else None


def _by_path(saved: Any, checkpoint: Checkpoint) -> dict[str, Place]:
    """Name of a variable -> what the checkpoint holds for the object on the same path from the root."""
    if not saved.nodes or _OBJECTS not in checkpoint:
        return {}
    try:
        stored = message_class("Trackables").FromString(checkpoint.content(_OBJECTS))
    except DecodeError as error:
        raise InputError(f"the checkpoint's list of objects is damaged ({error})") from None
    found: dict[str, set[str]] = {}
    waiting, seen = [(0, 0)], {(0, 0)}
    while waiting:
        ours, theirs = waiting.pop()
        if not (0 <= ours < len(saved.nodes) and 0 <= theirs < len(stored.nodes)):
            raise InputError("the saved objects refer to one that is not there; the file is damaged")
        keys = [entry.checkpoint_key for entry in stored.nodes[theirs].attributes if entry.name == "VARIABLE_VALUE"]
        if keys and saved.nodes[ours].variable.name:
            found.setdefault(saved.nodes[ours].variable.name, set()).update(keys)
        others = {child.local_name: child.node_id for child in stored.nodes[theirs].children}
        for child in saved.nodes[ours].children:
            pair = (child.node_id, others.get(child.local_name, -1))
            if pair[1] != -1 and pair not in seen:
                seen.add(pair)
                waiting.append(pair)
    return {name: Place(next(iter(keys))) for name, keys in found.items() if len(keys) == 1}
