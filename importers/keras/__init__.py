"""Keras: `.h5` / `.hdf5` of Keras 1, 2 and 3 and `.keras` archives to ONNX, no Keras installed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

if TYPE_CHECKING:
    from ..certificate import Reference
    from ..input_spec import InputSpec
    from .custom import Custom
    from .source import Source


def read(path: Path, companion: Path | None, custom: Custom | None = None) -> onnx.ModelProto:
    """Read a Keras model; `companion` is the architecture as JSON, for files that hold only weights.

    `custom`: name of a layer or class -> a function (LayerWriter) -> None that writes it, or module:function.

    Nodes and tensors carry the names of Keras' layers. Inputs and outputs of four axes are [N, C, H, W].

    Raises InputError when the file is damaged, holds no architecture, or layers that cannot be translated (all named).
    """
    from ..provenance import write_source
    from .source import open_source

    with open_source(path, companion, custom) as source:
        proto = converted(source)
    write_source(proto, source.files, "keras")
    return proto


def converted(source: Source) -> onnx.ModelProto:
    """An opened model as ONNX, with what is known of its images. Raises InputError as `read` does."""
    from ..errors import InputError
    from ..input_spec import write_input_spec
    from .translate import translate

    try:
        proto = translate(source).proto
    except InputError as error:
        raise InputError(f"{source.files[0]}: {error}") from None
    write_input_spec(proto, _input_spec(proto))
    return proto


def reference(
    path: Path, companion: Path | None, proto: onnx.ModelProto, names: Sequence[str], custom: Custom | None = None
) -> Reference:
    """Tensors of the same network as Keras itself computes them, for the parity certificate."""
    from .oracle import reference

    return reference(path, companion, proto, names, custom)


def _input_spec(proto: onnx.ModelProto) -> InputSpec:
    """Nothing in a Keras file says how an image is prepared; only where its axes went is known."""
    from ..input_spec import InputSpec

    images = [value for value in proto.graph.input if len(value.type.tensor_type.shape.dim) == 4]
    spec = InputSpec(input=(images or list(proto.graph.input))[0].name)
    return spec.override("the importer puts channels first", layout="NCHW") if images else spec
