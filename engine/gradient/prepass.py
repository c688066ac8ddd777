"""What the builder reads instead of a graph's own nodes: constants in one form, and operators that the table lacks
replaced by ONNX's own definition of them, where it has one.

The graph itself is never changed, and no weight is copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, FunctionProto, GraphProto, NodeProto, TypeProto, defs, helper, numpy_helper

from ...importers.normalise import dense
from ...importers.opset import STANDARD
from ...importers.walk import all_nodes, subgraphs

_MAX_ROUNDS = 20  # definitions by operators that are themselves defined by others
_NUMBERS = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64}

Types = Mapping[str, TypeProto]  # tensor -> its type
Meaning = Callable[[NodeProto, int], object]  # what the table has for a node under an opset version, or None


def prepared(
    graph: GraphProto, opsets: Mapping[str, int], meaning: Meaning, outer: Types
) -> tuple[list[NodeProto], Types]:
    """The nodes to build, and the types of the graph's tensors as far as definitions needed them.

    `outer`: the types of tensors of the graphs around it.
    """
    nodes, types, version = list(graph.node), outer, opsets.get("", 1)
    for _ in range(_MAX_ROUNDS):
        missing = [node for node in nodes if meaning(node, version) is None and _schema(node, opsets)]
        if not missing:
            break
        types = _types(graph, nodes, opsets, outer)
        definitions = {node.name: _definition(node, opsets, types, meaning) for node in missing}
        if not any(definitions.values()):
            break
        nodes = [part for node in nodes for part in _parts(node, definitions.get(node.name))]
    return [plain_constant(node) for node in nodes], types


def plain_constant(node: NodeProto) -> NodeProto:
    """A Constant of numbers with its attribute `value`, whatever way it was written; any other node as it is."""
    if node.op_type != "Constant" or node.domain not in STANDARD or len(node.attribute) != 1:
        return node
    attribute = node.attribute[0]
    if attribute.name in _NUMBERS:
        values = np.asarray(helper.get_attribute_value(attribute), _NUMBERS[attribute.name])
        tensor = numpy_helper.from_array(values, node.output[0])
    elif attribute.name == "sparse_value":
        tensor = dense(attribute.sparse_tensor)
    else:
        return node
    return helper.make_node("Constant", [], node.output, node.name, value=tensor)


# -- definitions ---


def _schema(node: NodeProto, opsets: Mapping[str, int]) -> Any:
    """The operator's entry in ONNX's own list, where that holds a definition; else None."""
    domain = "" if node.domain in STANDARD else node.domain
    try:
        schema: Any = defs.get_schema(node.op_type, opsets.get(domain, 1), domain)  # its stub lacks the functions
    except defs.SchemaError:
        return None
    return schema if schema.has_function or schema.has_context_dependent_function else None


def _definition(node: NodeProto, opsets: Mapping[str, int], types: Types, meaning: Meaning) -> FunctionProto | None:
    """ONNX's definition of the operator, written for the opset version nearest to the model's and true in that too."""
    schema, version = _schema(node, opsets), opsets.get("", 1)
    written = {*schema.function_opset_versions, *schema.context_dependent_function_opset_versions}
    for near in sorted(written, key=lambda number: abs(number - version)):
        function = _written(node, schema, near, types)
        parts = [] if function is None else list(all_nodes(function.node))
        if function is not None and parts and all(meaning(part, near) is meaning(part, version) for part in parts):
            return _with_defaults(function, schema)
    return None


def _written(node: NodeProto, schema: Any, version: int, types: Types) -> FunctionProto | None:
    kinds = [types.get(name, TypeProto()).SerializeToString() for name in node.input]
    try:
        if version in schema.function_opset_versions:
            text = schema.get_function_with_opset_version(version)
        else:
            text = schema.get_context_dependent_function_with_opset_version(version, node.SerializeToString(), kinds)
    except Exception:  # onnx's C++ says only that there is none for these types
        return None
    return FunctionProto.FromString(text) if text else None


def _with_defaults(function: FunctionProto, schema: Any) -> FunctionProto:
    stated = {entry.name for entry in function.attribute_proto}
    for name, attribute in schema.attributes.items():
        if attribute.default_value.type and name not in stated:
            function.attribute_proto.append(attribute.default_value)
    return function


def _parts(node: NodeProto, function: FunctionProto | None) -> list[NodeProto]:
    """The nodes of the definition, named after the one they stand for; the node itself where there is none."""
    if function is None:
        return [node]
    renamed = {"": ""}
    renamed |= dict.fromkeys(function.input, "")
    renamed |= dict(zip(function.input, node.input, strict=False))
    renamed |= {inner: outer for inner, outer in zip(function.output, node.output, strict=False) if outer}
    values = {entry.name: entry for entry in (*function.attribute_proto, *node.attribute)}
    parts = []
    for number, part in enumerate(function.node):
        copy = _renamed(part, renamed, f"{node.name}/", values)
        copy.name = f"{node.name}/{part.name or f'{part.op_type}_{number}'}"
        parts.append(copy)
    return parts


def _renamed(
    part: NodeProto, renamed: Mapping[str, str], prefix: str, values: Mapping[str, AttributeProto]
) -> NodeProto:
    copy = NodeProto()
    copy.CopyFrom(part)
    copy.input[:] = [renamed.get(name, f"{prefix}{name}") for name in part.input]
    copy.output[:] = [renamed.get(name, f"{prefix}{name}") for name in part.output]
    del copy.attribute[:]
    copy.attribute.extend(_stated(part.attribute, values))
    for attribute in copy.attribute:
        for body in subgraphs(attribute):
            _rename_body(body, renamed, prefix, values)
    return copy


def _stated(attributes: Iterable[AttributeProto], values: Mapping[str, AttributeProto]) -> Iterable[AttributeProto]:
    """Attributes with what the call says where they stand for one of the call's; left out where it says nothing."""
    for attribute in attributes:
        if not attribute.ref_attr_name:
            yield attribute
        elif attribute.ref_attr_name in values:
            copy = AttributeProto()
            copy.CopyFrom(values[attribute.ref_attr_name])
            copy.name = attribute.name
            yield copy


def _rename_body(
    body: GraphProto, renamed: Mapping[str, str], prefix: str, values: Mapping[str, AttributeProto]
) -> None:
    for value in (*body.input, *body.output, *body.initializer):
        value.name = renamed.get(value.name, f"{prefix}{value.name}")
    nodes = [_renamed(node, renamed, prefix, values) for node in body.node]
    for number, node in enumerate(nodes):
        node.name = node.name or f"{prefix}{node.op_type}_{number}"
    del body.node[:]
    body.node.extend(nodes)


# -- types ---


def _types(graph: GraphProto, nodes: Iterable[NodeProto], opsets: Mapping[str, int], outer: Types) -> Types:
    """The type of every tensor of a graph, as far as onnx can tell."""
    stored = {tensor.name: helper.make_tensor_type_proto(tensor.data_type, tensor.dims) for tensor in graph.initializer}
    given = {**outer, **stored, **{value.name: value.type for value in graph.input}}
    made = {name for node in nodes for name in node.output}
    inputs = [helper.make_value_info(name, kind) for name, kind in given.items() if name not in made]
    outline = helper.make_graph(list(nodes), graph.name or "outline", inputs, list(graph.output))
    imports = [helper.make_opsetid(domain, version) for domain, version in opsets.items()]
    try:
        inferred = onnx.shape_inference.infer_shapes(helper.make_model(outline, opset_imports=imports))
    except Exception:  # what onnx cannot infer stays unknown
        return given
    values = (*inferred.graph.value_info, *inferred.graph.output)
    return {**given, **{value.name: value.type for value in values}}
