"""The spectral norm against NumPy's singular values."""

from __future__ import annotations

import numpy as np
import pytest
from onnxray.engine.structure.spectral import spectral_norm


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (5, 5), (32, 27), (64, 576), (400, 120), (333, 333)])
@pytest.mark.parametrize("scale", [1.0, 1e-20, 1e20])
def test_random_matrices(shape: tuple[int, int], scale: float) -> None:
    matrix = np.random.default_rng(sum(shape)).normal(size=shape) * scale
    assert spectral_norm(matrix) == pytest.approx(np.linalg.norm(matrix, 2), rel=1e-5)


@pytest.mark.parametrize("rank", [1, 2, 7])
def test_low_rank(rank: int) -> None:
    random = np.random.default_rng(rank)
    matrix = random.normal(size=(60, rank)) @ random.normal(size=(rank, 90))
    assert spectral_norm(matrix) == pytest.approx(np.linalg.norm(matrix, 2), rel=1e-5)


def test_equal_and_nearly_equal_singular_values() -> None:
    assert spectral_norm(np.eye(50)) == pytest.approx(1, rel=1e-6)
    matrix = np.diag(np.linspace(1, 1 - 1e-5, 200))
    assert spectral_norm(matrix) == pytest.approx(1, rel=1e-5)


def test_nothing_to_stretch() -> None:
    assert spectral_norm(np.zeros((4, 7))) == 0
    assert spectral_norm(np.zeros((0, 7))) == 0


def test_half_precision_is_widened() -> None:
    matrix = np.full((100, 100), 60000, np.float16)
    assert spectral_norm(matrix) == pytest.approx(100 * float(np.float16(60000)), rel=1e-6)
