"""InputSpec from an NCNN model: the size. Its files do not say how an image becomes numbers; the program does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx

from ..heads import Head
from ..input_spec import InputSpec


def input_spec(proto: onnx.ModelProto, param: Path, heads: Sequence[Head]) -> InputSpec:
    """Of the first input that is an image; detectors see the whole of it."""
    shapes = {value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in proto.graph.input}
    name = next((name for name, shape in shapes.items() if len(shape) == 4), next(iter(shapes)))
    spec = InputSpec(input=name)
    shape = shapes[name]
    if len(shape) != 4:
        return spec
    spec = spec.override("NCNN's layout", layout="NCHW")
    spec = spec.override("a detector", resize="stretch" if heads else None)
    if shape[2] and shape[3]:
        spec = spec.override(param.name, size=(shape[2], shape[3]))
    return spec.override("one channel", channel_order="GREY") if shape[1] == 1 else spec
