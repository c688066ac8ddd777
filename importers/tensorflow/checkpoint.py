"""Checkpoints as TensorFlow writes them: variables.index says where in variables.data-… the bytes of each tensor lie.

The index is a sorted table as of LevelDB: blocks of entries whose keys leave out what they share with the one before,
an index block that says where the blocks lie, and a footer that says where the index block lies.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from ..errors import InputError
from .reader import numpy_type, shape_of
from .wire_schema import message_class

_FOOTER = 48  # bytes
_MAGIC = 0xDB4775248B80FB57
_LARGEST_INDEX = 1 << 28  # bytes
_HEADER = ""  # the key of what is said of all of them


class Checkpoint:
    """One checkpoint: its entries, and their values when they are asked for."""

    def __init__(self, prefix: Path) -> None:
        """`prefix`: …/variables/variables. Raises InputError when the index is missing or damaged."""
        self._prefix = prefix
        index = prefix.with_name(f"{prefix.name}.index")
        if not index.is_file() or index.stat().st_size > _LARGEST_INDEX:
            raise InputError(f"its weights are variables, but the file of their places is missing: {index}")
        try:
            pairs = dict(_entries(index.read_bytes()))
            self._shards = message_class("BundleHeader").FromString(pairs.pop(_HEADER))
            self._entries = {key: message_class("BundleEntry").FromString(value) for key, value in pairs.items()}
        except (DecodeError, IndexError, KeyError, ValueError, struct.error) as error:
            raise InputError(f"{index}: expected a checkpoint's index, found damaged content ({error})") from None
        if self._shards.endianness:
            raise InputError(f"{index}: its numbers are big-endian, expected little-endian")

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def value(self, key: str) -> np.ndarray:
        """A tensor. Raises InputError when its bytes are not there."""
        entry = self._entries.get(key)
        dtype = None if entry is None else numpy_type(entry.dtype)
        if entry is None or dtype is None or entry.slices:
            what = "absent" if entry is None else "cut into slices" if entry.slices else "of a type without numbers"
            raise InputError(f"the variable {key} is {what} in the checkpoint {self._prefix}")
        shape = shape_of(entry.shape) or ()
        length = math.prod(shape) * dtype.itemsize
        path = self._prefix.with_name(
            f"{self._prefix.name}.data-{entry.shard_id:05d}-of-{self._shards.num_shards or 1:05d}"
        )
        held = path.stat().st_size if path.is_file() else 0
        if min(shape, default=0) < 0 or length != entry.size or not 0 <= entry.offset <= held - length:
            raise InputError(
                f"the variable {key} claims {entry.size} bytes at {entry.offset} for the shape {list(shape)}, "
                f"{path.name} holds {held}; truncated, or of another checkpoint"
            )
        found = np.fromfile(path, dtype, math.prod(shape), offset=entry.offset)
        return found.reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _entries(data: bytes) -> Iterator[tuple[str, bytes]]:
    if len(data) < _FOOTER or struct.unpack_from("<Q", data, len(data) - 8)[0] != _MAGIC:
        raise ValueError("no footer")
    footer = data[-_FOOTER:]
    _, at = _handle(footer, 0)  # of the block of statistics
    for _, handle in _block(data, _handle(footer, at)[0]):
        for key, value in _block(data, _handle(handle, 0)[0]):
            yield key.decode("utf-8"), value


def _handle(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    """Offset and size of a block, and where what follows starts."""
    offset, at = _varint(data, at)
    size, at = _varint(data, at)
    return (offset, size), at


def _block(data: bytes, place: tuple[int, int]) -> Iterator[tuple[bytes, bytes]]:
    offset, size = place
    if offset + size >= len(data) or size < 4:
        raise ValueError("a block outside the file")
    if data[offset + size]:
        raise ValueError("a compressed block; expected plain ones, as TensorFlow writes them")
    block = data[offset : offset + size]
    end = size - 4 - 4 * struct.unpack_from("<I", block, size - 4)[0]  # where entries start that share nothing
    at, key = 0, b""
    while at < end:
        shared, at = _varint(block, at)
        own, at = _varint(block, at)
        length, at = _varint(block, at)
        if at + own + length > end or shared > len(key):
            raise ValueError("an entry outside its block")
        key = key[:shared] + block[at : at + own]
        yield key, block[at + own : at + own + length]
        at += own + length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number without end")


def restored(nodes: Any, functions: Any, bound: Any = None) -> dict[str, str]:
    """Variable -> its key in the checkpoint, as the graph's own nodes for restoring say it.

    `bound`: input of a function -> the node that it stands for.
    """
    bound = bound or {}
    by_name = {node.name: node for node in nodes}
    found: dict[str, str] = {}
    for node in nodes:
        called = functions.get(node.attributes.get("f"))
        if called is not None and len(called.inputs) == len(node.inputs):
            inner = dict(zip(called.inputs, (bound.get(tensor, tensor) for tensor in node.inputs), strict=True))
            if not bound and any(other.op == "RestoreV2" for other in called.nodes):
                found.update(restored(called.nodes, functions, inner))
        elif node.op in ("AssignVariableOp", "Assign") and len(node.inputs) == 2:
            key = _key(node.inputs[1], by_name)
            if key is not None:
                found[bound.get(node.inputs[0], node.inputs[0])] = key
    return found


def _key(tensor: str, nodes: Any) -> str | None:
    """What a tensor is called in the checkpoint that it is read from."""
    source = nodes.get(tensor.partition(":")[0])
    while source is not None and source.op == "Identity" and source.inputs:
        tensor = source.inputs[0]
        source = nodes.get(tensor.partition(":")[0])
    if source is None or source.op != "RestoreV2" or len(source.inputs) < 2:
        return None
    names = nodes[source.inputs[1]].attributes.get("value") if source.inputs[1] in nodes else None
    number = int(tensor.partition(":")[2] or 0)
    return str(names[number]) if isinstance(names, list) and number < len(names) else None
