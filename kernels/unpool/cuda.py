"""The CUDA form: the reference's functions on contiguous tensors, on torch's current stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..arrays import Array, cuda_stream, dtype_name

if TYPE_CHECKING:
    from .window import Geometry

NONE = 2**63 - 1  # no index


def unpool(geometry: Geometry, y: Array, switches: Array, out: Array, overwrite: bool, relu: bool) -> None:
    from .. import _native

    pointers = y.data_ptr(), switches.data_ptr(), out.data_ptr()
    _native.unpool.unpool_cuda(*_call(geometry, y), dtype_name(y), switches.itemsize, *pointers, overwrite, relu)


def values_at(geometry: Geometry, x: Array, switches: Array, values: Array) -> None:
    from .. import _native

    pointers = x.data_ptr(), switches.data_ptr(), values.data_ptr()
    _native.unpool.values_at_cuda(*_call(geometry, x), dtype_name(x), switches.itemsize, *pointers)


def first_invalid(geometry: Geometry, switches: Array) -> int:
    """Waits for the stream."""
    from .. import _native

    first = _no_index(switches)
    call = _call(geometry, switches)
    _native.unpool.first_invalid_cuda(*call, switches.itemsize, switches.data_ptr(), first.data_ptr())
    return _index(first)


def switches_of_places(geometry: Geometry, places: Array, switches: Array) -> int:
    """Waits for the stream."""
    from .. import _native

    first = _no_index(places)
    pointers = places.data_ptr(), switches.data_ptr(), first.data_ptr()
    _native.unpool.switches_of_places_cuda(*_call(geometry, places), switches.itemsize, *pointers)
    return _index(first)


def _no_index(like: Array) -> Array:
    import torch

    return torch.full((), NONE, dtype=torch.int64, device=like.device)


def _index(first: Array) -> int:
    index = int(first)
    return -1 if index == NONE else index


def _call(geometry: Geometry, tensor: Array) -> tuple[list[int], int, int]:
    return geometry.numbers(), tensor.device.index, cuda_stream(tensor)
