"""MXNet: PREFIX-symbol.json (text) and PREFIX-0000.params (binary) to ONNX, no MXNet installed."""

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
    shapes: Mapping[str, Sequence[int]] | None = None,  # graph input -> shape; "": the only input
    size: Any = None,  # of images: (height, width)
) -> onnx.ModelProto:
    """Read an MXNet network; `path` is its symbol or its parameters, the other is `companion` or lies beside it.

    Neither file says the shapes of inputs. Channels follow from the weights; sides that nobody gives are left open, or
    are the most usual ones that fit the weights. Tensors and nodes carry the names of the symbol's nodes.

    Raises InputError when a file is damaged, the two do not belong together or operators are not known, all of which
    are named.
    """
    from ..errors import InputError
    from ..input_spec import checked, write_input_spec
    from ..provenance import write_source
    from .source import open_source
    from .translate import input_spec, translate

    source = open_source(path, companion)
    try:
        proto, tried = translate(source.symbol, shapes or {}, checked({"size": size}).get("size"))
    except InputError as error:
        raise InputError(f"{source.symbol_file}: {error}") from error
    write_input_spec(proto, input_spec(proto, tried))
    write_source(proto, [source.symbol_file, source.params_file], "mxnet")
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
    """Tensors of the same network as MXNet itself computes them, for the parity certificate."""
    from .oracle import reference

    return reference(path, companion, proto, names, shapes or {})
