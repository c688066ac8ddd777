"""TensorFlow: frozen graphs (.pb, .pbtxt), SavedModels and checkpoints to ONNX, nothing of TensorFlow installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx

if TYPE_CHECKING:
    from ..certificate import Reference
    from .network import Network


def read(
    path: Path,
    companion: Path | None,
    *,
    output_names: str | None = None,  # nodes of a graph file, with commas
    signature: str | None = None,  # of a SavedModel
    shapes: Mapping[str, Sequence[int]] | None = None,  # graph input -> shape, where the file leaves it open
    size: Any = None,  # of images whose sides the file leaves open
) -> onnx.ModelProto:
    """Read a TensorFlow network: images channels first, tensors under the names of their nodes.

    Raises InputError when the file is damaged or uses operators that are not known, all of which are named.
    """
    from ..provenance import write_source
    from .kinds import graph_file
    from .source import open_network

    proto = converted(open_network(path, output_names, signature), path, shapes, size)
    write_source(proto, [graph_file(path)], "tensorflow")
    return proto


def converted(
    network: Network,
    path: Path,  # for messages
    shapes: Mapping[str, Sequence[int]] | None = None,
    size: Any = None,
) -> onnx.ModelProto:
    """An opened network as ONNX, with what is known of its images. Raises InputError as `read` does."""
    from ..errors import InputError
    from ..input_spec import checked, write_input_spec
    from .open_batch import open_inputs, with_open_batch
    from .preprocessing import input_spec
    from .translate import translate

    try:
        pixels = checked({"size": size}).get("size")
        proto, first = with_open_batch(
            lambda images: translate(network, shapes or {}, pixels, images), open_inputs(network, shapes or {})
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    write_input_spec(proto, input_spec(proto, first))
    return proto


def reference(
    path: Path,
    companion: Path | None,
    proto: onnx.ModelProto,
    names: Sequence[str],
    *,
    output_names: str | None = None,
    signature: str | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    size: Any = None,
) -> Reference:
    """Tensors of the same network as OpenCV's own reader computes them, for the parity certificate."""
    from ..input_spec import checked
    from .oracle import reference

    return reference(path, proto, names, output_names, signature, shapes or {}, checked({"size": size}).get("size"))
