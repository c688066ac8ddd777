"""Writes TensorFlow Lite files: whatever operators, options, constants and metadata a test wants."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
from flatbuffers import flexbuffers
from onnxray.importers.tflite.schema import OPERATORS, SCHEMA, TYPES, UNIONS

_SLOTS = {
    "bool": "Bool",
    "byte": "Int8",
    "ubyte": "Uint8",
    "int": "Int32",
    "uint": "Uint32",
    "long": "Int64",
    "ulong": "Uint64",
    "float": "Float32",
}
_VECTORS = {"ubyte": np.uint8, "int": np.int32, "uint": np.uint32, "long": np.int64, "float": np.float32}
_TYPE_NAMES = {
    "float32": "FLOAT32",
    "float16": "FLOAT16",
    "int32": "INT32",
    "uint8": "UINT8",
    "int64": "INT64",
    "bool": "BOOL",
    "int16": "INT16",
    "int8": "INT8",
}


@dataclass
class T:
    """A tensor; with `data` a constant."""

    shape: Sequence[int] = ()
    type: str = "float32"
    data: np.ndarray | None = None
    scale: Sequence[float] = ()
    zero_point: Sequence[int] = ()
    axis: int = 0
    more: dict[str, Any] = field(default_factory=dict)  # further fields of the schema


def constant(values: Any, dtype: str = "float32", **quantisation: Any) -> T:
    """A constant tensor."""
    data = np.asarray(values, dtype)
    return T(data.shape, dtype, data, **quantisation)


@dataclass
class Op:
    """An operator; `options` is the table's name without "Options", its fields come as keywords of `make`."""

    kind: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    table: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    custom: Mapping[str, Any] | None = None  # options of a custom operator


def model(
    tensors: Mapping[str, T],
    operators: Sequence[Op],
    inputs: Sequence[str],
    outputs: Sequence[str],
    *,
    files: Mapping[str, str] | None = None,  # packed behind the model
    metadata: Mapping[str, Any] | None = None,  # of ModelMetadata
    **more: Any,  # further fields of Model
) -> bytes:
    """The bytes of a .tflite file."""
    places = {name: index for index, name in enumerate(tensors)}
    buffers: list[dict[str, Any]] = [{}]
    written = []
    for name, tensor in tensors.items():
        buffer = 0
        if tensor.data is not None:
            buffer = len(buffers)
            buffers.append({"data": np.frombuffer(np.ascontiguousarray(tensor.data).tobytes(), np.uint8)})
        written.append({"name": name, "buffer": buffer, **_tensor_fields(tensor)})
    entries = []
    if metadata is not None:
        buffers.append({"data": np.frombuffer(encode("ModelMetadata", metadata, b"M001"), np.uint8)})
        entries.append({"name": "TFLITE_METADATA", "buffer": len(buffers) - 1})
    codes = [_code(operator.kind) for operator in operators]
    graph = {
        "tensors": written,
        "inputs": [places[name] for name in inputs],
        "outputs": [places[name] for name in outputs],
        "operators": [_operator_fields(index, operator, places) for index, operator in enumerate(operators)],
        "name": "main",
    }
    fields = {"version": 3, "operator_codes": codes, "subgraphs": [graph], "buffers": buffers, "metadata": entries}
    content = encode("Model", {**fields, **more}, b"TFL3")
    return content + _archive(files) if files else content


def _tensor_fields(tensor: T) -> dict[str, Any]:
    fields: dict[str, Any] = {"shape": list(tensor.shape), "type": TYPES.index(_TYPE_NAMES[tensor.type])}
    if len(tensor.scale):
        fields["quantization"] = {
            "scale": list(tensor.scale),
            "zero_point": list(tensor.zero_point),
            "axis": tensor.axis,
        }
    return {**fields, **tensor.more}


def _code(kind: str) -> dict[str, Any]:
    if kind.startswith("CUSTOM "):
        return {"old_code": OPERATORS.index("CUSTOM"), "code": OPERATORS.index("CUSTOM"), "custom_code": kind[7:]}
    number = OPERATORS.index(kind)
    return {"old_code": min(number, 127), "code": number, "version": _VERSIONS.get(kind, 1)}


# Where the first version of an operator lacks types or options that the tests use.
_VERSIONS = {"BROADCAST_TO": 2, "FULLY_CONNECTED": 5, "BATCH_MATMUL": 1, "STRIDED_SLICE": 4, "TRANSPOSE_CONV": 3}


def _operator_fields(index: int, operator: Op, places: Mapping[str, int]) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "opcode_index": index,
        "inputs": [places[name] if name else -1 for name in operator.inputs],
        "outputs": [places[name] for name in operator.outputs],
    }
    if operator.table:
        fields["options_type"] = UNIONS["Options"].index(f"{operator.table}Options") + 1
        fields["options"] = dict(operator.options)
    if operator.custom is not None:
        fields["custom_options"] = np.frombuffer(flexbuffers.Dumps(dict(operator.custom)), np.uint8)
    return fields


def encode(table: str, fields: Mapping[str, Any], identifier: bytes) -> bytes:
    """A FlatBuffer with this table as its root."""
    builder = flatbuffers.Builder(1024)
    builder.ForceDefaults(True)
    builder.Finish(_table(builder, table, fields), identifier)
    return bytes(builder.Output())


def _table(builder: Any, table: str, fields: Mapping[str, Any]) -> int:
    schema = SCHEMA.get(table, [])
    children = {}
    for name, kind, _ in schema:
        if name in fields and kind not in _SLOTS:
            children[name] = _child(builder, kind, fields[name], fields.get(f"{name}_type"))
    builder.StartObject(max(len(schema), 1))
    for slot, (name, kind, _) in enumerate(schema):
        if name in children:
            builder.PrependUOffsetTRelativeSlot(slot, children[name], 0)
        elif name in fields:
            getattr(builder, f"Prepend{_SLOTS[kind]}Slot")(slot, fields[name], 0)
    return int(builder.EndObject())


def _child(builder: Any, kind: str, value: Any, member: int | None) -> int:
    if kind == "string":
        return int(builder.CreateString(value))
    if kind in UNIONS:
        assert member is not None
        return _table(builder, UNIONS[kind][member - 1], value)
    if not kind.startswith("["):
        return _table(builder, kind, value)
    inner = kind[1:-1]
    if inner in _VECTORS:
        return _numbers(builder, np.asarray(value, _VECTORS[inner]))
    places = [_child(builder, inner, entry, None) for entry in value]
    builder.StartVector(4, len(places), 4)
    for place in reversed(places):
        builder.PrependUOffsetTRelative(place)
    return int(builder.EndVector())


def _numbers(builder: Any, values: np.ndarray) -> int:
    content = values.tobytes()
    builder.StartVector(values.itemsize, len(values), 16)  # kernels read whole registers
    builder.head -= len(content)
    builder.Bytes[builder.head : builder.head + len(content)] = content
    return int(builder.EndVector())


def _archive(files: Mapping[str, str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return packed.getvalue()
