"""Element types: ONNX, NumPy and torch know the same ones under different names."""

from __future__ import annotations

import numpy as np
import torch
from onnx import TensorProto, helper

from ...importers.errors import InputError

_TORCH: dict[int, torch.dtype] = {
    TensorProto.FLOAT: torch.float32,
    TensorProto.DOUBLE: torch.float64,
    TensorProto.FLOAT16: torch.float16,
    TensorProto.BFLOAT16: torch.bfloat16,
    TensorProto.INT8: torch.int8,
    TensorProto.INT16: torch.int16,
    TensorProto.INT32: torch.int32,
    TensorProto.INT64: torch.int64,
    TensorProto.UINT8: torch.uint8,
    TensorProto.UINT16: torch.uint16,
    TensorProto.UINT32: torch.uint32,
    TensorProto.UINT64: torch.uint64,
    TensorProto.BOOL: torch.bool,
    TensorProto.COMPLEX64: torch.complex64,
    TensorProto.COMPLEX128: torch.complex128,
}


def torch_dtype(data_type: int) -> torch.dtype:
    """The torch type of an ONNX element type (a number of TensorProto.DataType).

    Raises InputError when torch has none.
    """
    if data_type not in _TORCH:
        raise InputError(f"element type {TensorProto.DataType.Name(data_type)} has no equal in torch")
    return _TORCH[data_type]


def to_torch(array: np.ndarray, precision: torch.dtype | None = None) -> torch.Tensor:
    """A tensor of its own memory; floats in `precision` (None: as they are)."""
    if array.dtype == helper.tensor_dtype_to_np_dtype(TensorProto.BFLOAT16):
        tensor = torch.tensor(array.view(np.int16)).view(torch.bfloat16)
    else:
        tensor = torch.tensor(np.asarray(array))
    return tensor if precision is None or not tensor.is_floating_point() else tensor.to(precision)


def to_numpy(tensor: torch.Tensor) -> np.ndarray:
    """The tensor's values on the CPU; bfloat16, which NumPy lacks, as ONNX's package has it."""
    tensor = tensor.detach().cpu()
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(helper.tensor_dtype_to_np_dtype(TensorProto.BFLOAT16))
    return tensor.numpy()
