"""Darknet: cfg (text) and weights (binary) to ONNX, no Darknet installed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

if TYPE_CHECKING:
    from ..certificate import Reference


def read(
    path: Path, companion: Path | None, *, size: int | Sequence[int] | None = None, first_layers: str | None = None
) -> onnx.ModelProto:
    """Read a Darknet network; `path` is its cfg or its weights, the other one is `companion` or lies beside it.

    `size`: of the image, in place of the cfg's; `first_layers`: so many layers only, for weights of a backbone.
    The result's nodes and tensors are called after the layers' types and numbers. A detector ends in what its heads
    read, and its metadata says how boxes are made of that.

    Raises InputError when a file is damaged, the two do not belong together or a layer cannot be translated.
    """
    from ..heads import write_heads
    from ..input_spec import write_input_spec
    from ..provenance import write_source
    from .preprocessing import input_spec
    from .source import open_source
    from .translate import translate

    source = open_source(path, companion, size, first_layers)
    proto, heads = translate(source)
    write_input_spec(proto, input_spec(source, heads))
    write_heads(proto, heads)
    write_source(proto, [source.cfg, source.weights.path], "darknet")
    return proto


def reference(
    path: Path,
    companion: Path | None,
    proto: onnx.ModelProto,
    names: Sequence[str],
    *,
    size: int | Sequence[int] | None = None,
    first_layers: str | None = None,
) -> Reference:
    """Tensors of the same network as OpenCV's own reader computes them, for the parity certificate."""
    from .oracle import reference
    from .source import open_source

    return reference(open_source(path, companion, size, first_layers), proto, names)
