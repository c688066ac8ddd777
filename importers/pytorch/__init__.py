"""PyTorch: TorchScript, exported programs, pickled modules, and weights with the network they are named to belong to.

torch reads the files, in a sandbox (`importers.sandbox`); what they would run is looked up in them before.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError

from ..errors import InputError
from .families import guess_family

if TYPE_CHECKING:
    from ..certificate import Reference

MODEL, VALUES = "model.onnx", "values.pb"  # what the functions of `exporting` write
_FLOATS = {number for name, number in onnx.TensorProto.DataType.items() if name == "DOUBLE" or "FLOAT" in name}
_SHOWN = 5  # names in a message


def read(path: Path, companion: Path | None, **options: Any) -> onnx.ModelProto:
    """Read a PyTorch file through torch's own ONNX exporters.

    `shapes`, `size`: of the input; only exported programs say it themselves. `arch`, `key`, `strip`: the network of a
    state dict, where that lies in the file and a prefix of its names. `allow_code`: run what the file brings along.
    `weights_alone`: a state dict without `arch` becomes a graph of initializers without nodes; its metadata say which
    family it looks like.

    Raises InputError when it is damaged, would run code that was not allowed, or torch cannot write it as ONNX.
    """
    from .. import onnx_file
    from ..sandbox import result_file
    from ..tensors import is_external
    from ..walk import all_tensors
    from ..weights_alone import write_family

    shapes = {name: list(shape) for name, shape in (options.get("shapes") or {}).items()}
    size = options.get("size")
    sides = None if size is None else [size, size] if isinstance(size, int) else list(size)
    weights_alone = bool(options.get("weights_alone"))
    arguments = {"shapes": shapes, "size": sides, "weights_alone": weights_alone}
    with _in_sandbox(path, "export", options, arguments) as folder:
        proto = onnx_file.read(result_file(folder, MODEL), None)
    if any(is_external(tensor) for tensor in all_tensors(proto.graph)):
        raise InputError(f"{path}: the sandbox returned a graph without its weights")
    del proto.metadata_props[:]  # what it says about itself is the child's word
    if weights_alone and not proto.graph.node:
        floats = (tensor for tensor in proto.graph.initializer if tensor.data_type in _FLOATS)
        write_family(proto, guess_family({tensor.name: tuple(tensor.dims) for tensor in floats}))
    return proto


def reference(
    path: Path, companion: Path | None, proto: onnx.ModelProto, names: Sequence[str], **options: Any
) -> Reference:
    """The network's outputs as torch itself computes them, for the parity certificate."""
    from ..certificate import Reference
    from ..input_spec import InputSpec
    from ..sample_inputs import sample_inputs
    from ..sandbox import result_file

    feeds = sample_inputs(proto, options.get("shapes") or {}, InputSpec(scale=(1 / 255,)))
    with tempfile.TemporaryDirectory() as place:
        stored = Path(place) / "feeds.npz"
        np.savez(stored, **feeds)  # type: ignore[arg-type]
        arguments = {"feeds": str(stored)}
        with _in_sandbox(path, "compute", options, arguments, stored) as folder:
            values = _values(result_file(folder, VALUES).read_bytes())
    return Reference(
        f"torch {version('torch')}",
        "the file itself",
        feeds,
        {name: value for name, value in values.items() if name in names},
    )


def _values(written: bytes) -> dict[str, np.ndarray]:
    """Tensors that the child wrote as those of a graph, checked as a file's are."""
    from ..tensors import check_tensor, is_external

    graph = onnx.GraphProto()
    try:
        graph.ParseFromString(written)
    except (DecodeError, UnicodeDecodeError):
        raise InputError("the sandbox returned something else than tensors") from None
    for tensor in graph.initializer:
        check_tensor(tensor)
        if is_external(tensor):
            raise InputError("the sandbox returned tensors without their numbers")
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}


@contextmanager
def _in_sandbox(
    path: Path, function: str, options: Mapping[str, Any], arguments: Mapping[str, Any], *readable: Path
) -> Iterator[Path]:
    """The folder with what a function of `exporting` wrote for this file."""
    from ..sandbox import run

    try:
        source, runs = _source(path, options)
        places = [path, *readable, *_places_of(source["arch"])]
        confined = runs and not source["allow_code"]
        with run(
            f"{__name__}.exporting:{function}", {"source": source, **arguments}, readable=places, confined=confined
        ) as folder:
            yield folder
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _places_of(arch: str | None) -> list[Path]:
    """Folders where the code that --arch names may lie."""
    if arch is None:
        return []
    file, is_file, _ = arch.partition(".py:")
    return [Path.cwd(), *([Path(file).resolve().parent] if is_file else [])]


def _source(path: Path, options: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """What the child is told, and whether it will run a program out of the file. Raises InputError for code in it."""
    from .archive import inspect, kind_of

    kind = kind_of(path)
    assert kind is not None  # recognised before
    idle = [name for name in ("arch", "key", "strip") if options.get(name) is not None]
    if idle and kind in ("torchscript", "program"):
        raise InputError(f"{' and '.join(idle)} say what weights belong to; this file holds its network itself")
    contents = inspect(path, kind)
    allow_code = bool(options.get("allow_code"))
    if contents.code and not allow_code:
        names = ", ".join(contents.code[:_SHOWN]) + (", …" if len(contents.code) > _SHOWN else "")
        what = "a network that calls" if contents.runs else "a pickle that brings along"
        raise InputError(
            f"expected weights or a network, found {what} {names}; reading it would run that: "
            "pass --allow-code if you trust where the file comes from"
        )
    return {
        "path": str(path.resolve()),
        "kind": kind,
        "arch": options.get("arch"),
        "key": options.get("key"),
        "strip": options.get("strip"),
        "allow_code": allow_code,
        "folder": str(Path.cwd()),
    }, contents.runs
