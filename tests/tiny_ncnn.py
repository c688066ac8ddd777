"""NCNN files, written: networks as text or binary, weights in every form of storage."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from onnxray.importers.ncnn.layer_types import type_name

MAGIC = 7767517
Param = int | float | str | list[int] | list[float]


@dataclass
class Row:
    """A line of a .param and the bytes of its weights."""

    type: str
    name: str
    bottoms: Sequence[str]
    tops: Sequence[str]
    params: Mapping[int, Param] = field(default_factory=dict)
    weights: bytes = b""


def given(name: str, *sizes: int) -> Row:
    """An input of these sizes, outermost first; none: the file does not say."""
    keys = {0: (), 1: (0,), 2: (1, 0), 3: (2, 1, 0), 4: (2, 11, 1, 0)}[len(sizes)]
    return Row("Input", name, [], [name], dict(zip(keys, sizes, strict=True)))


def text(rows: Sequence[Row]) -> str:
    """The .param."""
    blobs = sum(len(row.tops) for row in rows)
    lines = [f"{row.type:24} {row.name} {len(row.bottoms)} {len(row.tops)} "
             + " ".join([*row.bottoms, *row.tops, *(_written(key, value) for key, value in row.params.items())])
             for row in rows]  # fmt: skip
    return "\n".join([str(MAGIC), f"{len(rows)} {blobs}", *lines, ""])


def _written(key: int, value: Param) -> str:
    if isinstance(value, list):
        return f"{-23300 - key}={','.join([str(len(value)), *map(_number, value)])}"
    return f'{key}="{value}"' if isinstance(value, str) else f"{key}={_number(value)}"


def _number(value: float) -> str:
    return f"{value:e}" if isinstance(value, float) else str(value)


def binary(rows: Sequence[Row]) -> bytes:
    """The .param.bin."""
    numbers = {type_name(number): number for number in range(200)}
    blobs = {blob: place for place, blob in enumerate(blob for row in rows for blob in row.tops)}
    content = struct.pack("<3i", MAGIC, len(rows), len(blobs))
    for row in rows:
        places = [blobs[blob] for blob in (*row.bottoms, *row.tops)]
        content += struct.pack("<3i", numbers.get(row.type, 1000), len(row.bottoms), len(row.tops))
        content += struct.pack(f"<{len(places)}i", *places)
        content += b"".join(_packed(key, value) for key, value in row.params.items()) + struct.pack("<i", -233)
    return content


def _packed(key: int, value: Param) -> bytes:
    if isinstance(value, str):
        content = value.encode()
        return struct.pack("<2i", -23400 - key, len(content)) + content + bytes(-len(content) % 4)
    if isinstance(value, list):
        return struct.pack("<2i", -23300 - key, len(value)) + b"".join(map(_word, value))
    return struct.pack("<i", key) + _word(value)


def _word(value: float) -> bytes:
    return struct.pack("<f" if isinstance(value, float) else "<i", value)


def write(folder: Path, rows: Sequence[Row], *, as_binary: bool = False) -> Path:
    """Both files; returns the network's."""
    path = folder / ("net.param.bin" if as_binary else "net.param")
    path.write_bytes(binary(rows) if as_binary else text(rows).encode())
    (folder / "net.bin").write_bytes(b"".join(row.weights for row in rows))
    return path


def raw(values: np.ndarray) -> bytes:
    """An array without a tag."""
    return values.astype("<f4").tobytes()


def tagged(values: np.ndarray, storage: str = "float") -> bytes:
    """An array with its tag, stored as float, "again" (float by another tag), half, int8 or table."""
    if storage == "half":
        content = struct.pack("<I", 0x01306B47) + values.astype("<f2").tobytes()
    elif storage == "int8":
        content = struct.pack("<I", 0x000D4B38) + values.astype("i1").tobytes()
    elif storage == "table":
        table = np.linspace(values.min(), values.max(), 256)
        places = np.abs(values.reshape(-1, 1) - table).argmin(1)
        content = struct.pack("<I", 1) + raw(table) + places.astype("u1").tobytes()
    else:
        content = struct.pack("<I", 0x0002C056 if storage == "again" else 0) + raw(values)
    return content + bytes(-len(content) % 4)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    """Seeded numbers around 0."""
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(np.float32)
