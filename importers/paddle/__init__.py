"""PaddlePaddle: programs for inference (.pdmodel, __model__) and their weights to ONNX, nothing of it installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx

if TYPE_CHECKING:
    from ..certificate import Reference


def read(
    path: Path,
    companion: Path | None,
    *,
    shapes: Mapping[str, Sequence[int]] | None = None,  # graph input -> shape, where the file leaves it open
    size: Any = None,  # of images whose sides the file leaves open
) -> onnx.ModelProto:
    """Read a PaddlePaddle model; `path` is its program, its weights or their folder; `companion` is the other file.

    The result's tensors and nodes carry the names of the program's variables (one written twice: its last value).

    Raises InputError when a file is damaged, the two do not belong together or operators are not known.
    """
    from ..errors import InputError
    from ..input_spec import checked
    from ..provenance import write_source
    from .source import open_source
    from .translate import translate

    source = open_source(path, companion)
    try:
        pixels = checked({"size": size}).get("size")
        proto = translate(source.program, source.weights, shapes, pixels)
    except InputError as error:
        raise InputError(f"{source.file}: {error}") from error
    weights = source.weights_file
    write_source(proto, [source.file, *([weights] if weights is not None and weights.is_file() else [])], "paddle")
    return proto


def reference(
    path: Path,
    companion: Path | None,
    proto: onnx.ModelProto,
    names: Sequence[str],
    *,
    shapes: Mapping[str, Sequence[int]] | None = None,
    size: Any = None,
) -> Reference:
    """Tensors of the same network as PaddlePaddle computes them, for the parity certificate."""
    from ..input_spec import checked
    from .oracle import reference

    return reference(path, companion, proto, names, shapes or {}, checked({"size": size}).get("size"))
