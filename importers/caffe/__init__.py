"""Caffe: prototxt (text) and caffemodel (binary) to ONNX, no Caffe installed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

if TYPE_CHECKING:
    from ..certificate import Reference


def read(path: Path, companion: Path | None) -> onnx.ModelProto:
    """Read a Caffe model; `path` is its prototxt or its caffemodel, the other one is `companion` or lies beside it.

    Without any prototxt the network is rebuilt from the caffemodel. The result's tensors carry the names of Caffe's
    blobs (a blob changed in place: its last value), its nodes those of the layers.

    Raises InputError when a file is damaged, the two do not belong together or a layer type is not known.
    """
    from ..input_spec import write_input_spec
    from ..provenance import write_source
    from .preprocessing import input_spec
    from .source import open_source
    from .translate import translate

    source = open_source(path, companion)
    proto = translate(source.net)
    write_input_spec(proto, input_spec(source, proto))
    write_source(proto, [file for file in (source.prototxt, source.caffemodel) if file is not None], "caffe")
    return proto


def reference(path: Path, companion: Path | None, proto: onnx.ModelProto, names: Sequence[str]) -> Reference:
    """Tensors of the same network as OpenCV's own reader computes them, for the parity certificate."""
    from .oracle import reference

    return reference(path, companion, proto, names)
