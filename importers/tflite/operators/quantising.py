"""Between stored numbers and values. In the graph everything quantised is float, so these mostly do nothing."""

from __future__ import annotations

import numpy as np
from onnx import helper

from ..operator_writer import OperatorWriter
from ..reader import NUMPY_TYPES


def same(op: OperatorWriter) -> None:
    """QUANTIZE and DEQUANTIZE: rounded to the steps of the output, where it has any."""
    for tensor in (op.tensor(0), op.output()):
        if not (tensor.is_quantised or tensor.type.startswith("FLOAT")):
            raise op.error(f"{tensor.name} is stored as {tensor.type}, expected at most 16 bits")
    inputs, first = op.aligned(0)
    if op.tensor(0).type == "FLOAT16":
        op.emit("Cast", inputs, first=first, to=1)
    else:
        op.finish(inputs[0], first=first, moved=True)


def dequantize(op: OperatorWriter) -> None:
    """Weights in half precision, or as integers, become what they stand for."""
    value = op.tensor(0).real
    if value is None:
        same(op)
    else:
        op.store(value.astype(np.float32))


def cast(op: OperatorWriter) -> None:
    """To the type of the output."""
    kind = op.output().type
    if op.output().is_quantised or op.tensor(0).is_quantised or kind not in NUMPY_TYPES:
        raise op.error(f"a conversion from {op.tensor(0).type} to {kind} with scales; expected plain numbers")
    inputs, first = op.aligned(0)
    op.emit("Cast", inputs, first=first, to=helper.np_dtype_to_tensor_dtype(np.dtype(NUMPY_TYPES[kind])))


OPERATORS = {"QUANTIZE": same, "DEQUANTIZE": dequantize, "CAST": cast}
