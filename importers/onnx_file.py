"""ONNX files: read, checked, inlined, given fixed input shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx

from .errors import InputError, nearest_names
from .input_spec import InputSpec, read_input_spec


def read(path: Path, companion: Path | None) -> onnx.ModelProto:
    """Read an ONNX file.

    Raises InputError when it is truncated or no valid model.
    """
    try:
        proto = onnx.load_model(path)
    except Exception as error:  # protobuf raises its own DecodeError, onnx its own for external data
        raise InputError(f"{path}: expected an ONNX model, but it cannot be parsed ({error})") from error
    return proto


def apply_options(proto: onnx.ModelProto, shapes: Mapping[str, Sequence[int]], options: Mapping[str, Any]) -> InputSpec:
    """Fix the input shapes in `proto` and return its InputSpec with the user's options on top."""
    inputs = graph_inputs(proto)
    for name in shapes:
        if name not in inputs:
            raise InputError(f"--shape names no input of the model: {name}; {nearest_names(name, inputs)}")
    spec = read_input_spec(proto) or InputSpec(input=next(iter(inputs), ""))
    return spec.override("option", **options)


def graph_inputs(proto: onnx.ModelProto) -> dict[str, onnx.ValueInfoProto]:
    """The inputs a caller must feed: old files also list their initializers as inputs."""
    stored = {tensor.name for tensor in proto.graph.initializer}
    return {value.name: value for value in proto.graph.input if value.name not in stored}
