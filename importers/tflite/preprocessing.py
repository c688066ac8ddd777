"""InputSpec from a TensorFlow Lite model: its metadata, else what the quantisation of its input says of pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from ..input_spec import ChannelOrder, InputSpec
from .metadata import ImageMetadata, image_metadata
from .reader import Network, Tensor

_SIGNED_PIXEL = 128  # a signed byte holds a pixel less this
_ROUNDING = 1e-3  # scales are 32-bit floats


def input_spec(path: Path, network: Network, proto: onnx.ModelProto) -> InputSpec:
    """Size and channels from the input's shape; mean and scale from metadata or quantisation, where either says them.

    Raises InputError when the metadata is damaged.
    """
    images = [name for name in network.inputs if len(network.tensors[name].shape) == 4]
    if not images:
        return InputSpec()
    tensor = network.tensors[images[0]]
    stated = image_metadata(path, network.metadata, network.inputs.index(tensor.name))
    spec = InputSpec(input=tensor.name).override("TensorFlow Lite's layout, turned", layout="NCHW")
    shape = next(value for value in proto.graph.input if value.name == tensor.name).type.tensor_type.shape
    is_grey = shape.dim[1].dim_value == 1
    order: ChannelOrder = "GREY" if is_grey else "RGB"
    spec = spec.override("one channel" if is_grey else "TensorFlow's convention", channel_order=order)
    if stated.labels:
        spec = spec.override("metadata of the file", labels=stated.labels)
    bytes_are = _pixels_as_bytes(tensor)
    if bytes_are is not None and _is_within_a_step(stated, *bytes_are):
        origin = f"quantisation of {tensor.name}: its bytes are pixels"
        return spec.override(origin, mean=(bytes_are[0],), scale=(bytes_are[1],))
    if stated.mean:
        scale = tuple(1 / value for value in stated.std)
        return spec.override("metadata of the file", mean=stated.mean, scale=scale)
    return spec


def _pixels_as_bytes(tensor: Tensor) -> tuple[float, float] | None:
    """Mean and scale that give a pixel what a byte of its size stands for; None where the input is no byte."""
    steps = tensor.quantisation
    if steps is None or tensor.type not in ("UINT8", "INT8"):
        return None
    zero = int(steps.zero_point[0]) + (_SIGNED_PIXEL if tensor.type == "INT8" else 0)
    return float(zero), float(steps.scale[0])


def _is_within_a_step(stated: ImageMetadata, mean: float, scale: float) -> bool:
    """Whether metadata, where there is any, gives black and white the same bytes but for one step."""
    if not stated.mean:
        return True
    pixels = np.array([[0.0], [255.0]])
    numbers = (pixels - stated.mean) / stated.std / scale + mean
    return bool(np.all(np.abs(numbers - pixels) <= 1 + _ROUNDING))
