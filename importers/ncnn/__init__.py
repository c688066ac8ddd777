"""NCNN: .param (text or binary) and .bin to ONNX, no NCNN installed."""

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
    """Read an NCNN model; `path` is its .param or its .bin, the other one is `companion` or lies beside it.

    NCNN's blobs keep their names; they get a first axis in front, that of the batch, which NCNN does not have. A
    detector ends in what its boxes are decoded from; the metadata say how.

    Raises InputError when a file is damaged, the two do not belong together or layers are not known.
    """
    from ..heads import write_heads
    from ..input_spec import checked, write_input_spec
    from ..provenance import write_source
    from .companion import find_pair
    from .preprocessing import input_spec
    from .translate import read_model

    param, weights = find_pair(path, companion)
    proto, heads = read_model(param, weights, shapes or {}, checked({"size": size}).get("size"))
    write_input_spec(proto, input_spec(proto, param, heads))
    write_heads(proto, heads)
    write_source(proto, [param, weights], "ncnn")
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
    """Tensors of the same network as NCNN itself computes them, for the parity certificate."""
    from .oracle import reference

    return reference(path, companion, proto, names)
