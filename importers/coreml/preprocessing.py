"""InputSpec from a Core ML model: the image it expects, what is done to its pixels, the names of its classes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import InputError
from ..input_spec import ChannelOrder, InputSpec
from .reader import Input, Network

_ORDERS: dict[str, ChannelOrder] = {"GRAYSCALE": "GREY", "GRAYSCALE_FLOAT16": "GREY", "RGB": "RGB", "BGR": "BGR"}
_ORIGIN = "Core ML description"


def input_spec(network: Network) -> InputSpec:
    """Of the first image, else of the first array that could be one.

    Raises InputError when its mean image has another size than the input.
    """
    found = next((entry for entry in network.inputs if entry.colours), None)
    found = found or next((entry for entry in network.inputs if len(entry.shape) in (3, 4)), None)
    spec = InputSpec().override("class labels of the model", labels=network.labels or None)
    if found is None:
        return spec
    spec = spec.override(_ORIGIN, input=found.name, layout="NCHW", size=found.shape[-2:] if found.colours else None)
    if not found.colours:
        return spec
    spec = spec.override(_ORIGIN, channel_order=_ORDERS[found.colours])
    # Absent preprocessing is a statement here: the pixels enter as they are.
    spec = spec.override("Core ML description: no other is stated", mean=(0.0,), scale=(1.0,))
    stated = [entry for entry in network.preprocessing if entry.featureName in ("", found.name)]
    if len(stated) > 1:
        raise InputError(f"input {found.name}: expected one preprocessor, found {len(stated)}")
    return _with_preprocessor(spec, stated[0], found) if stated else spec


def _with_preprocessor(spec: InputSpec, message: Any, entry: Input) -> InputSpec:
    if message.HasField("meanImage"):
        raw = message.meanImage.meanImage
        if len(raw) != 4 * math.prod(entry.shape):
            expected = math.prod(entry.shape)
            raise InputError(f"mean image of {entry.name}: expected {expected} numbers, found {len(raw) / 4:g}")
        return spec.override("mean image of the model", mean_image=np.frombuffer(raw, "<f4").reshape(entry.shape))
    if not message.HasField("scaler"):
        return spec
    scaler = message.scaler
    scale = scaler.channelScale or 1.0  # protobuf does not tell 0 from nothing
    biases = {
        "GREY": (scaler.grayBias,),
        "RGB": (scaler.redBias, scaler.greenBias, scaler.blueBias),
        "BGR": (scaler.blueBias, scaler.greenBias, scaler.redBias),
    }[spec.channel_order]
    mean = tuple(-bias / scale + 0.0 for bias in biases)  # no negative zeros
    if not all(map(math.isfinite, (*mean, scale))):
        raise InputError(f"scaler of {entry.name}: expected finite numbers, found scale {scale}, biases {biases}")
    return spec.override("image scaler of the model", mean=mean, scale=(scale,))
