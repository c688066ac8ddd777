"""What the kernels ask of an array: NumPy's, or a torch tensor wherever it lies.

torch is never imported here unless a tensor was handed in.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

Array = Any  # np.ndarray or torch.Tensor


def is_tensor(array: object) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(array, torch.Tensor)


def is_array(array: object) -> bool:
    return isinstance(array, np.ndarray) or is_tensor(array)


def needs_gradient(array: object) -> bool:
    """Whether torch follows what is computed of it; to be followed alone takes tens of microseconds a call."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(array, torch.Tensor) and array.requires_grad and torch.is_grad_enabled()


def dtype_name(array: Array) -> str:
    """As in "float32"."""
    return str(array.dtype).removeprefix("torch.")


def device_name(array: Array) -> str:
    """As in "cpu" or "cuda:0"."""
    return str(array.device) if is_tensor(array) else "cpu"


def host(array: Array) -> np.ndarray:
    """The same memory as a NumPy array, without its gradient."""
    return array.detach().numpy() if is_tensor(array) else array


def contiguous(array: Array) -> Array:
    """The array itself where it lies row after row, aligned and in the machine's byte order, else a copy."""
    if is_tensor(array):
        return array.detach().resolve_neg().contiguous()
    return np.require(array, array.dtype.newbyteorder("="), ["C", "A"])


def empty(shape: Sequence[int], like: Array, dtype: str | None = None) -> Array:
    """A new array of the same kind, on the same device; dtype: as in "uint8", the same where it is None."""
    if is_tensor(like):
        import torch

        return torch.empty(tuple(shape), dtype=getattr(torch, dtype) if dtype else like.dtype, device=like.device)
    return np.empty(shape, dtype or like.dtype.newbyteorder("="))


def as_kind(array: np.ndarray, like: Array) -> Array:
    """A NumPy array as the kind that `like` is."""
    if is_tensor(like):
        import torch

        return torch.from_numpy(array)
    return array


def cuda_stream(tensor: Array) -> int:
    """The handle of torch's current stream on the tensor's device."""
    import torch

    return torch.cuda.current_stream(tensor.device).cuda_stream
