"""Core ML: neural networks of .mlmodel files to ONNX, nothing of Apple's installed."""

from __future__ import annotations

from pathlib import Path

import onnx


def read(path: Path, companion: Path | None) -> onnx.ModelProto:
    """Read a Core ML neural network, classifier or regressor; tensors and nodes are called as in the file.

    Raises InputError when the file is damaged or uses layers that are not known, all of which are named.
    """
    from ..errors import InputError
    from ..input_spec import write_input_spec
    from .preprocessing import input_spec
    from .reader import read_network
    from .translate import translate

    network = read_network(path)
    try:
        proto = translate(network)
        write_input_spec(proto, input_spec(network))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return proto
