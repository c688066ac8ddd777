"""ONNX graph -> torch.fx.GraphModule: one call a node, named after it; weights become buffers, which are frozen.

What follows from constants alone is computed once, here, and is a buffer too, under its node's name.
"""

from __future__ import annotations

import keyword
import operator as python_operators
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from onnx import AttributeProto, GraphProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper
from torch import fx, nn

from ...importers.errors import InputError
from ...importers.opset import STANDARD
from ...importers.walk import subgraphs
from .control_flow import CONTROL_FLOW, Body
from .dtypes import to_torch, torch_dtype
from .ops import Operator, find
from .prepass import Types, prepared

_DTYPE_ATTRIBUTES = ("to", "dtype", "output_dtype", "stash_type", "softmax_precision", "output_datatype")
_ORIGIN = "onnx"  # key of fx nodes' meta
_NAMED = 4  # nodes an error message names for each operator
_RANDOM = ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike")


@dataclass(frozen=True)
class Origin:
    """The ONNX node that an fx node stands for."""

    name: str
    op: str  # "Conv"; other domains as "com.microsoft.Gelu"


@dataclass(frozen=True)
class Built:
    """The module, and where each ONNX tensor is in it."""

    module: fx.GraphModule  # graph inputs in order -> tuple of graph outputs
    tensors: Mapping[str, str]  # ONNX tensor -> name of the fx node that holds it


def origin(node: fx.Node) -> Origin | None:
    """The ONNX node that this fx node stands for; None for inputs, weights and unpacked tuples."""
    return node.meta.get(_ORIGIN)


def build(
    graph: GraphProto,
    inputs: Iterable[str],
    opsets: Mapping[str, int],  # operator domain -> version
    read: Callable[[TensorProto], np.ndarray],  # the value of an initializer
    precision: torch.dtype | None,  # of every float in the module; None: as the file has them
) -> Built:
    """The module of a normalised graph.

    Raises InputError naming every operator that has no torch function, or an attribute that its function lacks.
    """
    builder = _Builder(opsets, read, precision)
    module, tensors = builder.module(graph, list(inputs), {})
    builder.problems.report()
    return Built(module, tensors)


class _Problems:
    """What stands in the way, gathered so that it is all said at once."""

    def __init__(self) -> None:
        self._nodes: dict[str, list[str]] = {}  # what is missing -> names of the nodes

    def add(self, reason: str, node: NodeProto) -> None:
        self._nodes.setdefault(reason, []).append(node.name or node.output[0])

    def report(self) -> None:
        """Raise InputError unless there are none."""
        if self._nodes:
            lines = [f"{reason} ({self._named(names)})" for reason, names in self._nodes.items()]
            raise InputError(f"no gradients through this network: torch has no equal for {'; '.join(lines)}")

    @staticmethod
    def _named(names: list[str]) -> str:
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        return f"node{'s' * (len(names) > 1)} {', '.join(names[:_NAMED])}{more}"


class _Builder:
    def __init__(
        self,
        opsets: Mapping[str, int],
        read: Callable[[TensorProto], np.ndarray],
        precision: torch.dtype | None,
    ) -> None:
        self.opsets, self.read, self.precision = opsets, read, precision
        self.problems = _Problems()

    def module(self, graph: GraphProto, inputs: list[str], outer: Types) -> tuple[fx.GraphModule, dict[str, str]]:
        """The module of a graph or body; its inputs are `inputs`, which for a body end in what it captures."""
        nodes, types = prepared(graph, self.opsets, self._meaning, outer)
        scope = _Scope(types)
        for name in inputs:
            scope.values[name] = scope.input(name)
        for tensor in graph.initializer:
            if tensor.name not in scope.values:
                value = to_torch(self.read(tensor), self.precision)
                scope.values[tensor.name] = scope.constant(tensor.name, value)
                scope.stored[tensor.name] = tensor.data_type
        for node in nodes:
            self._add(node, scope)
        scope.graph.output(tuple(scope.values[name] for name in _names(graph.output)))
        module = fx.GraphModule(scope.root, scope.graph, graph.name or "network")
        return module, {name: value.name for name, value in scope.values.items()}

    # -- nodes ---

    def _add(self, node: NodeProto, scope: _Scope) -> None:
        if _is_control_flow(node):
            called = self._control_flow(node, scope)
            _unpack(node, called, scope)
            return
        found = self._found(node)
        if found is None:
            for name in filter(None, node.output):
                scope.values[name] = scope.graph.call_function(_missing)
            return
        arguments = tuple(scope.values[entry] if entry else None for entry in node.input)
        keywords = self._keywords(node, found, scope)
        if not self._fold(node, found, arguments, keywords, scope):
            called = scope.graph.create_node("call_function", found.function, arguments, keywords, _name(node))
            called.meta[_ORIGIN] = Origin(_name(node), _op_label(node))
            if found.several:
                _unpack(node, called, scope)
            else:
                scope.values[node.output[0]] = called

    def _found(self, node: NodeProto) -> Operator | None:
        """The table's entry, where it knows all that the node says; else the lack is noted."""
        found, label = self._find(node, self.opsets.get("", 1)), _op_label(node)
        unknown = [entry.name for entry in node.attribute if found and entry.name not in found.keywords]
        if found is None:
            self.problems.add(f"{label}, whose values are random" if node.op_type in _RANDOM else label, node)
        elif unknown:
            self.problems.add(f"the attribute {', '.join(unknown)} of {label}", node)
        return None if unknown else found

    def _find(self, node: NodeProto, version: int) -> Operator | None:
        """`version`: of ONNX's own operators."""
        domain = "" if node.domain in STANDARD else node.domain
        number = self.opsets.get(domain, 1) if domain else version
        return find(node.op_type, domain, number, straight_through=self.precision is not None)

    def _meaning(self, node: NodeProto, version: int) -> object:
        return CONTROL_FLOW[node.op_type] if _is_control_flow(node) else self._find(node, version)

    def _fold(
        self, node: NodeProto, found: Operator, arguments: tuple[Any, ...], keywords: dict[str, Any], scope: _Scope
    ) -> bool:
        """Compute here what depends on constants only; False where it does not, or cannot be computed."""
        held = [value for value in (*arguments, *keywords.values()) if isinstance(value, fx.Node)]
        if any(value not in scope.known for value in held):
            return False
        plain = fx.map_arg((arguments, keywords), lambda value: scope.known[value])
        try:
            with torch.no_grad():
                made = found.function(*plain[0], **plain[1])
        except InputError as error:
            self.problems.add(str(error), node)
            return False
        except Exception:  # what is wrong with it is said when it is run
            return False
        values = made if found.several else (made,)
        if not all(isinstance(value, torch.Tensor) for value in values):
            return False
        made_from = Origin(_name(node), _op_label(node))
        for name, value in zip(node.output, values, strict=False):
            if name:
                scope.values[name] = scope.folded(name if found.several else _name(node), value, made_from, held)
        return True

    def _control_flow(self, node: NodeProto, scope: _Scope) -> fx.Node:
        """If, Loop, Scan: a submodule that holds the bodies, called with the node's inputs and all they capture."""
        graphs = {entry.name: entry.g for entry in node.attribute if entry.type == AttributeProto.GRAPH}
        captured = sorted({name for body in graphs.values() for name in free_names(body)})
        bodies = {
            key: Body(
                body, self.module(body, [*(value.name for value in body.input), *captured], scope.types)[0], self._dtype
            )
            for key, body in graphs.items()
        }
        plain = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute if entry.name not in graphs}
        submodule = CONTROL_FLOW[node.op_type](
            bodies, n_inputs=len(node.input), version=self.opsets.get("", 1), **plain
        )
        target = scope.add_module(_name(node), submodule)
        arguments = tuple(scope.values[entry] if entry else None for entry in [*node.input, *captured])
        called = scope.graph.create_node("call_module", target, arguments, {}, _name(node))
        called.meta[_ORIGIN] = Origin(_name(node), _op_label(node))
        return called

    # -- attributes ---

    def _keywords(self, node: NodeProto, found: Operator, scope: _Scope) -> dict[str, Any]:
        keywords = {entry.name: self._attribute(entry, node, scope) for entry in node.attribute}
        for name, default in (found.function.__kwdefaults__ or {}).items():
            if isinstance(default, torch.dtype) and name not in keywords:
                keywords[name] = self._in_precision(default)
        if "level_type" in found.keywords:
            keywords["level_type"] = _level_type(node, scope)
        return keywords | ({"n_outputs": len(node.output)} if "n_outputs" in found.keywords else {})

    def _attribute(self, entry: AttributeProto, node: NodeProto, scope: _Scope) -> Any:
        value = helper.get_attribute_value(entry)
        if entry.type == AttributeProto.TENSOR:
            tensor = to_torch(numpy_helper.to_array(value), self.precision)
            return scope.constant(f"{_name(node)}_{entry.name}", tensor)
        if entry.type == AttributeProto.STRING:
            return value.decode("utf-8", "replace")
        if entry.type == AttributeProto.STRINGS:
            return [text.decode("utf-8", "replace") for text in value]
        if entry.type == AttributeProto.TYPE_PROTO:
            return None  # values know their types
        if entry.name in _DTYPE_ATTRIBUTES and entry.type == AttributeProto.INT:
            return self._dtype(value)
        return list(value) if entry.type in (AttributeProto.INTS, AttributeProto.FLOATS) else value

    def _dtype(self, data_type: int) -> torch.dtype:
        return self._in_precision(torch_dtype(data_type))

    def _in_precision(self, dtype: torch.dtype) -> torch.dtype:
        return self.precision if self.precision is not None and dtype.is_floating_point else dtype


@dataclass
class _Scope:
    """One graph under construction."""

    types: Types  # of the ONNX tensors, as far as known
    root: nn.Module = field(default_factory=nn.Module)
    graph: fx.Graph = field(default_factory=fx.Graph)
    values: dict[str, fx.Node] = field(default_factory=dict)  # ONNX tensor -> fx node
    stored: dict[str, int] = field(default_factory=dict)  # initializer -> its element type in the file
    known: dict[fx.Node, torch.Tensor] = field(default_factory=dict)  # the values of constants
    _taken: Counter[str] = field(default_factory=Counter)

    def input(self, name: str) -> fx.Node:
        target = self._unused(name)
        return self.graph.create_node("placeholder", target, (), {}, target)

    def constant(self, name: str, value: torch.Tensor) -> fx.Node:
        target = self._unused(name)
        self.root.register_buffer(target, value)
        node = self.graph.create_node("get_attr", target, (), {}, target)
        self.known[node] = value
        return node

    def folded(self, name: str, value: torch.Tensor, made_from: Origin, held: Iterable[fx.Node]) -> fx.Node:
        """A computed constant; one that was handed through is the one that is there already."""
        node = next((node for node in held if self.known[node] is value), None)
        if node is None:
            node = self.constant(name, value)
            node.meta[_ORIGIN] = made_from
        return node

    def add_module(self, name: str, module: nn.Module) -> str:
        target = self._unused(name)
        self.root.add_module(target, module)
        return target

    def _unused(self, name: str) -> str:
        """A Python name like the ONNX name, that nothing else in this module has."""
        plain = _identifier(name)
        target = plain
        while target in self._taken or hasattr(self.root, target):
            self._taken[plain] += 1
            target = f"{plain}_{self._taken[plain]}"
        self._taken[target] += 1
        return target


def free_names(body: GraphProto) -> set[str]:
    """Tensors that a body reads from the graphs around it."""
    made = {value.name for value in body.input} | {tensor.name for tensor in body.initializer}
    free: set[str] = set()
    for node in body.node:
        reads = set(node.input)
        for attribute in node.attribute:
            for inner in subgraphs(attribute):
                reads |= free_names(inner)
        free |= reads - made
        made |= set(node.output)
    return (free | {value.name for value in body.output} - made) - {""}


def _unpack(node: NodeProto, called: fx.Node, scope: _Scope) -> None:
    for index, output in enumerate(node.output):
        if output:
            name = f"{_name(node)}_output_{index}"
            scope.values[output] = scope.graph.create_node(
                "call_function", python_operators.getitem, (called, index), {}, name
            )


def _level_type(node: NodeProto, scope: _Scope) -> torch.dtype | None:
    """What a QuantizeLinear makes, as far as the file says: torch holds its smallest types in larger ones."""
    stated = next((entry.i for entry in node.attribute if entry.name == "output_dtype"), 0)
    kind = stated or scope.stored.get(node.input[2] if len(node.input) > 2 else "", 0)
    return torch_dtype(kind) if kind else None


def _missing() -> None:
    """Stands for an operator that the table lacks, until all such are found and reported."""


def _is_control_flow(node: NodeProto) -> bool:
    return node.domain in STANDARD and node.op_type in CONTROL_FLOW


def _names(values: Iterable[ValueInfoProto]) -> list[str]:
    return [value.name for value in values]


def _name(node: NodeProto) -> str:
    return node.name or node.output[0]


def _op_label(node: NodeProto) -> str:
    return node.op_type if node.domain in STANDARD else f"{node.domain}.{node.op_type}"


def _identifier(name: str) -> str:
    """A Python name like the ONNX name."""
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name)
    plain = plain if plain[:1].isalpha() else f"_{plain}"
    return f"{plain}_" if keyword.iskeyword(plain) or plain == "self" else plain
