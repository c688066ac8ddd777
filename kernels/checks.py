"""Checks of the fronts. Each raises one line: what was expected, what was found, what to do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .arrays import Array, device_name, dtype_name, host, is_array


def check_arrays(**arrays: object) -> None:
    """NumPy arrays or torch tensors, all of one kind and on one device."""
    for name, array in arrays.items():
        if not is_array(array):
            found = type(array).__name__
            raise TypeError(f"{name} is a {found}, expected a NumPy array or a torch tensor: use numpy.asarray({name})")
    (first, one), *others = arrays.items()
    for name, other in others:
        if isinstance(one, np.ndarray) != isinstance(other, np.ndarray):
            raise TypeError(f"{first} is a {type(one).__name__} and {name} a {type(other).__name__}: hand in one kind")
        if device_name(one) != device_name(other):
            places = f"{first} lies on {device_name(one)} and {name} on {device_name(other)}"
            raise ValueError(f"{places}: move one to the other's device")


def check_dtype(name: str, array: Array, allowed: Sequence[str]) -> None:
    if dtype_name(array) not in allowed:
        wanted = " or ".join(allowed)
        raise TypeError(f"{name} is {dtype_name(array)}, expected {wanted}: convert it first")


def check_rank(name: str, array: Array, *ranks: int, shape: str) -> None:
    """shape: how the axes are called, as in "[N, C, H, W]"."""
    if array.ndim not in ranks:
        raise ValueError(f"{name} has shape {list(array.shape)}, expected {shape}")


def check_shape(name: str, array: Array, shape: Sequence[int]) -> None:
    if tuple(array.shape) != tuple(shape):
        raise ValueError(f"{name} has shape {list(array.shape)}, expected {list(shape)}")


def check_output(name: str, out: Array, shape: Sequence[int], **inputs: Array) -> None:
    """An array to write into: of this shape, writable, row after row, and apart from every input in memory."""
    check_shape(name, out, shape)
    contiguous = out.flags.c_contiguous if isinstance(out, np.ndarray) else out.is_contiguous()
    if not contiguous:
        raise ValueError(f"{name} is not contiguous, expected rows that follow each other: hand in a new array")
    if isinstance(out, np.ndarray) and not out.flags.writeable:
        raise ValueError(f"{name} is read-only: hand in a copy")
    for other, array in inputs.items():
        if _overlap(out, array):
            raise ValueError(f"{name} and {other} share memory: hand in a copy of one")


def _overlap(one: Array, other: Array) -> bool:
    if device_name(one) == device_name(other) == "cpu":
        return np.may_share_memory(host(one), host(other))
    return _storage(one) == _storage(other)


def _storage(tensor: Array) -> int:
    return tensor.untyped_storage().data_ptr()
