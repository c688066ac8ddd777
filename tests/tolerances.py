"""dtype -> (rtol, atol): the one table every comparison uses."""

from __future__ import annotations

import numpy as np

TOLERANCES = {
    np.dtype("float64"): (1e-9, 1e-11),
    np.dtype("float32"): (1e-4, 1e-5),
    np.dtype("float16"): (1e-2, 1e-3),
}


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    """Equal within the tolerance of the coarser of the two dtypes."""
    coarser = min((found.dtype, expected.dtype), key=lambda dtype: np.finfo(dtype).bits)
    rtol, atol = TOLERANCES[np.dtype(coarser)]
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol)
