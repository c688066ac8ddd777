"""The metadata of TensorFlow Lite Support: how images enter a network, and the labels packed behind it.

It is a FlatBuffer in one of the model's buffers; the files it names are a zip archive appended to the model.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..names import printable
from ..zip_members import DAMAGE
from .flatbuffer import FlatBuffer
from .schema import SCHEMA, UNIONS

_IDENTIFIER = b"M001"  # at byte 4
_LARGEST = 1 << 24  # bytes of a list of labels
_MOST_FILES = 1000
_AXIS_LABELS = 2  # AssociatedFileType: a label for each place of the output


@dataclass(frozen=True)
class ImageMetadata:
    """What it says of one network; empty where it says nothing."""

    mean: tuple[float, ...] = ()  # of pixels 0..255, one or one a channel
    std: tuple[float, ...] = ()  # as many
    labels: tuple[str, ...] = ()


def image_metadata(path: Path, stored: memoryview | None, image: int) -> ImageMetadata:
    """Of the input number `image`, and the labels of the first output that has any.

    Raises InputError when the metadata is damaged.
    """
    if stored is None or bytes(stored[4:8]) != _IDENTIFIER:
        return ImageMetadata()
    graphs = FlatBuffer(stored, SCHEMA, UNIONS).root("ModelMetadata")["subgraph_metadata"]
    if not graphs:
        return ImageMetadata()
    inputs: Sequence[Mapping[str, Any]] = graphs[0]["inputs"]
    fields: Mapping[str, Any] = inputs[image] if image < len(inputs) else {}
    mean, std = _normalisation(fields)
    return ImageMetadata(mean, std, _labels(path, graphs[0]["outputs"]))


def _normalisation(tensor: Mapping[str, Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    for unit in tensor.get("process_units", ()):
        mean, std = (tuple(map(float, unit["options"].get(name, ()))) for name in ("mean", "std"))
        if mean and std and 0.0 not in std and {len(mean), len(std)} <= {1, max(len(mean), len(std))}:
            count = max(len(mean), len(std))
            return mean * (count // len(mean)), std * (count // len(std))
    return (), ()


def _labels(path: Path, outputs: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    named = [file for output in outputs for file in output["associated_files"] if file["type"] == _AXIS_LABELS]
    if not named:
        return ()
    # A file in another language comes after the one in none.
    chosen = sorted(named, key=lambda file: file["locale"])[0]["name"]
    text = packed_file(path, chosen)
    return tuple(printable(line.strip()) for line in text.splitlines() if line.strip())


def packed_file(path: Path, name: str) -> str:
    """One text file of the archive behind the model, or "" where there is none of that name; nothing goes to disk.

    Raises InputError when it is damaged or too large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if len(archive.namelist()) > _MOST_FILES:
                raise InputError(f"{path}: {len(archive.namelist())} files are packed behind the model; damaged")
            if name not in archive.namelist():
                return ""
            with archive.open(name) as file:
                content = file.read(_LARGEST + 1)
    except DAMAGE as error:
        if isinstance(error, InputError):
            raise
        return ""  # no archive, though the metadata names a file of it
    if len(content) > _LARGEST:
        raise InputError(f"{path}: the labels {name} packed behind the model are larger than {_LARGEST} bytes")
    return content.decode("utf-8-sig", "replace")
