"""Checkpoints as TensorFlow writes them: one block of entries, one of places, and a footer."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnxray.importers.tensorflow.reader import type_number
from onnxray.importers.tensorflow.sliced import Extents, slice_key, within
from onnxray.importers.tensorflow.wire_schema import message_class
from tensorflow_graphs import kind_of


def write_checkpoint(
    prefix: Path,
    variables: Mapping[str, np.ndarray],
    slices: Mapping[str, Sequence[Extents]] | None = None,  # of variables that are kept in pieces
    texts: Mapping[str, bytes] | None = None,
) -> None:
    """PREFIX.index and PREFIX.data-00000-of-00001."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    data, pairs = b"", [("", message_class("BundleHeader")(num_shards=1).SerializeToString())]
    stored = dict(variables)
    for name, listed in (slices or {}).items():
        whole = stored.pop(name)
        entry = _entry(whole, 0, 0)
        for extents in listed:
            piece = entry.slices.add()
            for start, length in extents:
                piece.extent.add(start=start, length=length)
            part = within(extents, whole.shape)
            if part is not None:  # else a test wants it outside
                stored[slice_key(name, extents)] = whole[part]
        pairs.append((name, entry.SerializeToString()))
    for name, value in sorted(stored.items()):
        pairs.append((name, _entry(value, len(data), value.nbytes).SerializeToString()))
        data += value.tobytes()
    for name, text in (texts or {}).items():
        content = _varint(len(text)) + bytes(4) + text
        entry = message_class("BundleEntry")(dtype=7, offset=len(data), size=len(content))
        pairs.append((name, entry.SerializeToString()))
        data += content
    prefix.with_name(f"{prefix.name}.data-00000-of-00001").write_bytes(data)
    block = _block(sorted((key.encode("utf-8", "surrogateescape"), value) for key, value in pairs))
    index = _block([(b"z", _varint(0) + _varint(len(block)))])
    places = _varint(0) + _varint(0) + _varint(len(block) + 5) + _varint(len(index))
    footer = places.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)
    content = block + bytes(5) + index + bytes(5) + footer
    prefix.with_name(f"{prefix.name}.index").write_bytes(content)


def _entry(value: np.ndarray, offset: int, size: int) -> Any:
    entry = message_class("BundleEntry")(dtype=type_number(kind_of(value)), offset=offset, size=size)
    for side in value.shape:
        entry.shape.dim.add(size=side)
    return entry


def _block(pairs: list[tuple[bytes, bytes]]) -> bytes:
    """Each key without what it shares with the one before."""
    entries, before = b"", b""
    for key, value in pairs:
        shared = next((at for at in range(len(key)) if key[at : at + 1] != before[at : at + 1]), len(key))
        entries += _varint(shared) + _varint(len(key) - shared) + _varint(len(value)) + key[shared:] + value
        before = key
    return entries + struct.pack("<II", 0, 1)


def _varint(number: int) -> bytes:
    written = b""
    while number >= 0x80:
        written += bytes([number & 0x7F | 0x80])
        number >>= 7
    return written + bytes([number])
