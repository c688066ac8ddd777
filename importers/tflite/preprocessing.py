"""InputSpec from a TensorFlow Lite model: its metadata, else what the quantisation of its input says of pixels."""

from __future__ import annotations

from pathlib import Path

from ..input_spec import ChannelOrder, InputSpec
from .metadata import image_metadata
from .reader import Network, Tensor

_SIGNED_PIXEL = 128  # a signed byte holds a pixel less this


def input_spec(path: Path, network: Network) -> InputSpec:
    """Size and channels from the input's shape; mean and scale from metadata or quantisation, where either says them.

    Raises InputError when the metadata is damaged.
    """
    images = [name for name in network.inputs if len(network.tensors[name].shape) == 4]
    if not images:
        return InputSpec()
    tensor = network.tensors[images[0]]
    stated = image_metadata(path, network.metadata, network.inputs.index(tensor.name))
    spec = InputSpec(input=tensor.name).override("TensorFlow Lite's layout, turned", layout="NCHW")
    channels = 1 if stated.is_grey or 1 in (tensor.shape[3], tensor.shape[1]) else 3
    order: ChannelOrder = "GREY" if channels == 1 else "RGB"
    spec = spec.override("one channel" if channels == 1 else "TensorFlow's convention", channel_order=order)
    if stated.labels:
        spec = spec.override("metadata of the file", labels=stated.labels)
    if stated.mean and stated.std:
        scale = tuple(1 / value for value in stated.std)
        return spec.override("metadata of the file", mean=stated.mean, scale=scale)
    return _from_quantisation(spec, tensor)


def _from_quantisation(spec: InputSpec, tensor: Tensor) -> InputSpec:
    """A byte is a pixel: what it stands for is what the network is given for that pixel."""
    steps = tensor.quantisation
    if steps is None or tensor.type not in ("UINT8", "INT8"):
        return spec
    zero = int(steps.zero_point[0]) + (_SIGNED_PIXEL if tensor.type == "INT8" else 0)
    origin = f"quantisation of {tensor.name}: its bytes are pixels"
    return spec.override(origin, mean=(float(zero),), scale=(float(steps.scale[0]),))
