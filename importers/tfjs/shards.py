"""The weights of a TensorFlow.js model: a manifest of names, shapes and types, and files of bytes that follow it.

The files of a group are one row of bytes, wherever they are cut. What is quantised is stored in bytes or half-precision
numbers; it is read as the numbers that TensorFlow.js itself makes of it when it loads the model.
"""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..data_files import data_file
from ..errors import InputError

_TYPES = {
    "float32": "<f4",
    "float16": "<f2",
    "int32": "<i4",
    "uint8": "u1",
    "uint16": "<u2",
    "bool": "?",
    "complex64": "<c8",
}
_QUANTISED = ("uint8", "uint16", "float16")
_TEXT = "string"
_MOST_AXES = 8


@dataclass(frozen=True)
class Weight:
    """One entry of the manifest."""

    name: str
    shape: tuple[int, ...]
    type: str  # what it is when it is read
    stored: str  # what it is in the file
    scale: float = 1.0
    least: float = 0.0

    @property
    def count(self) -> int:
        """How many numbers, or texts."""
        return math.prod(self.shape)

    def value(self, content: memoryview) -> np.ndarray:  # shape
        """Its numbers, a view of the bytes where they are stored as they are."""
        stored = np.frombuffer(content, _TYPES[self.stored]).reshape(self.shape)
        if self.stored == self.type:
            return stored
        if self.stored == "float16":
            return stored.astype(np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            real = stored * self.scale + self.least  # float64, as a number of JavaScript is
            return real.astype(np.float32) if self.type == "float32" else np.floor(real + 0.5).astype(np.int32)


class Shards:
    """The weights by name."""

    def __init__(self, where: str, files: Sequence[Path], held: Mapping[str, tuple[Weight, memoryview]]) -> None:
        self.where = where
        self.files = tuple(files)
        self._held = held

    @property
    def names(self) -> list[str]:
        """In the manifest's order."""
        return list(self._held)

    def __contains__(self, name: object) -> bool:
        return name in self._held

    def value(self, name: str) -> np.ndarray | None:
        """An array in its own type; None where it is text or complex."""
        weight, content = self._held[name]
        return None if weight.type in (_TEXT, "complex64") else weight.value(content)

    def read(self, path: str) -> np.ndarray:
        """An array, float32. Raises InputError when it holds no numbers."""
        value = self.value(path)
        if value is None:
            raise InputError(f"{self.where}: expected numbers in the weight {path}, found {self._held[path][0].type}")
        return value.astype(np.float32, copy=False)


def open_shards(manifest: Any, path: Path) -> Shards:
    """The weights that the manifest of a model.json lists.

    Raises InputError when one of its files is missing, elsewhere or of another length than the manifest says.
    """
    held: dict[str, tuple[Weight, memoryview]] = {}
    if not isinstance(manifest, list) or not all(isinstance(group, Mapping) for group in manifest):
        raise InputError(
            f"{path}: expected a weightsManifest, a list of groups, in it; it is damaged, or was cut apart"
        )
    try:
        groups = [_group(group) for group in manifest]
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    found = [_files(paths, path) for paths, _ in groups]
    files = [file for shards in found for file in shards]
    if len(set(files)) < len(files):
        raise InputError(f"{path}: its weightsManifest lists a file twice, which would be read as often; it is damaged")
    for (paths, weights), shards in zip(groups, found, strict=True):
        what = f"{path}: {', '.join(paths[:3])}{', …' * (len(paths) > 3)}"
        for weight, content in _cut(weights, _content(shards), what):
            if weight.name in held:
                raise InputError(f"{path}: the weight {weight.name} is listed twice")
            held[weight.name] = (weight, content)
    return Shards(str(path), files, held)


def _group(group: Mapping[str, Any]) -> tuple[list[str], list[Weight]]:
    return _listed(group, "paths", str), [_weight(entry) for entry in _listed(group, "weights", Mapping)]


def _listed(group: Mapping[str, Any], name: str, kind: type) -> list[Any]:
    entries = group.get(name)
    if not isinstance(entries, list) or not all(isinstance(entry, kind) for entry in entries):
        raise InputError(f"a group of the weightsManifest has no list of {name}; the file is damaged")
    return entries


def _weight(entry: Mapping[str, Any]) -> Weight:
    name, shape, kind = entry.get("name"), entry.get("shape"), entry.get("dtype")
    if not isinstance(name, str) or not isinstance(shape, list) or not all(map(_is_size, shape)):
        raise InputError(f"expected a weight with a name and a shape in the weightsManifest, found {name!r}, {shape!r}")
    if len(shape) > _MOST_AXES or not isinstance(kind, str) or kind not in (*_TYPES, _TEXT):
        raise InputError(f"the weight {name} has {len(shape)} axes and the type {kind!r}, which is not supported")
    given = entry.get("quantization")
    if given is None:
        return Weight(name, tuple(shape), kind, kind)
    if not isinstance(given, Mapping) or given.get("dtype") not in _QUANTISED or kind not in ("float32", "int32"):
        raise InputError(
            f"the weight {name} is {kind}, quantised as {given!r}; expected one of {', '.join(_QUANTISED)}"
        )
    scale, least = given.get("scale", 1.0), given.get("min", 0.0)
    if given["dtype"] == "float16":
        if kind != "float32":
            raise InputError(f"the weight {name} is {kind}, quantised as float16, which only float32 can be")
    elif not {"scale", "min"} <= given.keys() or not (_is_number(scale) and _is_number(least)):
        raise InputError(f"the weight {name} is quantised as {given['dtype']} without the numbers scale and min")
    return Weight(name, tuple(shape), kind, given["dtype"], float(scale), float(least))


def _is_size(side: Any) -> bool:
    return type(side) is int and 0 <= side < 1 << 48


def _is_number(value: Any) -> bool:
    """Whether it is a finite one; JSON's integers have no end."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _files(names: Sequence[str], path: Path) -> list[Path]:
    """Raises InputError for the first that cannot be used; where files are missing, for all that are."""
    folder = path.parent
    refused, missing = [], []
    for name in names:
        try:
            refused.append(data_file("weights", name, folder))
        except InputError as error:
            if "is missing" not in str(error):
                raise InputError(f"{path}: {error}") from None
            missing.append(name)
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise InputError(f"{path}: its weights {', '.join(missing[:3])}{more} are missing; they belong in {folder}")
    return refused


def _content(files: Sequence[Path]) -> memoryview:
    """The files one behind the other."""
    sizes = [file.stat().st_size for file in files]
    whole = memoryview(bytearray(sum(sizes)))
    at = 0
    for file, size in zip(files, sizes, strict=True):
        with file.open("rb", buffering=0) as stream:
            while size and (count := stream.readinto(whole[at : at + size])):
                at, size = at + count, size - count
    return whole


def _cut(weights: Sequence[Weight], content: memoryview, what: str) -> Iterator[tuple[Weight, memoryview]]:
    """Each weight with its bytes. Raises InputError when they are not as many as all claim together."""
    at = 0
    for weight in weights:
        length = _text_length(weight, content[at:]) if weight.type == _TEXT else weight.count * _size(weight.stored)
        yield weight, content[at : at + length] if at + length <= len(content) else content[:0]
        at += length
    if at != len(content):
        raise InputError(
            f"{what}: the manifest lists {at} bytes of weights, found {len(content)}; truncated, or not its"
        )


def _size(kind: str) -> int:
    return np.dtype(_TYPES[kind]).itemsize


def _text_length(weight: Weight, content: memoryview) -> int:
    """Each text has its length before it."""
    at = 0
    for _ in range(weight.count):
        if at + 4 > len(content):
            return len(content) + 1  # more than there is
        at += 4 + struct.unpack_from("<I", content, at)[0]
    return at
