"""InputSpec from a TensorFlow graph: what the shape of its first image says."""

from __future__ import annotations

from collections.abc import Collection

import onnx

from ..input_spec import ChannelOrder, InputSpec


def input_spec(proto: onnx.ModelProto, first: Collection[str]) -> InputSpec:
    """Layout and channel order; how pixels are scaled no graph says."""
    images = [value for value in proto.graph.input if len(value.type.tensor_type.shape.dim) == 4]
    if not images:
        return InputSpec()
    image = images[0]
    layout = "TensorFlow's layout, turned" if image.name in first else "the graph's own layout"
    spec = InputSpec(input=image.name).override(layout, layout="NCHW")
    channels = image.type.tensor_type.shape.dim[1].dim_value
    order: ChannelOrder = "GREY" if channels == 1 else "RGB"
    return spec.override("one channel" if channels == 1 else "TensorFlow's convention", channel_order=order)
