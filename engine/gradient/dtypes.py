"""Element types: ONNX, NumPy and torch know the same ones under different names.

Types of 4 and 2 bits are held in int8, as torch cannot compute on its own; `torch.int4` and the like are names only,
which `Cast` reads. Floats of 4 and 6 bits can be read, into float32, which holds them exactly, but nothing makes them.
"""

from __future__ import annotations

import numpy as np
import torch
from onnx import TensorProto, helper

from ...importers.errors import InputError

_NAMES = {
    "FLOAT": "float32",
    "DOUBLE": "float64",
    "FLOAT16": "float16",
    "BFLOAT16": "bfloat16",
    "FLOAT8E4M3FN": "float8_e4m3fn",
    "FLOAT8E4M3FNUZ": "float8_e4m3fnuz",
    "FLOAT8E5M2": "float8_e5m2",
    "FLOAT8E5M2FNUZ": "float8_e5m2fnuz",
    "FLOAT8E8M0": "float8_e8m0fnu",
    **{f"{sign}INT{bits}": f"{sign}int{bits}".lower() for sign in ("", "U") for bits in (2, 4, 8, 16, 32, 64)},
    "BOOL": "bool",
    "COMPLEX64": "complex64",
    "COMPLEX128": "complex128",
}
_KNOWN = TensorProto.DataType.keys()  # older onnx and older torch know fewer
_TORCH: dict[str, torch.dtype] = {
    name: getattr(torch, own) for name, own in _NAMES.items() if name in _KNOWN and hasattr(torch, own)
}
_HELD_IN = {
    **dict.fromkeys(("int2", "int4", "uint2", "uint4"), np.int8),
    **dict.fromkeys(("float4_e2m1fn", "float6_e2m3fn", "float6_e3m2fn"), np.float32),
}


def torch_dtype(data_type: int) -> torch.dtype:
    """The torch type of an ONNX element type (a number of TensorProto.DataType).

    Raises InputError when torch has none.
    """
    known = data_type in TensorProto.DataType.values()
    name = TensorProto.DataType.Name(data_type) if known else str(data_type)
    if name not in _TORCH:
        raise InputError(f"element type {name} has no equal in torch; export the model with another")
    return _TORCH[name]


def _types_numpy_lacks() -> dict[np.dtype, torch.dtype]:
    """Those of onnx's own package that have as many bits in torch."""
    pairs = ((helper.tensor_dtype_to_np_dtype(TensorProto.DataType.Value(name)), _TORCH[name]) for name in _TORCH)
    return {array: tensor for array, tensor in pairs if array.isbuiltin != 1 and array.name not in _HELD_IN}


_VIEWED = _types_numpy_lacks()
_VIEWED_BACK = {tensor: array for array, tensor in _VIEWED.items()}


def to_torch(array: np.ndarray, precision: torch.dtype | None = None) -> torch.Tensor:
    """A tensor of its own memory; floats in `precision` (None: as they are).

    Raises InputError for text.
    """
    array = np.asarray(array)
    if array.dtype.kind in "OSU":
        raise InputError("this network works on text, which torch has no type for; its gradients cannot be had")
    if array.dtype in _VIEWED:
        tensor = torch.tensor(array.view(f"i{array.itemsize}")).view(_VIEWED[array.dtype])
    else:
        tensor = torch.tensor(array.astype(_HELD_IN.get(array.dtype.name, array.dtype), copy=False))
    return tensor if precision is None or not tensor.is_floating_point() else tensor.to(precision)


def to_numpy(tensor: torch.Tensor) -> np.ndarray:
    """The tensor's values on the CPU; floats that NumPy lacks as onnx's package has them."""
    tensor = tensor.detach().cpu()
    if tensor.dtype in _VIEWED_BACK:
        return tensor.view(torch.int16 if tensor.itemsize == 2 else torch.int8).numpy().view(_VIEWED_BACK[tensor.dtype])
    return tensor.numpy()
