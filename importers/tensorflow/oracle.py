"""Who is the witness of the parity certificate: TensorFlow itself where the user has it, else OpenCV's reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx

from ..certificate import Reference
from . import opencv_oracle, tensorflow_oracle
from .source import open_network
from .translate import translate


def reference(
    path: Path,
    proto: onnx.ModelProto,
    names: Sequence[str],
    output_names: str | None,
    signature: str | None,
    shapes: Mapping[str, Sequence[int]],
    size: tuple[int, int] | None,
) -> Reference:
    """Tensors of the same network, by name, as the witness computes them: images channels first, as in the graph.

    Raises MissingExtra without either, and InputError when it can read neither the file nor our version of it.
    """
    network = open_network(path, output_names, signature)
    _, first = translate(network, shapes, size)
    python = tensorflow_oracle.find_python()
    if python is not None:
        return tensorflow_oracle.reference(path, network, proto, names, first, python)
    return opencv_oracle.reference(path, network, proto, names, first)
