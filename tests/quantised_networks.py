"""Networks quantised by onnxruntime's own quantiser, and float16 ones by its converter."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tiny_models

# Two residual blocks between a stem and a head. The quantiser folds each ReLU into the range of what comes before it.
RESIDUAL_NET = """
<ir_version: 8, opset_import: ["" : 17]>
residual (float[N, 3, 16, 16] image) => (float[N, 10] logits)
<float[16, 3, 3, 3] w0, float[16] b0, float[16, 16, 3, 3] w1, float[16] b1, float[16, 16, 3, 3] w2, float[16] b2,
 float[16, 16, 3, 3] w3, float[16] b3, float[16, 16, 3, 3] w4, float[16] b4, float[10, 16] head, float[10] offset>
{
    stem = Conv <pads = [1, 1, 1, 1]> (image, w0, b0)
    first = Relu (stem)
    inner1 = Conv <pads = [1, 1, 1, 1]> (first, w1, b1)
    inner1_relu = Relu (inner1)
    inner2 = Conv <pads = [1, 1, 1, 1]> (inner1_relu, w2, b2)
    sum1 = Add (inner2, first)
    second = Relu (sum1)
    pooled = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (second)
    inner3 = Conv <pads = [1, 1, 1, 1]> (pooled, w3, b3)
    inner3_relu = Relu (inner3)
    inner4 = Conv <pads = [1, 1, 1, 1]> (inner3_relu, w4, b4)
    sum2 = Add (inner4, pooled)
    third = Relu (sum2)
    means = GlobalAveragePool (third)
    flat = Flatten (means)
    logits = Gemm <transB = 1> (flat, head, offset)
}
"""

QUANTISERS: dict[str, dict[str, Any]] = {  # options of onnxruntime's quantiser; dynamic: it has another
    "qdq": {},
    "qdq_channels": {"per_channel": True},
    "qdq_int8": {"per_channel": True, "activation_type": "QInt8"},
    "qdq_uint16": {"activation_type": "QUInt16", "weight_type": "QInt16", "extra_options": {"UseQDQContribOps": True}},
    "operators": {"quant_format": "QOperator"},
    "operators_channels": {"quant_format": "QOperator", "per_channel": True},
    "operators_uint8": {"quant_format": "QOperator", "weight_type": "QUInt8"},
    "dynamic": {},
}


def residual_net(path: Path) -> Path:
    """RESIDUAL_NET with seeded weights of a trained network's size, written to `path`."""
    proto = tiny_models.model(RESIDUAL_NET)
    for tensor in proto.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        size = np.sqrt(2 / np.prod(values.shape[1:])) if values.ndim > 1 else 0.1
        tensor.CopyFrom(onnx.numpy_helper.from_array((values * size).astype(np.float32), tensor.name))
    onnx.save(proto, path)
    return path


def quantise(source: Path, target: Path, kind: str, images: np.ndarray) -> Path:
    """Write `source` quantised as QUANTISERS[kind] says, its ranges measured on `images` [n, …]."""
    from onnxruntime import quantization

    options = {"quant_format": "QDQ", "activation_type": "QUInt8", "weight_type": "QInt8", **QUANTISERS[kind]}
    kinds = {"quant_format": quantization.QuantFormat}
    options = {
        name: getattr(kinds.get(name, quantization.QuantType), value) if isinstance(value, str) else value
        for name, value in options.items()
    }
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)  # it advises a preprocessing that needs shapes the files have
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if kind == "dynamic":
                quantization.quantize_dynamic(source, target, op_types_to_quantize=["Conv", "MatMul", "Gemm"])
            else:
                quantization.quantize_static(source, target, _reader(source, images), **options)
    finally:
        logging.disable(previous)
    return target


def _reader(source: Path, images: np.ndarray) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    name = onnx.load(source, load_external_data=False).graph.input[0].name

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.waiting: Iterator[np.ndarray] = iter(images)

        def get_next(self) -> dict[str, np.ndarray] | None:
            image = next(self.waiting, None)
            return None if image is None else {name: image[None]}

    return Reader()


def halved(source: Path, target: Path, keep_io_types: bool) -> Path:
    """Write `source` with all floats as float16; `keep_io_types`: but its inputs and outputs, which are cast."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        onnx.save(convert_float_to_float16(onnx.load(source), keep_io_types=keep_io_types), target)
    return target
