"""The network as one flat list of nodes: what is called is put in its place, what no output needs is left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..errors import InputError, nearest_names
from .reader import Function, Graph, Node

VARIABLES = ("VarHandleOp", "VariableV2", "Variable")
CHOICE = "Choice"  # of ours: inputs are a predicate, the tensor where it is true, and where it is not
_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_BRANCHES = ("If", "StatelessIf")
_MOST_NODES, _DEEPEST = 200_000, 64  # of what functions that call each other may grow to
_SHOWN = 8  # names in a message
_WATCHING = {  # operators that look at tensors and make none
    *("Assert", "NoOp", "PrintV2", "SaveV2", "ControlTrigger"),
    *("ScalarSummary", "HistogramSummary", "ImageSummary", "MergeSummary"),
}
_SILENT = _WATCHING | {"Const", "Placeholder", "PlaceholderWithDefault", "Shape", "Size", "Rank", *VARIABLES}


@dataclass(frozen=True)
class Entry:
    """A graph input."""

    name: str
    type: str  # of TensorFlow Lite's names: FLOAT32 …
    shape: tuple[int, ...] | None  # -1: unknown; None: not even how many


@dataclass
class Network:
    """Nodes in an order in which they can be computed."""

    nodes: list[Node]
    inputs: list[Entry]
    outputs: list[tuple[str, str]]  # name for the world, tensor
    variables: dict[str, np.ndarray] = field(default_factory=dict)  # node -> value


def node_of(tensor: str) -> str:
    """The node that makes a tensor."""
    head, _, number = tensor.rpartition(":")
    return head if number.isdigit() and head else tensor


def frozen_network(graph: Graph, output_names: str | None) -> Network:
    """Of a graph file: its placeholders are the inputs, its outputs those named, or what nothing reads.

    Raises InputError when there is no such output, or none that depends on an input.
    """
    outputs = _named(graph, output_names) if output_names else sinks(graph)
    return flat_network(graph, [(name, name) for name in outputs])


def _named(graph: Graph, text: str) -> list[str]:
    wanted = [name.strip().removesuffix(":0") for name in text.split(",") if name.strip()]
    known = {node.name for node in graph.nodes}
    for name in wanted:
        if node_of(name) not in known:
            raise InputError(f"no node is called {name}; {nearest_names(name, known)}")
    if not wanted:
        raise InputError(f"--output-names expects names of nodes with commas, found {text!r}")
    return list(dict.fromkeys(wanted))


def sinks(graph: Graph) -> list[str]:
    """What nothing reads and what depends on an input, in the file's order."""
    read = {node_of(tensor) for node in graph.nodes for tensor in _read(node)}
    reached: set[str] = set()
    for node in _sorted(graph.nodes, [node.name for node in graph.nodes]):
        if node.op == "Placeholder" or any(node_of(tensor) in reached for tensor in node.inputs):
            reached.add(node.name)
    ends = [node for node in graph.nodes if node.name not in read and node.op not in _SILENT]
    found = [node.name for node in ends if node.name in reached]
    if not found:
        names = ", ".join(node.name for node in ends[:_SHOWN]) or "none"
        why = "that depends on a placeholder" if ends else "that nothing reads"
        raise InputError(f"expected a network with an output {why}, found {names}; say it with --output-names")
    return found


def _read(node: Node) -> Sequence[str]:
    """What a node makes something of; of an Assert what it checks, but not what it then shows."""
    return node.inputs[:1] if node.op == "Assert" else () if node.op in _WATCHING else node.inputs


def flat_network(graph: Graph, outputs: Sequence[tuple[str, str]]) -> Network:
    """`outputs`: name for the world and tensor. Raises InputError when functions call themselves, or nodes a loop."""
    flattening = _Flattening(graph.functions)
    made = flattening.inline(graph.nodes, {}, [tensor for _, tensor in outputs], "", 0)
    ends = [(name, made[tensor]) for name, tensor in outputs]
    nodes = _sorted(flattening.nodes, [tensor for _, tensor in ends])
    entries = [_entry(node) for node in nodes if node.op == "Placeholder"]
    return Network(nodes, entries, ends)


def _entry(node: Node) -> Entry:
    known = node.attributes.get("_output_shapes")
    shapes = [node.attributes.get("shape"), *(known if isinstance(known, list) and len(known) == 1 else ())]
    for shape in shapes:
        if not isinstance(shape, tuple | None):
            raise InputError(f"the input {node.name} has no shape but {shape!r}; the file is damaged")
    said = shapes[0] or shapes[-1]  # old files say "unknown" as a scalar
    kind = node.attributes.get("dtype")
    return Entry(node.name, kind if isinstance(kind, str) else "", said)


class _Flattening:
    """All nodes so far, under names that are used once."""

    def __init__(self, functions: Mapping[str, Function]) -> None:
        self.nodes: list[Node] = []
        self._functions = functions
        self._taken: set[str] = set()

    def inline(
        self, nodes: Sequence[Node], bound: Mapping[str, str], wanted: Sequence[str], prefix: str, depth: int
    ) -> dict[str, str]:
        """What the wanted tensors of a graph are called now; `bound`: its inputs."""
        if depth > _DEEPEST:
            raise InputError("functions call each other too deep, or themselves; expected a graph without recursion")
        called: dict[str, str] = dict(bound)
        renamed: dict[str, str] = {}

        def found(tensor: str) -> str:
            if tensor in called:
                return called[tensor]
            return renamed[node_of(tensor)] + tensor[len(node_of(tensor)) :]

        for node in _sorted(nodes, [tensor for tensor in wanted if tensor not in bound], bound):
            inputs = [found(tensor) for tensor in node.inputs]
            results = self._call(node, inputs, prefix, depth)
            if results is None:
                renamed[node.name] = self._append(node, inputs, prefix)
            else:
                called.update({_output(node.name, at): tensor for at, tensor in enumerate(results)})
        return {tensor: found(tensor) for tensor in wanted}

    def _call(self, node: Node, inputs: Sequence[str], prefix: str, depth: int) -> list[str] | None:
        """The outputs of a node that calls a function, else None."""
        deeper = f"{prefix}{node.name}/"
        if node.op in _CALLS or node.op in self._functions:
            name = node.attributes.get("f") if node.op in _CALLS else node.op
            return self._body(name, inputs, deeper, depth)
        if node.op not in _BRANCHES:
            return None
        branches = []
        for side, attribute in ((1, "then_branch"), (0, "else_branch")):
            passed = [self._add(f"{deeper}switch", "Switch", [tensor, inputs[0]]) for tensor in inputs[1:]]
            body = [_output(name, side) for name in passed]
            branches.append(self._body(node.attributes.get(attribute), body, deeper, depth))
        if len(branches[0]) != len(branches[1]):
            raise InputError(f"node {node.name}: its branches have {len(branches[0])} and {len(branches[1])} outputs")
        return [
            self._add(f"{deeper}choice", CHOICE, [inputs[0], then, other])
            for then, other in zip(*branches, strict=True)
        ]

    def _body(self, name: object, inputs: Sequence[str], prefix: str, depth: int) -> list[str]:
        function = self._functions.get(str(name))
        if function is None or len(function.inputs) != len(inputs):
            raise InputError(f"a node calls the function {name} with {len(inputs)} inputs, which the file lacks")
        wanted = [tensor for _, tensor in function.outputs]
        bound = dict(zip(function.inputs, inputs, strict=True))
        made = self.inline(function.nodes, bound, wanted, prefix, depth + 1)
        return [made[tensor] for tensor in wanted]

    def _append(self, node: Node, inputs: list[str], prefix: str) -> str:
        name = node.name if node.name not in self._taken else f"{prefix}{node.name}"
        return self._add(name, node.op, inputs, node.attributes)

    def _add(self, name: str, op: str, inputs: list[str], attributes: Mapping[str, object] | None = None) -> str:
        free, number = name, 1
        while free in self._taken:
            number += 1
            free = f"{name}_{number}"
        self._taken.add(free)
        self.nodes.append(Node(free, op, inputs, attributes or {}))
        if len(self.nodes) > _MOST_NODES:
            raise InputError(f"its functions make more than {_MOST_NODES} nodes when they are put in place")
        return free


def _output(node: str, index: int) -> str:
    return node if index == 0 else f"{node}:{index}"


def _sorted(nodes: Sequence[Node], wanted: Iterable[str], bound: Iterable[str] = ()) -> list[Node]:
    """Those that the wanted tensors need, each after what it reads."""
    by_name = {node.name: node for node in nodes}
    given, done, order = set(bound), set(), list[Node]()
    for start in wanted:
        waiting = [(node_of(start), False)]
        open_nodes: set[str] = set()
        while waiting:
            name, left = waiting.pop()
            if left:
                open_nodes.discard(name)
                done.add(name)
                order.append(by_name[name])
            elif name in open_nodes:
                raise InputError(f"the nodes around {name} make a loop; loops (While, Enter) are not supported")
            elif name not in done:
                if name not in by_name:
                    raise InputError(f"a node reads {name}, which the file lacks; it is damaged, or was cut apart")
                open_nodes.add(name)
                waiting.append((name, True))
                inner = [tensor for tensor in by_name[name].inputs if tensor not in given]
                waiting += [(node_of(tensor), False) for tensor in reversed(inner) if node_of(tensor) not in done]
    return order
