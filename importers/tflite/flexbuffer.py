"""FlexBuffers, as far as options of custom operators need them: one map from names to numbers.

Such a buffer explains itself from its end: the last byte is the width of the root value, the one before its type. A
map is a vector of values, their types behind them, and before them the way to a vector of their sorted names.
"""

from __future__ import annotations

import struct

from ..errors import InputError

_MAP = 9
_FORMATS = {1: " bhiq", 2: " BHIQ", 3: "   fd", 26: " BHIQ"}  # type -> letter of a number of 2^n bytes: int … bool
_INDIRECT = 5  # the type of a number that lies elsewhere is that of the number and this
_LARGEST = 1 << 16  # bytes


def read_map(data: bytes) -> dict[str, float]:
    """The numbers of a map by name; values of other types are left out. Raises InputError when it is damaged."""
    try:
        if len(data) > _LARGEST:
            raise ValueError(f"{len(data)} bytes")
        kind, width = data[-2] >> 2, data[-1]
        root = len(data) - 2 - width
        if kind != _MAP:
            raise ValueError("no map")
        return _map(data, root - _number(data, root, 2, width), 1 << (data[-2] & 3))
    except (IndexError, ValueError, struct.error) as error:
        raise InputError(f"the options of a custom operator are damaged ({error})") from None


def _map(data: bytes, at: int, width: int) -> dict[str, float]:
    size = int(_number(data, at - width, 2, width))
    keys_width = int(_number(data, at - 2 * width, 2, width))
    keys = at - 3 * width - int(_number(data, at - 3 * width, 2, width))
    if size > len(data):
        raise ValueError(f"{size} entries")
    found: dict[str, float] = {}
    for index in range(size):
        place = keys + index * keys_width
        start = place - int(_number(data, place, 2, keys_width))
        name = data[start : data.index(b"\0", start)].decode("utf-8", "replace")
        packed = data[at + size * width + index]
        kind, where, wide = packed >> 2, at + index * width, width
        if kind - _INDIRECT in (1, 2, 3):
            kind, where, wide = kind - _INDIRECT, where - int(_number(data, where, 2, width)), 1 << (packed & 3)
        if kind in _FORMATS:
            found[name] = _number(data, where, kind, wide)
    return found


def _number(data: bytes, at: int, kind: int, width: int) -> int:
    if at < 0 or width not in (1, 2, 4, 8):
        raise ValueError("a place outside it")
    found: int = struct.unpack_from("<" + _FORMATS[kind][width.bit_length()], data, at)[0]
    return found
