"""Checkpoints as TensorFlow writes them: variables.index says where in variables.data-… the bytes of each tensor lie.

The index is a sorted table as of LevelDB: blocks of entries whose keys leave out what they share with the one before,
an index block that says where the blocks lie, and a footer that says where the index block lies.
"""

from __future__ import annotations

import glob
import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from ..errors import InputError
from .reader import numpy_type, shape_of
from .sliced import parse_extents, slice_key, within
from .wire_schema import message_class

_FOOTER = 48  # bytes
_MAGIC = 0xDB4775248B80FB57
_LARGEST_INDEX = 1 << 28  # bytes
_CHECKSUM = 4  # bytes, before a text
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

    def value(self, key: str, part: str = "") -> np.ndarray:
        """A tensor, or the part of it that a graph asks for. Raises InputError when its bytes are not there."""
        entry = self._entry(key)
        whole = self._joined(key, entry) if entry.slices else self._stored(key, entry)
        if not part:
            return whole
        try:
            cut = within(parse_extents(part), whole.shape)
        except ValueError as error:
            raise InputError(f"the variable {key}: {error}; the file is damaged") from None
        if cut is None:
            raise InputError(f"the variable {key} of shape {list(whole.shape)} has no part {part[:40]!r}; damaged")
        return np.ascontiguousarray(whole[cut])

    def content(self, key: str) -> bytes:
        """The bytes of a tensor that holds one text. Raises InputError when they are not there."""
        entry = self._entry(key)
        data = self._bytes(key, entry, entry.size)
        try:
            length, at = _varint(data, 0)
        except (IndexError, ValueError):
            length, at = -1, 0
        if length != len(data) - at - _CHECKSUM:
            raise InputError(f"the text {key} in the checkpoint {self._prefix} is damaged")
        return data[at + _CHECKSUM :]

    def _entry(self, key: str) -> Any:
        if key not in self._entries:
            raise InputError(f"the variable {key} is absent in the checkpoint {self._prefix}")
        return self._entries[key]

    def _joined(self, key: str, entry: Any) -> np.ndarray:
        """A tensor of its slices, which have to fill it: a few bytes may claim any shape."""
        shape, dtype = shape_of(entry.shape) or (), numpy_type(entry.dtype)
        folder, name = self._prefix.parent, glob.escape(self._prefix.name)
        held = sum(path.stat().st_size for path in folder.glob(f"{name}.data-*"))
        if dtype is None or min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize > held:
            raise InputError(f"the variable {key} claims the shape {list(shape)}, its checkpoint holds {held} bytes")
        pieces = []
        for piece in entry.slices:
            extents = tuple((extent.start, extent.length) for extent in piece.extent)
            place, own = within(extents, shape), slice_key(key, extents)
            if place is None or own not in self._entries:
                raise InputError(f"the variable {key} has a slice that the checkpoint {self._prefix} lacks; damaged")
            pieces.append((place, own))
        whole, filled = np.empty(shape, dtype), np.zeros(shape, bool)
        for place, own in pieces:
            stored = self._stored(own, self._entries[own])
            if whole[place].shape != stored.shape or filled[place].any():
                raise InputError(f"the slices of the variable {key} overlap, or have other shapes; damaged")
            whole[place], filled[place] = stored, True
        if not filled.all():
            raise InputError(f"the slices of the variable {key} do not fill its shape {list(shape)}; damaged")
        return whole

    def _stored(self, key: str, entry: Any) -> np.ndarray:
        dtype = numpy_type(entry.dtype)
        if dtype is None:
            raise InputError(f"the variable {key} is of a type without numbers in the checkpoint {self._prefix}")
        shape = shape_of(entry.shape) or ()
        length = -1 if min(shape, default=0) < 0 else math.prod(shape) * dtype.itemsize
        found = np.frombuffer(self._bytes(key, entry, length), dtype)
        return found.reshape(shape).astype(dtype.newbyteorder("="), copy=False)

    def _bytes(self, key: str, entry: Any, length: int) -> bytes:
        """What an entry's shard holds for it: `length` bytes, if the entry says so too."""
        path = self._prefix.with_name(
            f"{self._prefix.name}.data-{entry.shard_id:05d}-of-{self._shards.num_shards or 1:05d}"
        )
        held = path.stat().st_size if path.is_file() else 0
        if length < 0 or length != entry.size or not 0 <= entry.offset <= held - length:
            raise InputError(
                f"the variable {key} claims {entry.size} bytes at {entry.offset} for the shape "
                f"{list(shape_of(entry.shape) or ())}, {path.name} holds {held}; truncated, or of another checkpoint"
            )
        with path.open("rb") as file:
            file.seek(entry.offset)
            return file.read(length)


def _entries(data: bytes) -> Iterator[tuple[str, bytes]]:
    if len(data) < _FOOTER or struct.unpack_from("<Q", data, len(data) - 8)[0] != _MAGIC:
        raise ValueError("no footer")
    footer = data[-_FOOTER:]
    _, at = _handle(footer, 0)  # of the block of statistics
    for _, handle in _block(data, _handle(footer, at)[0]):
        for key, value in _block(data, _handle(handle, 0)[0]):
            yield key.decode("utf-8", "surrogateescape"), value


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
