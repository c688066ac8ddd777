"""ONNX graph -> torch.fx.GraphModule: one call a node, named after it; weights become buffers, which are frozen."""

from __future__ import annotations

import operator as python_operators
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from onnx import AttributeProto, GraphProto, NodeProto, TensorProto, helper, numpy_helper
from torch import fx, nn

from ...importers.errors import InputError
from ...importers.walk import subgraphs
from .control_flow import CONTROL_FLOW
from .dtypes import to_torch, torch_dtype
from .ops import Operator, find

_DTYPE_ATTRIBUTES = ("to", "dtype", "output_dtype", "stash_type", "softmax_precision", "output_datatype")
_STANDARD = ("", "ai.onnx")
_ORIGIN = "onnx"  # key of fx nodes' meta


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
    names = list(inputs)
    builder.check(graph)
    module, tensors = builder.module(graph, names)
    return Built(module, tensors)


class _Builder:
    def __init__(
        self,
        opsets: Mapping[str, int],
        read: Callable[[TensorProto], np.ndarray],
        precision: torch.dtype | None,
    ) -> None:
        self.opsets, self.read, self.precision = opsets, read, precision

    # -- what can be built ---

    def check(self, graph: GraphProto) -> None:
        problems = dict.fromkeys(self._problems(graph))
        if problems:
            raise InputError(f"no gradients through this network: torch has no equal for {'; '.join(problems)}")

    def _problems(self, graph: GraphProto) -> Iterable[str]:
        for node in graph.node:
            if not _is_control_flow(node):
                reason = self._reason(node)
                if reason:
                    yield f"{reason} (node {node.name or node.output[0]})"
            for attribute in node.attribute:
                for body in subgraphs(attribute):
                    yield from self._problems(body)

    def _reason(self, node: NodeProto) -> str:
        found = self._find(node)
        label = _op_label(node)
        if found is None:
            return label
        unknown = [entry.name for entry in node.attribute if entry.name not in found.keywords]
        return f"the attribute {', '.join(unknown)} of {label}" if unknown else ""

    def _find(self, node: NodeProto) -> Operator | None:
        domain = "" if node.domain in _STANDARD else node.domain
        return find(node.op_type, domain, self.opsets.get(domain, 1), straight_through=self.precision is not None)

    # -- building ---

    def module(self, graph: GraphProto, inputs: list[str]) -> tuple[fx.GraphModule, dict[str, str]]:
        """The module of a graph or body; its inputs are `inputs`, which for a body end in what it captures."""
        root, built = nn.Module(), fx.Graph()
        values = {name: built.placeholder(_identifier(name)) for name in inputs}
        scope = _Scope(root, built, values)
        for tensor in graph.initializer:
            if tensor.name not in values:
                values[tensor.name] = scope.constant(tensor.name, to_torch(self.read(tensor), self.precision))
        for node in graph.node:
            self._add(node, scope)
        built.output(tuple(values[value.name] for value in graph.output))
        module = fx.GraphModule(root, built, graph.name or "network")
        return module, {name: value.name for name, value in values.items()}

    def _add(self, node: NodeProto, scope: _Scope) -> None:
        name = node.name or node.output[0]
        if _is_control_flow(node):
            called, several = self._control_flow(node, scope), True
        else:
            found = self._find(node)
            assert found is not None  # `check` has looked
            keywords = {entry.name: self._attribute(entry, scope) for entry in node.attribute}
            if "n_outputs" in found.keywords:
                keywords["n_outputs"] = len(node.output)
            arguments = tuple(scope.values[entry] if entry else None for entry in node.input)
            called = scope.graph.create_node("call_function", found.function, arguments, keywords, name)
            several = found.several
        called.meta[_ORIGIN] = Origin(name, _op_label(node))
        if not several:
            scope.values[node.output[0]] = called
            return
        for index, output in enumerate(node.output):
            if output:
                scope.values[output] = scope.graph.call_function(python_operators.getitem, (called, index))

    def _control_flow(self, node: NodeProto, scope: _Scope) -> fx.Node:
        """If, Loop, Scan: a submodule that holds the bodies, called with the node's inputs and all they capture."""
        bodies = {entry.name: entry.g for entry in node.attribute if entry.type == AttributeProto.GRAPH}
        captured = sorted({name for body in bodies.values() for name in free_names(body)})
        built = {
            key: self.module(body, [*(value.name for value in body.input), *captured])[0]
            for key, body in bodies.items()
        }
        plain = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute if entry.name not in bodies}
        submodule = CONTROL_FLOW[node.op_type](
            **built, **plain, n_inputs=len(node.input), version=self.opsets.get("", 1)
        )
        target = scope.add_module(node.name or node.output[0], submodule)
        names = [*node.input, *captured]
        arguments = tuple(scope.values[entry] if entry else None for entry in names)
        return scope.graph.create_node("call_module", target, arguments, {}, node.name or node.output[0])

    def _attribute(self, entry: AttributeProto, scope: _Scope) -> Any:
        value = helper.get_attribute_value(entry)
        if entry.type == AttributeProto.TENSOR:
            return scope.constant(value.name or entry.name, to_torch(numpy_helper.to_array(value), self.precision))
        if entry.type == AttributeProto.STRING:
            return value.decode("utf-8", "replace")
        if entry.type == AttributeProto.STRINGS:
            return [text.decode("utf-8", "replace") for text in value]
        if entry.name in _DTYPE_ATTRIBUTES and entry.type == AttributeProto.INT:
            return self._dtype(value)
        return list(value) if entry.type in (AttributeProto.INTS, AttributeProto.FLOATS) else value

    def _dtype(self, data_type: int) -> torch.dtype:
        dtype = torch_dtype(data_type)
        return self.precision if self.precision is not None and dtype.is_floating_point else dtype


@dataclass
class _Scope:
    """One graph under construction."""

    root: nn.Module
    graph: fx.Graph
    values: dict[str, fx.Node]  # ONNX tensor -> fx node

    def constant(self, name: str, value: torch.Tensor) -> fx.Node:
        target = self._unused(name)
        self.root.register_buffer(target, value)
        return self.graph.create_node("get_attr", target, (), {}, target)

    def add_module(self, name: str, module: nn.Module) -> str:
        target = self._unused(name)
        self.root.add_module(target, module)
        return target

    def _unused(self, name: str) -> str:
        plain, number = _identifier(name), 0
        while hasattr(self.root, f"{plain}_{number}" if number else plain):
            number += 1
        return f"{plain}_{number}" if number else plain


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


def _is_control_flow(node: NodeProto) -> bool:
    return node.domain in _STANDARD and node.op_type in CONTROL_FLOW


def _op_label(node: NodeProto) -> str:
    return node.op_type if node.domain in _STANDARD else f"{node.domain}.{node.op_type}"


def _identifier(name: str) -> str:
    """A Python name like the ONNX name."""
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name)
    return plain if plain[:1].isalpha() else f"_{plain}"
