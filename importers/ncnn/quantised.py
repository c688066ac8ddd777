"""int8 layers: weights as multiples of a scale, and what enters them rounded to steps.

NCNN's scales multiply: number = round(value * scale), from -127 to 127. ONNX's divide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .layer_writer import LayerWriter

_LARGEST = 127
_LEAST = 1e-18  # of a scale


@dataclass(frozen=True)
class Scales:
    """Of one layer, as NCNN has them."""

    weights: np.ndarray  # [outputs] or [groups]
    input: float


def read_scales(layer: LayerWriter, count: int, *, shared: bool = False) -> Scales | None:
    """The scales that follow the weights in the file; None where the layer is not int8.

    `shared`: the layer may have one scale for all of its weights. Raises InputError for scales that are not above 0,
    and where the result stays int8.
    """
    term = layer.whole(8)
    if not term:
        return None
    if term > 100:
        raise layer.error("its result stays int8 for the next layer, which onnxray cannot translate")
    weights = layer.raw(1 if shared and term == 2 else count)
    entering = float(layer.raw(1)[0])
    if not all(_LEAST < scale < 1 / _LEAST for scale in (*weights, entering)):
        raise layer.error("expected scales above 0 for its int8 numbers")
    return Scales(weights, entering)


def real_weights(layer: LayerWriter, stored: np.ndarray, scales: Scales | None) -> np.ndarray:
    """The weights as float32: [outputs, …]; rounded to int8 where the file has floats and scales."""
    if scales is None:
        if stored.dtype != np.float32:
            raise layer.error("its weights are int8, and it has no scales for them")
        return stored
    each = np.repeat(scales.weights, len(stored) // len(scales.weights)).reshape(-1, *[1] * (stored.ndim - 1))
    numbers = stored
    if stored.dtype == np.float32:
        numbers = np.clip(np.sign(stored) * np.floor(np.abs(stored * each) + 0.5), -_LARGEST, _LARGEST)
    return (numbers / each).astype(np.float32)


def quantise_input(layer: LayerWriter, tensor: str, scales: Scales | None) -> str:
    """What enters, rounded to its steps where the layer is int8. NCNN leaves out -128, which ONNX has."""
    if scales is None:
        return tensor
    limit = _LARGEST / scales.input
    tensor = layer.add("clipped", "Clip", [tensor, layer.constant("least", -limit), layer.constant("most", limit)])
    steps = [layer.constant("step", 1 / scales.input), layer.constant("zero", 0, np.int8)]
    return layer.add("rounded", "DequantizeLinear", [layer.add("numbers", "QuantizeLinear", [tensor, *steps]), *steps])
