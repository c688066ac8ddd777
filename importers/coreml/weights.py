"""Weights of a layer, whichever way they are stored: floats, halves, or numbers of 1 to 8 bits and what they stand for.

Claims are checked against the bytes there are before anything is made of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InputError

_MOST_BITS = 8


def weights(message: Any, shape: Sequence[int], outputs: int = 0) -> np.ndarray:
    """The numbers of a `Weights` message as an array of this shape, float32.

    `outputs`: the axis that has a scale and a bias of its own a place, where quantised weights have several.
    Raises InputError when it holds fewer or more, or none that can be read.
    """
    count = math.prod(shape)
    stored = _stored(message, shape, outputs)
    if stored.size != count:
        raise InputError(f"expected {count} weights ({'x'.join(map(str, shape))}), found {stored.size}")
    return stored.reshape(shape)


def _stored(message: Any, shape: Sequence[int], outputs: int) -> np.ndarray:
    if message.int8RawValue:
        raise InputError("weights for inputs that are rounded to 8 bits at run time are not supported")
    if message.rawValue:
        return _dequantised(message, shape, outputs)
    if message.float16Value:
        return _numbers(message.float16Value, "<f2").astype(np.float32)
    return _numbers(message.floatValue, "<f4")


def _numbers(raw: bytes, dtype: str) -> np.ndarray:
    size = np.dtype(dtype).itemsize
    if len(raw) % size:
        raise InputError(f"expected weights of {size} bytes each, found {len(raw)} bytes")
    return np.frombuffer(raw, dtype)


def _dequantised(message: Any, shape: Sequence[int], outputs: int) -> np.ndarray:
    bits, count = message.quantization.numberOfBits, math.prod(shape)
    if not 1 <= bits <= _MOST_BITS:
        raise InputError(f"expected weights of 1 to {_MOST_BITS} bits, found {bits}")
    needed = -(-count * bits // 8)
    if len(message.rawValue) != needed:
        raise InputError(f"expected {needed} bytes for {count} weights of {bits} bits, found {len(message.rawValue)}")
    codes = _codes(message.rawValue, bits, count)
    if message.quantization.HasField("lookupTableQuantization"):
        table = _numbers(message.quantization.lookupTableQuantization.floatValue, "<f4")
        if len(table) != 1 << bits:
            raise InputError(f"expected a table of {1 << bits} values for weights of {bits} bits, found {len(table)}")
        return table[codes]
    linear = message.quantization.linearQuantization
    scale, bias = (_along(raw, shape, outputs) for raw in (linear.scale, linear.bias or bytes(4)))
    return codes.reshape(shape).astype(np.float32) * scale + bias


def _along(raw: bytes, shape: Sequence[int], axis: int) -> np.ndarray:
    """One number, or one a place of this axis, so that it broadcasts against the weights."""
    values = _numbers(raw, "<f4")
    if len(values) not in (1, shape[axis]):
        raise InputError(f"expected 1 or {shape[axis]} scales and biases, found {len(values)}")
    return values.reshape([-1 if at == axis else 1 for at in range(len(shape))])


def _codes(raw: bytes, bits: int, count: int) -> np.ndarray:  # [count] uint8
    """Numbers of so many bits each, the highest bit of the first byte first."""
    if bits == _MOST_BITS:
        return np.frombuffer(raw, np.uint8)
    each = np.unpackbits(np.frombuffer(raw, np.uint8))[: count * bits].reshape(count, bits)
    return np.packbits(each, axis=1).ravel() >> (_MOST_BITS - bits)
