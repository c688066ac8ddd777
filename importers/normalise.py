"""One shape for every graph, whoever wrote it: functions inlined, nodes sorted and named, constants as initializers.

The engine relies on: nodes in topological order, each with a unique name; names that can be printed; every tensor made
once; constants are initializers, which are not inputs; no local function unless it cannot be inlined; no pool that
onnxruntime would merge with a Pad.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter

import numpy as np
import onnx
from onnx import NodeProto, helper, inliner, numpy_helper

from .bodies import is_weight, lift_body_weights
from .errors import InputError
from .names import make_printable
from .opset import STANDARD, relabel_functions
from .pads_apart import keep_pads_apart
from .sorting import label, sort_nodes
from .tensors import bits_per_element, check_tensor
from .walk import all_nodes, subgraphs

_MAX_NODES = 1_000_000  # after inlining: calls within calls can grow without bound
_MAX_DENSE = 1 << 30  # bytes of a sparse initializer written out
_MAX_DEPTH = 50  # subgraphs within subgraphs
_INITIALIZERS_NEED_NO_INPUT = 4  # IR version


def normalise(proto: onnx.ModelProto) -> None:
    """Bring `proto` into the shape the engine relies on, in place.

    Raises InputError when the graph is empty, cyclic, or reads a tensor that nothing makes.
    """
    if not proto.graph.node or not proto.graph.output:
        trained = " (it holds training information only)" if proto.training_info else ""
        raise InputError(f"expected a network, found a graph without nodes or outputs{trained}")
    _check_header(proto)
    check_names(proto.graph)
    check_attributes(proto.graph.node)
    for function in proto.functions:
        check_attributes(function.node, references=True)
    inline_functions(proto)
    write_out_sparse(proto.graph)
    make_printable(proto.graph)
    for node in all_nodes(proto.graph.node):
        _tidy_inputs(node)
    separate_inputs(proto)
    keep_pads_apart(proto)
    sort_nodes(proto.graph)
    name_nodes(proto.graph)
    lift_constants(proto.graph)
    lift_body_weights(proto.graph)
    proto.ir_version = max(proto.ir_version, _INITIALIZERS_NEED_NO_INPUT)


def check_attributes(nodes: Iterable[NodeProto], depth: int = 0, references: bool = False) -> None:
    """Raise InputError at an attribute without name or type, and at subgraphs nested too deep.

    `references`: whether attributes may stand for those of the call, as inside a local function.
    """
    if depth > _MAX_DEPTH:
        raise InputError(f"the graph nests more than {_MAX_DEPTH} subgraphs; it is damaged")
    for node in nodes:
        _check_text(node.op_type, node.domain, node.name, *node.input, *node.output)
        if not (node.op_type + node.domain).isprintable():
            raise InputError(f"node {label(node)}: {node.domain + node.op_type!r} is no operator's name; damaged")
        for attribute in node.attribute:
            if not attribute.name or not attribute.type or (attribute.ref_attr_name and not references):
                raise InputError(f"node {label(node)}: attribute {attribute.name or '(unnamed)'} has no value; damaged")
            _check_text(attribute.name)
            for graph in subgraphs(attribute):
                check_names(graph)
                check_attributes(graph.node, depth + 1, references)


def check_names(graph: onnx.GraphProto) -> None:
    """Raise InputError at a name in a graph (of it, of a tensor or of a dimension) that is no text."""
    sparse = [entry.values for entry in graph.sparse_initializer]
    values = (*graph.input, *graph.output, *graph.value_info)
    _check_text(graph.name, *(entry.name for entry in (*values, *graph.initializer, *sparse)))
    for value in values:
        _check_text(*(dim.dim_param for dim in value.type.tensor_type.shape.dim))


def _check_header(proto: onnx.ModelProto) -> None:
    _check_text(proto.producer_name, proto.producer_version, proto.domain)
    _check_text(*(text for entry in proto.metadata_props for text in (entry.key, entry.value)))
    imports = [entry for part in (proto, *proto.functions) for entry in part.opset_import]
    _check_text(*(entry.domain for entry in imports))
    if not all(0 <= entry.version < 1 << 31 for entry in imports):
        raise InputError("an operator set has an impossible version; the file is damaged")
    _check_text(*(text for entry in proto.functions for text in (entry.name, entry.domain)))


def _check_text(*names: object) -> None:
    """Protobuf hands out a string that is not UTF-8 as bytes."""
    for name in names:
        if not isinstance(name, str):
            raise InputError(f"the name {name!r} is not UTF-8 text; the file is damaged")


def _tidy_inputs(node: NodeProto) -> None:
    """Leave out omitted inputs at the end, over which onnxruntime can crash.

    Raises InputError at a Loop that nothing ends.
    """
    if node.op_type == "Loop" and node.domain in STANDARD:
        if not any(node.input[:2]):
            raise InputError(f"node {label(node)} has neither a trip count nor a condition: it never ends")
        return
    while node.input and not node.input[-1]:
        del node.input[-1]


def inline_functions(proto: onnx.ModelProto) -> None:
    """Replace calls of model-local functions by their bodies; one that onnx cannot inline stays an operator."""
    if not proto.functions:
        return
    _check_growth(proto)
    relabel_functions(proto)
    try:
        inlined = inliner.inline_local_functions(proto)
    except Exception as error:  # C++ assertions arrive as RuntimeError, parse errors as their own types
        raise InputError(f"the model's local functions cannot be inlined: {error}") from error
    proto.CopyFrom(inlined)


def _check_growth(proto: onnx.ModelProto) -> None:
    functions = {(entry.domain, entry.name): entry for entry in proto.functions}
    calls = {
        key: [(node.domain, node.op_type) for node in all_nodes(entry.node) if (node.domain, node.op_type) in functions]
        for key, entry in functions.items()
    }
    try:
        order = list(TopologicalSorter(calls).static_order())
    except CycleError as error:
        raise InputError(f"local function {error.args[1][0][1]} calls itself") from None
    size: dict[tuple[str, str], int] = {}
    for key in order:
        size[key] = len(functions[key].node) + sum(size[callee] for callee in calls[key])
    total = sum(size.get((node.domain, node.op_type), 1) for node in all_nodes(proto.graph.node))
    if total > _MAX_NODES:
        raise InputError(f"the local functions grow to {total} nodes when inlined; at most {_MAX_NODES} are accepted")


def write_out_sparse(graph: onnx.GraphProto) -> None:
    """Turn sparse initializers into ordinary ones."""
    for sparse in graph.sparse_initializer:
        graph.initializer.append(dense(sparse))
    del graph.sparse_initializer[:]


def dense(sparse: onnx.SparseTensorProto) -> onnx.TensorProto:
    """A sparse tensor written out; raises InputError where its indices do not fit."""
    name, dims = sparse.values.name, tuple(sparse.dims)
    if any(size < 0 for size in dims) or math.prod(dims) * bits_per_element(sparse.values.data_type) > 8 * _MAX_DENSE:
        raise InputError(
            f"sparse tensor {name}: its shape {list(dims)} claims more than {_MAX_DENSE} bytes written out"
        )
    check_tensor(sparse.values)
    check_tensor(sparse.indices)
    values, indices = numpy_helper.to_array(sparse.values), numpy_helper.to_array(sparse.indices)
    dense = np.zeros(dims, values.dtype)
    try:
        if indices.ndim < 2:
            dense.reshape(-1)[indices] = values
        else:
            dense[tuple(indices.T)] = values
    except (IndexError, ValueError) as error:
        raise InputError(f"sparse tensor {name}: its indices do not fit its shape ({error})") from None
    return numpy_helper.from_array(dense, name)


def separate_inputs(proto: onnx.ModelProto) -> None:
    """Initializers are constants: drop them from the inputs, where files of IR version 3 also list them."""
    stored = {tensor.name for tensor in proto.graph.initializer}
    inputs = [value for value in proto.graph.input if value.name not in stored]
    if len(inputs) < len(proto.graph.input):
        del proto.graph.input[:]
        proto.graph.input.extend(inputs)
    if stored:
        proto.ir_version = max(proto.ir_version, _INITIALIZERS_NEED_NO_INPUT)


def name_nodes(graph: onnx.GraphProto, scope: str = "") -> None:
    """Give unnamed nodes `Conv_12` (operator and position) and make repeated names unique; subgraphs likewise."""
    taken = {node.name for node in graph.node if node.name}
    seen: set[str] = set()
    for index, node in enumerate(graph.node):
        wanted = node.name or f"{scope}{node.op_type}_{index}"
        if wanted in seen or (not node.name and wanted in taken):
            wanted = _free_name(wanted, taken)
        node.name = wanted
        seen.add(wanted)
        taken.add(wanted)
        for attribute in node.attribute:
            for body in subgraphs(attribute):
                name_nodes(body, f"{wanted}/{attribute.name}/")


def _free_name(name: str, taken: set[str]) -> str:
    number = 1
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"


def lift_constants(graph: onnx.GraphProto, weights_only: bool = False) -> None:
    """Turn Constant nodes into initializers, so that weights are found in one place; in bodies only what is a weight.

    Some writers (Paddle) keep every weight in a Constant node. One whose value is an output of the graph stays.
    """
    outputs = {value.name for value in graph.output}
    kept: list[NodeProto] = []
    for node in graph.node:
        for attribute in node.attribute:
            for body in subgraphs(attribute):
                lift_constants(body, weights_only=True)
        tensor = None if set(node.output) & outputs else _constant(node)
        if tensor is None or (weights_only and not is_weight(tensor)):
            kept.append(node)
        else:
            graph.initializer.append(tensor)
    if len(kept) < len(graph.node):
        del graph.node[:]
        graph.node.extend(kept)


def _constant(node: NodeProto) -> onnx.TensorProto | None:
    if node.op_type != "Constant" or node.domain not in STANDARD or len(node.attribute) != 1 or len(node.output) != 1:
        return None
    attribute, name = node.attribute[0], node.output[0]
    if attribute.name == "value" and attribute.HasField("t"):
        tensor = onnx.TensorProto()
        tensor.CopyFrom(attribute.t)
        tensor.name = name
        return tensor
    if attribute.name in ("value_float", "value_floats"):
        return numpy_helper.from_array(np.asarray(helper.get_attribute_value(attribute), np.float32), name)
    if attribute.name in ("value_int", "value_ints"):
        return numpy_helper.from_array(np.asarray(helper.get_attribute_value(attribute), np.int64), name)
    return None
