"""Operator set versions: the same graph under an older number, where no operator changed its meaning in between."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

import onnx
from onnx import NodeProto, defs, version_converter

from .errors import InputError
from .walk import all_nodes

STANDARD = ("", "ai.onnx")


def opset(imports: Iterable[onnx.OperatorSetIdProto]) -> int:
    """The version of ONNX's own operators; 1 where none is stated (as files before 2017)."""
    return max((entry.version for entry in imports if entry.domain in STANDARD), default=1)


def lowered(proto: onnx.ModelProto, refusal: str) -> onnx.ModelProto:
    """A copy of the model as old as onnxruntime's `refusal` asks for: its format version, or its operators.

    Raises InputError when the refusal is about something else, or an operator has no older form.
    """
    older = onnx.ModelProto()
    older.CopyFrom(proto)
    ir_version = re.search(r"max supported IR version: (\d+)", refusal)
    if ir_version and proto.ir_version > int(ir_version[1]):
        older.ir_version = int(ir_version[1])
        return older
    newest = re.search(r"support for domain ai\.onnx is till opset (\d+)", refusal)
    if not newest or opset(proto.opset_import) <= int(newest[1]):
        raise InputError(f"onnxruntime cannot run this model: {refusal_reason(refusal)}")
    return with_opset(older, int(newest[1]))


def with_opset(proto: onnx.ModelProto, number: int) -> onnx.ModelProto:
    """The model under operator set `number`: renumbered where its operators mean the same, else converted by onnx.

    Raises InputError naming the operators that have no equal there.
    """
    changed = changed_operators(proto.graph.node, opset(proto.opset_import), number)
    if not changed:
        set_opset(proto.opset_import, number)
        return proto
    try:
        return version_converter.convert_version(proto, number)
    except Exception as error:  # C++ assertions: an adapter that does not exist
        raise InputError(
            f"the model uses opset {opset(proto.opset_import)}, the installed onnxruntime runs up to {number}, and "
            f"{', '.join(changed)} changed since; update onnxruntime or export the model with opset {number}"
        ) from error


def refusal_reason(refusal: str) -> str:
    """What went wrong, without onnxruntime's codes and source positions."""
    line = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", " ".join(refusal.split()))
    return re.sub(r"^/\S+:\d+ .*?\) (?=[A-Z])", "", line)[:300]


def changed_operators(nodes: Iterable[NodeProto], first: int, second: int) -> list[str]:
    """The standard operators used that do not mean the same under both opset versions."""
    used = {node.op_type for node in all_nodes(nodes) if node.domain in STANDARD}
    return sorted(name for name in used if _meaning(name, first) != _meaning(name, second))


def relabel_functions(proto: onnx.ModelProto) -> None:
    """Give local functions the model's own opset version where that changes nothing: onnx inlines only equal ones."""
    current = opset(proto.opset_import)
    for function in proto.functions:
        own = opset(function.opset_import)
        if own != current and not changed_operators(function.node, own, current):
            set_opset(function.opset_import, current)


def set_opset(imports: Iterable[onnx.OperatorSetIdProto], number: int) -> None:
    """Write the version of ONNX's own operators."""
    for entry in imports:
        if entry.domain in STANDARD:
            entry.version = number


@cache
def _meaning(name: str, number: int) -> tuple[object, ...] | None:
    """What tells operator `name` of opset `number` from other versions of it: attributes with their defaults, inputs
    and outputs. Versions that differ only in the element types they take are the same operator. None: no such operator.
    """
    try:
        schema = defs.get_schema(name, number, "")
    except defs.SchemaError:
        return None
    attributes = {
        (key, entry.required, entry.default_value.SerializeToString()) for key, entry in schema.attributes.items()
    }
    inputs, outputs = ([(entry.name, entry.option) for entry in side] for side in (schema.inputs, schema.outputs))
    return frozenset(attributes), tuple(inputs), tuple(outputs)
