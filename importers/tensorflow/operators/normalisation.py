"""Numbers relative to their neighbours, or to what training saw."""

from __future__ import annotations

import numpy as np

from ...tflite.operator_writer import OperatorWriter
from ...tflite.operators.normalisation import local_response
from ..windows import Image


def batch(op: OperatorWriter) -> None:
    """FusedBatchNorm, versions 1 to 3: scale, offset, mean, variance."""
    if op.option("is_training"):
        raise op.error("it normalises by the batch itself (is_training); expected a network frozen for inference")
    image = Image(op)
    inputs = [image.tensor, *(op.last(index) for index in (1, 2, 3, 4))]
    image.emit("BatchNormalization", inputs, epsilon=op.option("epsilon"))


def batch_with_global_statistics(op: OperatorWriter) -> None:
    """The oldest form: mean, variance, offset, scale; the scale only where an option says so."""
    image, (mean, variance, offset) = Image(op), (op.last(index) for index in (1, 2, 3))
    scaled = op.operator.options.get("scale_after_normalization")
    scale = op.last(4) if scaled else op.array("scale", np.ones(image.channels))
    epsilon = op.operator.options.get("variance_epsilon", 0.001)
    image.emit("BatchNormalization", [image.tensor, scale, offset, mean, variance], epsilon=epsilon)


def fake_quantised(op: OperatorWriter) -> None:
    """Rounded to steps that an integer could store: as such integers and back where 8 bits hold them.

    More bits are only clipped: ONNX has no wider quantised integers in this operator set, and their steps are below
    what tells two floats of a network apart.
    """
    low, high, bits = *_ends(op), int(op.option("num_bits"))
    least, most = int(bool(op.option("narrow_range"))), 2**bits - 1
    if not 2 <= bits <= 16 or not low < high:
        raise op.error(f"{bits} bits between {low:g} and {high:g}; expected 2 to 16 bits and the smaller first")
    scale = np.float32((high - low) / (most - least))
    zero = int(np.clip(np.floor(least - low / scale + 0.5), least, most))
    inputs, first = op.aligned(0)
    ends = [op.array(role, (end - zero) * scale) for role, end in (("least", least), ("most", most))]
    if bits > 8:
        op.emit("Clip", [*inputs, *ends], first=first)
        return
    inputs = [op.add("clipped", "Clip", [*inputs, *ends])]
    steps = [op.array("scale", scale), op.array("zero_point", zero, np.uint8)]
    stored = op.add("quantised", "QuantizeLinear", [*inputs, *steps])
    op.emit("DequantizeLinear", [stored, *steps], first=first)


def _ends(op: OperatorWriter) -> tuple[float, float]:
    """As attributes, or as inputs; a pair a channel is another operator."""
    if op.has(1):
        return float(op.constant(1).reshape(())), float(op.constant(2).reshape(()))
    options = op.operator.options
    return float(options.get("min", -6.0)), float(options.get("max", 6.0))


OPERATORS = {
    "FusedBatchNorm": batch,
    "FusedBatchNormV2": batch,
    "FusedBatchNormV3": batch,
    "BatchNormWithGlobalNormalization": batch_with_global_statistics,
    "FakeQuantWithMinMaxVars": fake_quantised,
    "FakeQuantWithMinMaxArgs": fake_quantised,
    "LRN": local_response,
}
