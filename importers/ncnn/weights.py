"""The weights of an NCNN model: arrays one after another, in the order in which its layers ask for them.

The .bin says neither how many nor how long; some arrays start with a tag that tells how their numbers are stored.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import InputError
from .companion import HALF_TAG

_HALF, _INT8, _RAW = int.from_bytes(HALF_TAG, "little"), 0x000D4B38, 0x0002C056
_TABLE = 256  # floats


class WeightFile:
    """A .bin and how far it was read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._content = np.fromfile(path, np.uint8)
        self._at = 0

    def tagged(self, count: int, asker: str) -> np.ndarray:
        """So many numbers, stored as their tag says: float32, or int8 where they are multiples of a scale.

        Raises InputError when the file is too short; `asker` is named then.
        """
        tag = int(self._take("<u4", 1, asker)[0])
        if tag == _HALF:
            return self._padded("<f2", count, asker).astype(np.float32)
        if tag == _INT8:
            return self._padded("i1", count, asker)
        if tag == _RAW or not tag:
            return self._take("<f4", count, asker)
        table = self._take("<f4", _TABLE, asker)
        return table[self._padded("u1", count, asker)]

    def raw(self, count: int, asker: str) -> np.ndarray:
        """So many float32 numbers, as they are."""
        return self._take("<f4", count, asker)

    def check_all_read(self) -> None:
        """Raise InputError when something is left: then the weights are another network's."""
        if self._at != len(self._content):
            raise InputError(
                f"{self.path}: expected {self._at} bytes of weights for the layers of the .param, found "
                f"{len(self._content)}; do the two files belong together?"
            )

    def _padded(self, dtype: str, count: int, asker: str) -> np.ndarray:
        values = self._take(dtype, count, asker)
        self._at += -self._at % 4
        return values

    def _take(self, dtype: str, count: int, asker: str) -> np.ndarray:
        size = count * np.dtype(dtype).itemsize
        if count < 0 or self._at + size > len(self._content):
            raise InputError(
                f"{self.path}: {asker} expects {size} bytes of weights at byte {self._at}, the file has "
                f"{len(self._content)}; it is truncated, or the two files do not belong together"
            )
        values = self._content[self._at : self._at + size].view(dtype)
        self._at += size
        return values
