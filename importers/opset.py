"""Operator set versions: the same graph under an older number, where no operator changed its meaning in between."""

from __future__ import annotations

from collections.abc import Iterable

import onnx
from onnx import NodeProto, defs, version_converter

from .errors import InputError
from .walk import all_nodes

STANDARD = ("", "ai.onnx")


def opset(imports: Iterable[onnx.OperatorSetIdProto]) -> int:
    """The version of ONNX's own operators; 1 where none is stated (as files before 2017)."""
    return max((entry.version for entry in imports if entry.domain in STANDARD), default=1)


def with_opset(proto: onnx.ModelProto, newest: int, newest_ir: int) -> onnx.ModelProto:
    """`proto` itself, or a copy under an operator set and IR version no newer than these.

    Raises InputError naming the operators that have no equal in opset `newest`.
    """
    current = opset(proto.opset_import)
    if current <= newest and proto.ir_version <= newest_ir:
        return proto
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    copy.ir_version = min(copy.ir_version, newest_ir)
    changed = changed_operators(copy.graph.node, current, newest)
    if changed:
        copy = _converted(copy, newest, changed)
    elif current > newest:
        set_opset(copy.opset_import, newest)
    return copy


def _converted(proto: onnx.ModelProto, newest: int, changed: list[str]) -> onnx.ModelProto:
    try:
        return version_converter.convert_version(proto, newest)
    except Exception as error:  # C++ assertions: an adapter that does not exist
        raise InputError(
            f"the model uses opset {opset(proto.opset_import)}, the installed onnxruntime runs up to {newest}, and "
            f"{', '.join(changed)} changed since; update onnxruntime or export the model with opset {newest}"
        ) from error


def changed_operators(nodes: Iterable[NodeProto], first: int, second: int) -> list[str]:
    """The standard operators used that do not mean the same under both opset versions."""
    used = {node.op_type for node in all_nodes(nodes) if node.domain in STANDARD}
    return sorted(name for name in used if _since(name, first) != _since(name, second))


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


def _since(name: str, number: int) -> int | None:
    """The opset version that defined operator `name` as it is in opset `number`; None: it has no such operator."""
    try:
        return defs.get_schema(name, number, "").since_version
    except defs.SchemaError:
        return None
