"""freed_memory: what a network's tensors leave behind is kept for those that come next.

glibc gives large blocks back to the system as soon as they are freed, and gets every page of the next tensor anew. With
the tensors of MobileNetV2 for eight images that was a third of the time of a gradient.
"""

from __future__ import annotations

import ctypes
import os
import platform
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's names for its settings, mallopt(3)
_KEPT, _IN_THE_HEAP = 256 << 20, 64 << 20  # bytes; more gained nothing
_CHOSEN_BY_USER = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


@cache
def keep_freed_memory() -> bool:
    """From now on this process keeps up to 256 MiB that it has freed; tells whether it does.

    It does not where there is no glibc, or whoever started the process made a choice of their own.
    """
    if platform.libc_ver()[0] != "glibc" or any(name in os.environ for name in _CHOSEN_BY_USER):
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_TRIM_THRESHOLD, _KEPT) and mallopt(_MMAP_THRESHOLD, _IN_THE_HEAP))
