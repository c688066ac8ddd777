"""What every kernel's battery shares: the forms a kernel has here, memory layouts, and arrays of each kind.

A form is a backend with, on the CPU, the vector instructions allowed and the number of threads. Those that this machine
lacks are skipped with `backends()`' reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from onnxray.kernels import backends, set_threads
from onnxray.kernels.build_info import build_info
from onnxray.kernels.dispatch import DTYPES


@dataclass(frozen=True)
class Form:
    backend: str
    simd: str = ""
    threads: int = 0

    def __str__(self) -> str:
        return "-".join(filter(None, (self.backend, self.simd, f"{self.threads}t" if self.threads else "")))

    @contextmanager
    def use(self) -> Iterator[None]:
        """The block runs in this form, or the test is skipped."""
        if reason := backends()[self.backend]:
            pytest.skip(f"{self.backend}: {reason}")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ONNXRAY_BACKEND", self.backend)
            if self.backend != "cpu":
                yield
                return
            from onnxray.kernels import _native

            _native.set_simd(self.simd)
            set_threads(self.threads)
            try:
                if build_info()["simd"] != self.simd:
                    pytest.skip(f"this processor has no {self.simd}")
                yield
            finally:
                _native.set_simd("avx512")  # or the best there is
                set_threads(0)

    def array(self, values: np.ndarray, dtype: str, kind: str = "numpy") -> Any:
        """The values with their strides, as this dtype, where the form works. kind: numpy or torch (always on CUDA)."""
        if kind == "numpy" and self.backend != "cuda":
            return values.astype(dtype, order="K", copy=False)
        import torch

        place = "cuda" if self.backend == "cuda" else "cpu"
        return torch.from_numpy(values).to(place, getattr(torch, dtype))


CPU = tuple(Form("cpu", simd, threads) for simd in ("baseline", "avx2", "avx512") for threads in (1, 3))
FORMS = (Form("reference"), *CPU, Form("cuda"))
each_form = pytest.mark.parametrize("form", FORMS, ids=str)
each_form_and_dtype = pytest.mark.parametrize(
    ("form", "dtype"),
    [pytest.param(form, dtype, id=f"{form}-{dtype}") for form in FORMS for dtype in DTYPES[form.backend]],
)


def _channels_last(values: np.ndarray) -> np.ndarray:
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(values, 1, -1)), -1, 1) if values.ndim > 1 else values


def _every_other(values: np.ndarray) -> np.ndarray:
    wide = np.full((*values.shape[:-1], 2 * values.shape[-1]), np.nan, values.dtype)  # what lies between is never read
    wide[..., ::2] = values
    return wide[..., ::2]


LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "rows": np.ascontiguousarray,
    "channels last": _channels_last,
    "every other": _every_other,
}
each_layout = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=[name.replace(" ", "-") for name in LAYOUTS])


def numbers(array: Any) -> np.ndarray:
    """The values as float64 (integers stay)."""
    if not isinstance(array, np.ndarray):
        array = array.detach().cpu()
        array = (array.double() if array.is_floating_point() else array).numpy()
    return array.astype(np.float64) if array.dtype.kind == "f" else array
