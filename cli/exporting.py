"""Explanations written as ONNX models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..engine import quantities
from ..engine.model import Model
from ..engine.targets import ClassScore, as_target
from ..importers.errors import InputError
from .console import table_console


def export_heat_map(model: Model, method: str, targets: Sequence[str], options: Mapping[str, Any], path: Path) -> None:
    """Write the model of that method and say what goes in and out.

    Raises InputError when the method cannot be exported, an option has no place in the model, or the file has none.
    """
    from ..engine.backward.heat_map import heat_map_model
    from ..importers.onnx_file import write

    _check(model, options, path)
    proto = heat_map_model(model, method, target=_class(model, targets), layer=options["layer"])
    write(proto, path, model.folder)
    console = table_console()
    size = quantities.size(path.stat().st_size)
    console.print(f"{path}: {len(proto.graph.node)} nodes, {size}", soft_wrap=True)
    for way, values in (("in", proto.graph.input), ("out", proto.graph.output)):
        for value in values:
            dims = value.type.tensor_type.shape.dim
            shape = ", ".join(dim.dim_param or str(dim.dim_value) for dim in dims)
            console.print(f"{way:>5}  {value.name} [{shape}]", soft_wrap=True, markup=False)


def _check(model: Model, options: Mapping[str, Any], path: Path) -> None:
    foreign = [name for name, value in options.items() if value is not None and name != "layer"]
    if foreign:
        raise InputError(f"--export has no place for --{foreign[0]}")
    if path.suffix != ".onnx":
        raise InputError(f"--export expects a file name that ends in .onnx, found {path}")
    if path.exists() and path.samefile(model.path):
        raise InputError(f"the result would replace the input {model.path}; name another file")
    if not path.parent.is_dir():
        raise InputError(f"the folder of --export {path} does not exist")


def _class(model: Model, targets: Sequence[str]) -> int | None:
    """The class that is explained where `target` is not given; None: the first."""
    if not targets:
        return None
    wanted = as_target(targets[0], model)
    if len(targets) > 1 or not isinstance(wanted, ClassScore) or not isinstance(wanted.index, int):
        raise InputError(f"--export expects one class as --target, found {', '.join(targets)}")
    return wanted.index
