"""uint16, uint32 and uint64, which torch can hold but hardly compute on: computed in int64."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch

from ....importers.errors import InputError

_WIDE = frozenset((torch.uint16, torch.uint32, torch.uint64))


def in_int64(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """`function` for wide unsigned tensors too; integers that come out have the first input's type.

    Raises InputError at values from 2^63 on.
    """
    return _in_int64(function, signed)


def in_int64_modulo(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """As `in_int64`, for functions whose lowest bits do not depend on how the highest is read: sums, products, bits."""
    return _in_int64(function, _reinterpreted)


def signed(x: Any) -> Any:
    """The same values in a type that torch computes on; anything else as it is."""
    wide = _reinterpreted(x)
    if wide is not x and x.dtype == torch.uint64 and bool((wide < 0).any()):
        raise InputError("expected uint64 values below 2^63, found larger ones, which torch cannot compare or divide")
    return wide


def _reinterpreted(x: Any) -> Any:
    return x.to(torch.int64) if isinstance(x, torch.Tensor) and x.dtype in _WIDE else x


def _in_int64(function: Callable[..., torch.Tensor], read: Callable[[Any], Any]) -> Callable[..., torch.Tensor]:
    @wraps(function)
    def run(*inputs: Any, **attributes: Any) -> torch.Tensor:
        dtype = inputs[0].dtype
        if dtype not in _WIDE:
            return function(*inputs, **attributes)
        found = function(*map(read, inputs), **attributes)
        return found.to(dtype) if found.dtype == torch.int64 else found

    return run
