"""Source: a Keras model opened: its architecture with the places of its weights, whichever form the file has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from .archive import open_archive, parse_json
from .custom import Custom, LayerFunction, custom_functions
from .hdf5 import Hdf5, open_hdf5
from .hdf5_objects import MAGIC
from .layer_writer import Arrays
from .network import Network, parse_network
from .supported import check_types
from .upgrade import major_version
from .weights import attach_weights

_LARGEST_JSON = 1 << 26  # bytes


@dataclass(frozen=True)
class Source:
    """What an import starts from."""

    network: Network
    weights: Arrays
    version: int  # major version of the Keras that wrote it
    flipped: bool  # whether Theano's kernels are in it
    files: tuple[Path, ...]
    custom: Mapping[str, LayerFunction]  # path of a layer -> what the user named to write it


@contextmanager
def open_source(path: Path, companion: Path | None, custom: Custom | None = None) -> Iterator[Source]:
    """Open a model; `companion` is the architecture (JSON) of a file that holds only weights.

    `custom`: name of a layer or class -> the user's own function that writes such layers.

    Raises InputError when that is not possible.
    """
    architecture = None if companion is None else _architecture(companion)
    files = (path,) if companion is None else (path, companion)
    with path.open("rb") as file:
        is_hdf5 = file.read(len(MAGIC)) == MAGIC
    if is_hdf5:
        with open_hdf5(path, str(path)) as weights:
            yield _from_hdf5(path, weights, architecture, files, custom or {})
    else:
        with open_archive(path) as archive:
            given = archive.architecture if architecture is None else architecture
            yield _source(given, str(companion or path), archive.weights, archive.version, "", files, custom or {})


def _from_hdf5(path: Path, weights: Hdf5, architecture: Any, files: tuple[Path, ...], custom: Custom) -> Source:
    stored = weights.text("model_config")
    if architecture is None and stored is None:
        raise InputError(_without_architecture(path, weights))
    where = str(path if architecture is None else files[-1])
    if architecture is None:
        architecture = parse_json(stored or "", str(path))
    numbered = weights.names("model_weights" if weights.has_group("model_weights") else "", "layer_names") is None
    version = weights.text("keras_version") or weights.text("keras_version", "model_weights")
    backend = weights.text("backend") or weights.text("backend", "model_weights")
    version = version or ("3" if numbered else "1")
    return _source(architecture, where, weights, version, backend or "", files, custom)


def _source(
    architecture: Any,
    where: str,
    weights: Hdf5,
    version: str,
    backend: str,
    files: tuple[Path, ...],
    custom: Custom,
) -> Source:
    network, functions = parsed(architecture, where, custom)
    attach_weights(network, weights)
    return Source(network, weights, major_version(version), backend == "theano", files, functions)


def parsed(architecture: Any, where: str, custom: Custom) -> tuple[Network, dict[str, LayerFunction]]:
    """The network, and the functions of the user's for layers of it, by their path.

    Raises InputError when it is damaged, or has layers that nothing here can write.
    """
    network = parse_network(architecture, where)
    functions = custom_functions(network, custom)
    check_types(network, functions)
    return network, functions


def _without_architecture(path: Path, weights: Hdf5) -> str:
    of_keras = weights.names("", "layer_names") is not None or weights.has_group("layers")
    if of_keras:
        return f"{path}: holds only weights; name the architecture (JSON of model.to_json()) with --companion"
    return f"{path}: expected a Keras model, found an HDF5 file of something else (no model_config, no layer_names)"


def _architecture(path: Path) -> Any:
    try:
        if path.stat().st_size > _LARGEST_JSON:
            raise InputError(f"{path}: expected a Keras architecture (JSON), found {path.stat().st_size} bytes")
        return parse_json(path.read_bytes(), str(path))
    except OSError as error:
        raise InputError(f"cannot read the architecture {path}: {error.strerror}") from None
