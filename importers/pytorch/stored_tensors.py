"""A state dict as an ONNX graph of initializers, which no node reads. Runs in the sandbox."""

from __future__ import annotations

from collections.abc import Mapping

import onnx
import torch
from onnx import TensorProto

from ..errors import InputError

_TYPES = {
    torch.float64: TensorProto.DOUBLE,
    torch.float32: TensorProto.FLOAT,
    torch.float16: TensorProto.FLOAT16,
    torch.bfloat16: TensorProto.BFLOAT16,
    torch.float8_e4m3fn: TensorProto.FLOAT8E4M3FN,
    torch.float8_e5m2: TensorProto.FLOAT8E5M2,
    torch.int64: TensorProto.INT64,
    torch.int32: TensorProto.INT32,
    torch.int16: TensorProto.INT16,
    torch.int8: TensorProto.INT8,
    torch.uint8: TensorProto.UINT8,
    torch.bool: TensorProto.BOOL,
}
_IR_VERSION, _OPSET = 9, 20  # the oldest that have all of these types
_LARGEST = (1 << 31) - (1 << 24)  # bytes of all tensors: a protobuf message ends at 2 GiB
_SHOWN = 4  # names in a message


def without_network(tensors: Mapping[str, torch.Tensor]) -> bytes:
    """The tensors in their order, as a serialised ONNX model; quantised ones as the real numbers they stand for.

    Raises InputError naming all that are complex or sparse, or when they take 2 GiB.
    """
    plain = {name: value.dequantize() if value.is_quantized else value for name, value in tensors.items()}
    odd = [name for name, value in plain.items() if value.layout != torch.strided or value.dtype not in _TYPES]
    if odd:
        names = ", ".join(odd[:_SHOWN]) + (", …" if len(odd) > _SHOWN else "")
        raise InputError(f"expected dense tensors of real numbers, found others: {names}")
    size = sum(value.numel() * value.element_size() for value in plain.values())
    if size > _LARGEST:
        raise InputError(f"its tensors take {size >> 20} MiB, of which 2 GiB can be shown; --key chooses a part")
    proto = onnx.ModelProto(ir_version=_IR_VERSION, opset_import=[onnx.helper.make_opsetid("", _OPSET)])
    proto.graph.name = "weights"
    for name, value in plain.items():
        stored = proto.graph.initializer.add(name=name, data_type=_TYPES[value.dtype], dims=value.shape)
        stored.raw_data = value.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return proto.SerializeToString()
