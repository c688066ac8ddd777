"""Keras itself, on the torch backend, as the independent witness of the parity certificate."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from ..certificate import Reference
from ..channels_last import to_first, to_last
from ..errors import InputError
from ..oracle_process import run_oracle
from ..provenance import SEED
from .custom import Custom
from .hdf5_objects import MAGIC
from .network import Network
from .source import Source, open_source
from .translate import Place, translate

_PROCESS = Path(__file__).with_name("keras_process.py")
_BATCH = 2
_ASSUMED_SIDE = 64  # of what the file leaves open
_TYPES = {kind: onnx.helper.tensor_dtype_to_np_dtype(kind) for kind in onnx.TensorProto.DataType.values() if kind}


def reference(
    path: Path, companion: Path | None, proto: onnx.ModelProto, names: Sequence[str], custom: Custom | None = None
) -> Reference:
    """Tensors of the same network, by name, as Keras computes them.

    Raises InputError where Keras is not installed or cannot read the files (those of Keras 1, and others).
    """
    if find_spec("keras") is None:
        raise InputError("comparing with Keras itself needs it; install it with: pip install keras")
    with open_source(path, companion, custom) as source:
        places = dict(translate(source).places)
        feeds = sample_feeds(proto, source.network)
    given = list(in_keras(feeds, places).values())
    wanted = {name: places[name] for name in names if name in places}
    values = _run(path, companion, given, wanted)
    return Reference(f"Keras {version('keras')} on torch", "the original file", feeds, values)


def run_from_parts(
    architecture: Mapping[str, Any], source: Source, given: Sequence[np.ndarray], wanted: Mapping[str, Place]
) -> tuple[str, dict[str, np.ndarray]]:
    """What is computing, and what it makes of a model that no file of Keras' holds, as `reference` has it.

    Raises InputError where Keras is not installed, or cannot run it.
    """
    if find_spec("keras") is None:
        raise InputError("comparing with Keras itself needs it; install it with: pip install keras")
    with tempfile.TemporaryDirectory() as folder:
        model, companion = Path(folder) / "weights.npz", Path(folder) / "architecture.json"
        companion.write_text(json.dumps(architecture))
        arrays = {
            f"{layer.path}:{number}": source.weights.read(path)
            for layer in source.network.walk()
            for number, path in enumerate(layer.weights.values())
        }
        np.savez(model, **arrays)  # type: ignore[arg-type]
        return f"Keras {version('keras')} on torch", _run(model, companion, given, wanted)


def sample_feeds(proto: onnx.ModelProto, network: Network) -> dict[str, np.ndarray]:
    """Seeded noise; small whole numbers where rows are looked up."""
    generator = np.random.default_rng(SEED)
    rows = dict(_embedded(network))
    feeds = {}
    for ref, value in zip(network.inputs, proto.graph.input, strict=True):
        dims = value.type.tensor_type.shape.dim
        shape = [dim.dim_value or (_ASSUMED_SIDE if axis else _BATCH) for axis, dim in enumerate(dims)]
        kind = _TYPES[value.type.tensor_type.elem_type]
        whole = kind.kind in "iub" or ref.layer in rows
        drawn = generator.integers(0, rows.get(ref.layer, 2), shape) if whole else generator.uniform(-1, 1, shape)
        feeds[value.name] = drawn.astype(kind)
    return feeds


def _embedded(network: Network) -> Iterator[tuple[str, int]]:
    """(input, rows of the matrix) of inputs that an Embedding reads."""
    for call in network.calls:
        if call.layer.type == "Embedding":
            yield from ((ref.layer, int(call.layer.config["input_dim"])) for ref in call.reads)


def _run(
    path: Path, companion: Path | None, given: Sequence[np.ndarray], wanted: Mapping[str, Place]
) -> dict[str, np.ndarray]:
    """Tensor name -> Keras' value in the graph's order of axes. Raises InputError when Keras refuses or crashes."""
    arrays = {str(index): value for index, value in enumerate(given)}
    places = [[place.layer, place.node, place.index] for place in wanted.values()]
    try:
        with tempfile.TemporaryDirectory() as folder:
            model = _with_suffix(path, companion, Path(folder))
            found = run_oracle(_PROCESS, (model, companion or ""), arrays, places, Path(folder))
    except InputError as error:
        raise InputError(f"Keras cannot run this file ({error})") from None
    return {
        name: in_graph(found[str(number)], place)
        for number, (name, place) in enumerate(wanted.items())
        if str(number) in found
    }


def _with_suffix(path: Path, companion: Path | None, folder: Path) -> Path:
    """The file under a name by which Keras knows what it is."""
    if path.suffix == ".npz":
        return path
    with path.open("rb") as file:
        is_hdf5 = file.read(len(MAGIC)) == MAGIC
    suffix = (".weights.h5" if companion else ".h5") if is_hdf5 else ".keras"
    link = folder / f"model{suffix}"
    link.symlink_to(path.resolve())
    return link


def in_keras(feeds: Mapping[str, np.ndarray], places: Mapping[str, Place]) -> dict[str, np.ndarray]:
    """Values of graph inputs with their axes as the file has them."""
    return {
        name: value.transpose(to_last(4)) if value.ndim == 4 and places[name].channels_first else value
        for name, value in feeds.items()
    }


def in_graph(value: np.ndarray, place: Place) -> np.ndarray:
    """A tensor of Keras with its axes as the graph has them."""
    return value.transpose(to_first(value.ndim)) if place.channels_first and value.ndim > 2 else value
