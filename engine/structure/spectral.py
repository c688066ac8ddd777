"""The largest singular value of a large matrix."""

from __future__ import annotations

import numpy as np

from ...importers.provenance import SEED

_STEPS = 300
_CHECK = 5  # steps between looks at the error
_TOLERANCE = 1e-5  # of the squared norm
_DOUBLE = 1 << 24  # elements up to which the products are taken in float64


def spectral_norm(
    matrix: np.ndarray,  # [M, N] numbers, all finite
) -> float:
    """How much the matrix can stretch a vector: its largest singular value, to five digits.

    Lanczos' iteration on A·Aᵀ with full reorthogonalisation: the residual of the largest Ritz pair bounds the error.
    (C. Lanczos, 1950; G. Golub and C. Van Loan, Matrix Computations, 10.1)
    """
    if not matrix.size:
        return 0.0
    work = matrix if len(matrix) <= matrix.shape[1] else matrix.T
    work = work.astype(np.float64 if work.size <= _DOUBLE else np.float32, copy=False)
    largest = float(np.abs(work).max())
    if largest == 0:
        return 0.0
    start = np.random.default_rng(SEED).normal(size=len(work))
    return largest * _lanczos(work, start / np.linalg.norm(start), 1 / largest)


def _lanczos(work: np.ndarray, direction: np.ndarray, scale: float) -> float:
    """The largest singular value of `scale * work`, from a unit vector."""
    basis = [direction]
    diagonal: list[float] = []
    beside: list[float] = []
    steps = min(len(work), _STEPS)
    top = 0.0
    for step in range(1, steps + 1):
        image = scale * (work.T @ direction.astype(work.dtype))
        grown = (scale * (work @ image)).astype(np.float64)
        diagonal.append(float(direction @ grown))
        for _ in range(2):  # once is not enough in floating point
            known = np.stack(basis)
            grown -= known.T @ (known @ grown)
        remainder = float(np.linalg.norm(grown))
        if step % _CHECK == 0 or step == steps or remainder < 1e-14:
            values, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1))
            top = max(float(values[-1]), 0.0)
            if remainder * abs(vectors[-1, -1]) <= _TOLERANCE * top:
                break
        if remainder < 1e-14:
            break
        direction = grown / remainder
        basis.append(direction)
        beside.append(remainder)
    return float(np.sqrt(top))
