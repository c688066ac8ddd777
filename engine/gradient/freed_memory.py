"""freed_memory: while a network runs, keep what its tensors leave behind for those that come next.

glibc gives large blocks back to the system as soon as they are freed, and gets every page of the next tensor anew. With
the tensors of MobileNetV2 for eight images that was a third of the time of a gradient.
"""

from __future__ import annotations

import ctypes
import os
import platform
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's names for its settings, mallopt(3)
_KEPT = {_TRIM_THRESHOLD: 256 << 20, _MMAP_THRESHOLD: 64 << 20}  # bytes; more gained nothing
_USUAL = {_TRIM_THRESHOLD: 64 << 20, _MMAP_THRESHOLD: 32 << 20}  # what glibc comes to by itself
_CHOSEN_BY_USER = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")

_lock = threading.Lock()
_users = 0


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Up to 256 MiB. Does nothing where there is no glibc, or whoever started the process chose for themselves."""
    _count(1)
    try:
        yield
    finally:
        _count(-1)


def _count(change: int) -> None:
    global _users
    setting = _mallopt()
    if setting is None:
        return
    with _lock:
        before, _users = _users, _users + change
        if before == 0 or _users == 0:
            for name, value in (_KEPT if _users else _USUAL).items():
                setting(name, value)


@cache
def _mallopt() -> Callable[[int, int], int] | None:
    if platform.libc_ver()[0] != "glibc" or any(name in os.environ for name in _CHOSEN_BY_USER):
        return None
    return ctypes.CDLL(None).mallopt
