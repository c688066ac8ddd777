"""ONNX files: parsed, checked as untrusted input, external data found or left in place; and written whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError, Message

from .errors import InputError
from .provenance import write_source
from .tensors import check_tensor, embed_external, extent, is_external
from .tensors import read_tensor as read_tensor
from .walk import all_tensors, node_tensors
from .wire import BYTES

_LIMIT = 1 << 31  # bytes of one protobuf message
_PIECE = 1 << 24  # bytes copied at a time
_EXPLICIT_OPSET = 3  # IR version from which a file must state its operator set


def read(path: Path, companion: Path | None) -> onnx.ModelProto:
    """Read an ONNX file. External tensors up to `tensors.EMBED_LIMIT` bytes come with it, larger ones stay on disk.

    Raises InputError when it is truncated or damaged, or its external data is missing, short or outside its folder.
    """
    proto = parse(path)
    try:
        for function in proto.functions:
            for tensor in (tensor for node in function.node for tensor in node_tensors(node)):
                check_tensor(tensor)
        for tensor in all_tensors(proto.graph):
            check_tensor(tensor)
        used = embed_external(proto.graph, path.parent)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    write_source(proto, (path, *used), "onnx")
    return proto


def parse(path: Path) -> onnx.ModelProto:
    """The file's bytes as a ModelProto that has a graph and an operator set; nothing else is checked."""
    if path.stat().st_size >= _LIMIT:
        raise InputError(
            f"{path}: an ONNX file holds less than 2 GiB; larger models keep their weights in a second file"
        )
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(path.read_bytes())
    except (DecodeError, UnicodeDecodeError):
        raise InputError(f"{path}: expected an ONNX model, but the file is truncated or damaged") from None
    if not proto.HasField("graph") or (proto.ir_version >= _EXPLICIT_OPSET and not proto.opset_import):
        part = "operator set version" if proto.HasField("graph") else "graph"
        raise InputError(f"{path}: expected an ONNX model, but it has no {part}; the file is truncated or damaged")
    return proto


def write(proto: onnx.ModelProto, path: Path, folder: Path | None) -> None:
    """Write a model whole or not at all; tensors that still lie in `folder` are copied to PATH.data beside it."""
    data = path.with_name(f"{path.name}.data")
    temporary = {final: final.with_name(f".{final.name}.partial") for final in (data, path)}
    try:
        if any(is_external(tensor) for tensor in all_tensors(proto.graph)):
            copy = onnx.ModelProto()
            copy.CopyFrom(proto)
            proto = copy
            _copy_data(copy.graph, temporary[data], data.name, folder)
        with temporary[path].open("wb") as out:
            out.writelines(_serialised(proto))
        for final, part in temporary.items():
            if part.exists():
                part.replace(final)
    finally:
        for part in temporary.values():
            part.unlink(missing_ok=True)


def _serialised(proto: onnx.ModelProto) -> Iterator[bytes]:
    """What `SerializeToString` gives, one weight at a time: protobuf itself takes twice the model's memory for it.

    Raises InputError where that is more than a file can hold.
    """
    start, end = _around(proto, "graph")
    first, last = _around(proto.graph, "initializer")
    weights = proto.graph.initializer
    lengths = [tensor.ByteSize() for tensor in weights]
    heads = [_head(proto.graph, "initializer", length) for length in lengths]
    total = len(first) + sum(map(len, heads)) + sum(lengths) + len(last)
    start += _head(proto, "graph", total)
    if len(start) + total + len(end) >= _LIMIT:
        raise InputError(f"the graph and its weights take {total} bytes; an ONNX file holds less than 2 GiB")
    yield start + first
    for head, tensor in zip(heads, weights, strict=True):
        yield head
        yield tensor.SerializeToString()
    yield last + end


def _around(message: Message, name: str) -> tuple[bytes, bytes]:
    """The fields of a message before and after one of them; what this version of onnx does not know is left out."""
    number = message.DESCRIPTOR.fields_by_name[name].number
    before, after = type(message)(), type(message)()
    for field, value in message.ListFields():
        if field.number != number:
            part = type(message)(**{field.name: value})
            (before if field.number < number else after).MergeFrom(part)
    return before.SerializeToString(), after.SerializeToString()


def _head(message: Message, name: str, length: int) -> bytes:
    """What stands before a field of so many bytes."""
    return _varint(message.DESCRIPTOR.fields_by_name[name].number << 3 | BYTES) + _varint(length)


def _varint(number: int) -> bytes:
    groups = [number >> shift & 0x7F for shift in range(0, max(number.bit_length(), 1), 7)]
    return bytes([*(group | 0x80 for group in groups[:-1]), groups[-1]])


def _copy_data(graph: onnx.GraphProto, target: Path, name: str, folder: Path | None) -> None:
    """Gather the external tensors of `graph` in the file `target`, to be called `name`."""
    with target.open("wb") as out:
        for tensor in filter(is_external, all_tensors(graph)):
            place = extent(tensor, folder or Path())
            entries = {"location": name, "offset": out.tell(), "length": place.length}
            with place.path.open("rb") as file:
                file.seek(place.offset)
                for start in range(0, place.length, _PIECE):
                    out.write(file.read(min(_PIECE, place.length - start)))
            del tensor.external_data[:]
            for key, entry in entries.items():
                tensor.external_data.add(key=key, value=str(entry))


def graph_inputs(proto: onnx.ModelProto) -> dict[str, onnx.ValueInfoProto]:
    """The inputs a caller must feed: old files also list their initializers as inputs."""
    stored = {tensor.name for tensor in proto.graph.initializer}
    return {value.name: value for value in proto.graph.input if value.name not in stored}
