"""A `.keras` archive: a zip of config.json, metadata.json and model.weights.h5. Nothing is unpacked to disk."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..zip_members import DAMAGE, leads_outside, members
from .hdf5 import Hdf5, open_hdf5

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_SHARDS = "model.weights.json"
_LARGEST_JSON = 1 << 26  # bytes
_RATIO = 16  # unpacked against the archive: Keras stores without compression, weights hardly compress
_SPARE = 1 << 24  # bytes that may be unpacked whatever the archive's size


def is_archive(path: Path) -> bool:
    """Whether it has the members of a `.keras` file."""
    names = members(path) or []
    return CONFIG in names and not {METADATA, WEIGHTS, _SHARDS}.isdisjoint(names)


@dataclass(frozen=True)
class Archive:
    """What is in it."""

    architecture: Any  # config.json, parsed
    version: str  # of the Keras that wrote it
    weights: Hdf5


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """The archive, open while its weights are read.

    Raises InputError when it is damaged, lacks a part or would unpack to absurd sizes.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_names(path, archive)
            architecture = parse_json(_read(path, archive, CONFIG, _LARGEST_JSON), f"{path}: {CONFIG}")
            metadata = {}
            if METADATA in archive.namelist():
                metadata = parse_json(_read(path, archive, METADATA, _LARGEST_JSON), f"{path}: {METADATA}")
            stored = _read(path, archive, WEIGHTS, _RATIO * path.stat().st_size + _SPARE)
    except DAMAGE as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: expected a .keras archive, but it is truncated or damaged ({error})") from None
    version = metadata.get("keras_version") if isinstance(metadata, dict) else None
    with open_hdf5(stored, f"{path}: {WEIGHTS}") as weights:
        yield Archive(architecture, str(version or "3"), weights)


def _check_names(path: Path, archive: zipfile.ZipFile) -> None:
    """Nothing is unpacked, so such names could do no harm here; an archive that has them is not what it seems."""
    for name in archive.namelist():
        if leads_outside(name):
            raise InputError(f"{path}: expected a .keras archive, found a member that leads outside of it: {name}")
    missing = [name for name in (CONFIG, WEIGHTS) if name not in archive.namelist()]
    if missing:
        shards = any(name.endswith(".weights.json") for name in archive.namelist())
        advice = "; weights in several shards cannot be read: save the model again without max_shard_size" * shards
        raise InputError(f"{path}: expected a .keras archive, found none of: {', '.join(missing)}{advice}")


def _read(path: Path, archive: zipfile.ZipFile, name: str, largest: int) -> bytes:
    with archive.open(name) as member:
        content = member.read(largest + 1) if archive.getinfo(name).file_size <= largest else None
    if content is None or len(content) > largest:
        raise InputError(f"{path}: {name} would unpack to more than {largest} bytes; no model is packed that tightly")
    return content


def parse_json(text: bytes | str, where: str) -> Any:
    """JSON as plain data. Raises InputError when it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: expected JSON, which this is not ({error})") from None
