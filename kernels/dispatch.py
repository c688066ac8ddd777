"""Which form of a kernel computes: CUDA, C++ or the reference.

The environment variable ONNXRAY_BACKEND (cuda, cpu or reference) forces one for everything.
"""

from __future__ import annotations

import os

from . import BACKENDS, backends
from .arrays import Array, device_name, dtype_name

DTYPES = {
    "cuda": ("float32", "float16", "bfloat16"),
    "cpu": ("float32", "float64"),
    "reference": ("float32", "float64"),
}


def choose(**arrays: Array) -> str:
    """The backend for these arrays of numbers: the first of BACKENDS that is here and takes them all.

    Raises ValueError with every backend's reason when none does.
    """
    forced = os.environ.get("ONNXRAY_BACKEND", "")
    if forced and forced not in BACKENDS:
        raise ValueError(f"ONNXRAY_BACKEND is {forced!r}, expected {', '.join(BACKENDS)} or nothing")
    missing, refusals = backends(), dict[str, str]()
    for name in [forced] if forced else BACKENDS:
        reason = missing[name] or _refusal(name, arrays)
        if reason is None:
            return name
        refusals[name] = reason
    reasons = "; ".join(f"{name}: {reason}" for name, reason in refusals.items())
    forces = " (ONNXRAY_BACKEND allows no other)" if forced else ""
    raise ValueError(f"no backend takes these arrays{forces}: {reasons}")


def compiled() -> bool:
    """Whether the C++ form is here and allowed."""
    return backends()["cpu"] is None and os.environ.get("ONNXRAY_BACKEND", "") in ("", "cpu")


def _refusal(backend: str, arrays: dict[str, Array]) -> str | None:
    """Why the backend does not take these arrays."""
    place = "cuda" if backend == "cuda" else "cpu"
    for name, array in arrays.items():
        if device_name(array).split(":")[0] != place:
            return f"{name} lies on {device_name(array)}, expected on {place}"
        if dtype_name(array) not in DTYPES[backend]:
            return f"{name} is {dtype_name(array)}, expected {' or '.join(DTYPES[backend])}"
    return None
