"""What an init_net fills its blobs with, as arrays. The net is read, not run; nothing random is drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .reader import Net, Operator

_LARGEST = 1 << 24  # numbers that a file may have filled in without holding them
_LISTS: Mapping[str, tuple[str, Any]] = {  # type -> where its numbers are, and what they are
    "GivenTensorFill": ("floats", np.float32),
    "GivenTensorDoubleFill": ("floats", np.float32),
    "GivenTensorIntFill": ("ints", np.int32),
    "GivenTensorInt64Fill": ("ints", np.int64),
    "GivenTensorBoolFill": ("ints", np.bool_),
}
_DTYPES = {1: np.float32, 2: np.int32, 5: np.bool_, 10: np.int64}  # of `dtype`, for numbers that are all the same


def stored_blobs(net: Net, path: Path) -> dict[str, np.ndarray]:
    """Blob -> its numbers.

    Raises InputError for fills that are not known (all named) or hold other than they claim.
    """
    unknown = sorted(
        {operator.type for operator in net.operators} - {*_LISTS, "ConstantFill", "GivenTensorByteStringToUInt8Fill"}
    )
    if unknown:
        raise InputError(f"{path}: operators of an init_net that onnxray cannot read: {', '.join(unknown)}")
    blobs = {}
    for operator in net.operators:
        if len(operator.outputs) != 1:
            raise InputError(f"{path}: {operator.type} expected one output, found {len(operator.outputs)}")
        try:
            blobs[operator.outputs[0]] = filled(operator)
        except InputError as error:
            raise InputError(f"{path}: blob {operator.outputs[0]} ({operator.type}): {error}") from error
    return blobs


def filled(operator: Operator) -> np.ndarray:
    """The numbers that a fill makes. Raises InputError when it holds other than it claims."""
    arguments = operator.arguments
    shape = tuple(arguments["shape"].ints) if "shape" in arguments else ()
    if any(size < 0 for size in shape):
        raise InputError(f"expected sizes, found {list(shape)}")
    if operator.type == "ConstantFill":
        return _constant(operator, shape)
    values = arguments.get("values")
    if operator.type.startswith("GivenTensorByteString"):
        numbers = np.frombuffer(b"".join(values.strings if values is not None else []), np.uint8)
    else:
        field, dtype = _LISTS[operator.type]
        numbers = np.array(getattr(values, field) if values is not None else [], dtype)
    if "shape" not in arguments:
        shape = numbers.shape
    if math.prod(shape) != numbers.size:
        raise InputError(f"expected {math.prod(shape)} numbers ({'x'.join(map(str, shape))}), found {numbers.size}")
    return numbers.reshape(shape)


def _constant(operator: Operator, shape: tuple[int, ...]) -> np.ndarray:
    if math.prod(shape) > _LARGEST:
        raise InputError(f"expected at most {_LARGEST} numbers, found {'x'.join(map(str, shape))}")
    dtype = operator.arguments["dtype"].i if "dtype" in operator.arguments else 1
    if dtype not in _DTYPES:
        raise InputError(f"numbers of type {dtype} are not supported")
    value = operator.arguments.get("value")
    number = 0.0 if value is None else value.f if value.HasField("f") else value.i
    return np.broadcast_to(np.array(number, _DTYPES[dtype]), shape)
