"""Numerical kernels: arrays in, arrays out.

A kernel is one folder: `__init__.py` is its front (signature, shapes, checks), `reference.py` its definition in NumPy,
`NAME.cpp` and `NAME.cu` its fast forms. `dispatch` picks one of them for the arrays handed in. `build_info` tells what
the extension was built with.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

BACKENDS = ("cuda", "cpu", "reference")  # the first that can is taken


@cache
def backends() -> Mapping[str, str | None]:
    """Each backend -> None where this machine has it, else why not."""
    from .build_info import build_info

    try:
        info = build_info()
    except ImportError as error:
        return MappingProxyType({"cuda": str(error), "cpu": str(error), "reference": None})
    cuda = None if info["cuda_devices"] else info["cuda_error"]
    return MappingProxyType({"cuda": cuda, "cpu": None, "reference": None})


def set_threads(threads: int) -> None:
    """Let each kernel use at most this many threads; 0: as many as this process has cores."""
    from . import _native

    _native.set_threads(threads)
