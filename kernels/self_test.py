"""Whether each kernel computes on this machine what its reference does: one small case a kernel, for `onnxray doctor`.

The sizes fit neither vectors nor blocks and keep several threads busy. All backends are tested, whatever
ONNXRAY_BACKEND says; other threads must not use kernels meanwhile, as each is forced through that variable.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from . import backends, depthwise, winograd
from .arrays import Array, is_tensor
from .dispatch import DTYPES
from .gram import gram
from .overlay import overlay
from .unpool import Overlap, max_pool, unpool, values_at

FORCES = "ONNXRAY_BACKEND"
Given = Callable[[np.ndarray], Array]  # the values as the kernel gets them; integers stay integers


@dataclass(frozen=True)
class SelfTest:
    run: Callable[[Given], Sequence[Array]]  # makes the same inputs at every call; what the kernel answers
    roundings: float  # how many of them may add up between two orders of summation; 0: every bit must be equal
    dtypes: Mapping[str, Sequence[str]]  # by backend


@dataclass(frozen=True)
class Verdict:
    """What one kernel did on one backend with one type."""

    kernel: str
    backend: str
    dtype: str
    difference: float  # the largest, as a share of the reference's largest number; NaN where there is none
    allowed: float
    seconds: float  # the reference's time included
    error: str = ""  # what the kernel raised

    @property
    def ok(self) -> bool:
        return not self.error and self.difference <= self.allowed  # never with a NaN


def self_test() -> list[Verdict]:
    """Every kernel on every backend that is here, with each type it takes there."""
    return [
        _verdict(kernel, test, backend, dtype)
        for kernel, test in SELF_TESTS.items()
        for backend, dtypes in test.dtypes.items()
        if backend != "reference" and _is_here(backend)
        for dtype in dtypes
    ]


def _gram(given: Given) -> list[Array]:
    return [gram(given(np.random.default_rng(0).standard_normal((2, 67, 29, 31))), "mean")]


def _windows(given: Given, channels: int) -> tuple[Array, Array, np.ndarray, np.ndarray]:
    """A map, patches, where those lie; windows inside, partly outside, and not at all inside."""
    random = np.random.default_rng(0)
    shapes = (41, 37, channels), (9, 11, 7, channels)
    background, patches = (given(random.standard_normal(shape)) for shape in shapes)
    patches_at = np.stack([random.integers(0, 31, 9), random.integers(0, 31, 9)], 1)
    return background, patches, patches_at, np.stack([random.integers(-30, 42, 9), random.integers(-30, 38, 9)], 1)


def _overlay(given: Given) -> list[Array]:
    return [overlay(*_windows(given, 17), (29, 31), -1.5)]


def _depthwise(given: Given) -> list[Array]:
    """By 3 x 3 weights, which have a loop of their own, and by others; channels that fill no vector."""
    windows, random, answers = _windows(given, 37), np.random.default_rng(1), []
    for shape, strides, dilations in (((3, 3, 37), (2, 1), (1, 2)), ((2, 5, 37), (1, 2), (3, 1))):
        weight, bias = given(random.standard_normal(shape)), given(random.standard_normal(37))
        answers.append(depthwise.convolve(*windows, (13, 14), weight, bias, strides, dilations, lowest=0))
    return answers


def _unpool(given: Given) -> list[Array]:
    """Windows side by side; windows that share places, to be added or overwritten; and values taken back."""
    x, answers = np.random.default_rng(0).standard_normal((2, 9, 61, 67)), []
    windows: tuple[dict[str, Any], ...] = ({"kernel": (2, 2)}, {"kernel": (3, 3), "stride": 2, "padding": 1})
    for options in windows:
        y, recorded = max_pool(x, **options)
        switches = given(recorded)
        for overlap in get_args(Overlap):
            answers.append(unpool(given(y), switches, size=(61, 67), overlap=overlap, **options))
        answers.append(values_at(given(x), switches, **options))
    return answers


def _winograd(given: Given) -> list[Array]:
    """Tiles at the edges that are not full, and padding that differs from side to side."""
    random = np.random.default_rng(0)
    x, weight, bias = (given(random.standard_normal(shape)) for shape in ((3, 27, 30, 48), (80, 48, 3, 3), 80))
    return [winograd.convolve(x, winograd.transformed(weight), bias, (1, 2, 0, 1), lowest=0)]


# Errors of rounding grow as the root of the number of terms: Higham and Mary, "A New Approach to Probabilistic Rounding
# Error Analysis", SIAM J. Sci. Comput. 2019. In float32 a single term left out is hundreds of times larger.
SELF_TESTS = {
    "depthwise": SelfTest(_depthwise, 4, {"cpu": ("float32", "float64")}),  # sums of ten products
    "gram": SelfTest(_gram, math.sqrt(29 * 31), DTYPES),
    "overlay": SelfTest(_overlay, 0, DTYPES),
    "unpool": SelfTest(_unpool, 4, DTYPES),  # at most four windows share a place
    # Two to three times plain sums' errors, which are those of 48 * 9 products (kernels/winograd).
    "winograd": SelfTest(_winograd, 3 * math.sqrt(48 * 9), {"cpu": ("float32",)}),
}


def _verdict(kernel: str, test: SelfTest, backend: str, dtype: str) -> Verdict:
    start, difference, error = time.perf_counter(), math.nan, ""
    try:
        with _forced("reference"):
            expected = test.run(lambda values: _rounded(values, dtype))
        with _forced(backend):
            found = test.run(lambda values: _placed(values, backend, dtype))
        difference = float(np.max([_difference(*pair) for pair in zip(found, expected, strict=True)]))
    except Exception as raised:  # whatever a kernel raises here is its failure, to be told beside the others' state
        error = f"{type(raised).__name__}: {raised}"
    return Verdict(kernel, backend, dtype, difference, _allowed(test, dtype), time.perf_counter() - start, error)


def _allowed(test: SelfTest, dtype: str) -> float:
    """Half types are summed in float32 and rounded once more to be stored; copies are never rounded."""
    stored = {"float16": 2.0**-10, "bfloat16": 2.0**-7}.get(dtype, 0.0)
    summed = float(np.finfo("float64" if dtype == "float64" else "float32").eps)
    return test.roundings * summed + stored if test.roundings else 0.0


def _difference(found: Array, expected: np.ndarray) -> float:
    numbers = found.double().cpu().numpy() if is_tensor(found) else found
    return float(np.abs(numbers - expected.astype(np.float64)).max() / np.abs(expected).max())


def _rounded(values: np.ndarray, dtype: str) -> np.ndarray:
    """As this type stores them, in one that NumPy has."""
    if values.dtype.kind != "f" or dtype in DTYPES["reference"]:
        return values.astype(dtype) if values.dtype.kind == "f" else values
    import torch

    return torch.from_numpy(values).to(getattr(torch, dtype)).float().numpy()


def _placed(values: np.ndarray, backend: str, dtype: str) -> Array:
    if backend != "cuda":
        return _rounded(values, dtype)
    import torch

    tensor = torch.from_numpy(values).cuda()
    return tensor.to(getattr(torch, dtype)) if tensor.is_floating_point() else tensor


def _is_here(backend: str) -> bool:
    if backends()[backend] is not None:
        return False
    if backend == "cuda":  # arrays get there with torch, whose build may lack CUDA
        import torch

        return torch.cuda.is_available()
    return True


@contextmanager
def _forced(backend: str) -> Iterator[None]:
    before = os.environ.get(FORCES)
    os.environ[FORCES] = backend
    try:
        yield
    finally:
        if before is None:
            del os.environ[FORCES]
        else:
            os.environ[FORCES] = before
