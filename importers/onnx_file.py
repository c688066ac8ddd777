"""ONNX files: parsed, checked as untrusted input, external data found or left in place; and written whole."""

from __future__ import annotations

from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from .errors import InputError
from .provenance import write_source
from .tensors import check_tensor, embed_external, extent, is_external
from .tensors import read_tensor as read_tensor
from .walk import all_tensors, node_tensors

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
        temporary[path].write_bytes(proto.SerializeToString())
        for final, part in temporary.items():
            if part.exists():
                part.replace(final)
    finally:
        for part in temporary.values():
            part.unlink(missing_ok=True)


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
