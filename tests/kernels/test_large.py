"""Indices beyond 2^31: what a 32-bit index would turn into another place, or one outside the array.

Inputs are zeros but for a few numbers; pages of memory that are only read cost nothing, so their tests run everywhere.
An output has to be written: the tests of one with 8 GiB run where ONNXRAY_LARGE is set.
"""

from __future__ import annotations

import os

import numpy as np
import pytest
from onnxray.kernels.overlay import overlay
from onnxray.kernels.unpool import unpool, values_at

BEYOND = 2**31 + 16
needs_memory = pytest.mark.skipif(
    "ONNXRAY_LARGE" not in os.environ, reason="writes 8 GiB: set ONNXRAY_LARGE=1 where 10 GiB of memory are free"
)


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNXRAY_BACKEND", "cpu")


def test_overlay_reads_a_large_background() -> None:
    background = np.zeros((3, BEYOND // 2, 1), np.float32)
    assert background[:2].size > 2**31 - 1
    background[2, -3:, 0] = 1, 2, 3
    patches = np.full((1, 1, 1, 1), 9, np.float32)
    found = overlay(background, patches, [[2, background.shape[1] - 2]], [[1, background.shape[1] - 3]], (2, 4), -1)
    np.testing.assert_array_equal(found[0, :, :, 0], [[0, 0, 0, -1], [1, 9, 3, -1]])


def test_overlay_reads_large_patches() -> None:
    """The third patch begins beyond 2^31."""
    side = 2**30 + 8
    background, patches = np.zeros((1, side, 1), np.float32), np.zeros((3, 1, side, 1), np.float32)
    patches[2, 0, :2, 0], patches[2, 0, -2:, 0] = (1, 2), (3, 4)
    found = overlay(background, patches, np.zeros((3, 2)), [[0, 0], [0, 0], [0, side - 2]], (1, 3), -1)
    np.testing.assert_array_equal(found[:, 0, :, 0], [[0, 0, 0], [0, 0, 0], [3, 4, -1]])


@needs_memory
def test_overlay_writes_a_large_output() -> None:
    width = 2**29 + 8
    background, patches = np.zeros((1, width, 1), np.float32), np.zeros((4, 1, 1, 1), np.float32)
    patches[:, 0, 0, 0] = 1, 2, 3, 4
    patches_at = [[0, 0], [0, 1], [0, 2], [0, width - 1]]
    found = overlay(background, patches, patches_at, np.zeros((4, 2)), (1, width))
    assert found.size > 2**31
    for window, (_, column) in zip(found[:, 0, :, 0], patches_at, strict=True):
        assert np.count_nonzero(window) == 1 and window[column] == column % (width - 4) + 1


def test_values_are_taken_from_a_large_plane() -> None:
    x, step = np.zeros((1, BEYOND), np.float32), 2**30
    at = [0, step + 1, 2 * step]
    x[0, at] = 1, 2, 3
    switches = np.array([[0, 1, 0]], np.uint8)
    np.testing.assert_array_equal(values_at(x, switches, (2,), stride=step), [[1, 2, 3]])
    np.testing.assert_array_equal(values_at(x, np.array([at]), (2,), stride=step), [[1, 2, 3]])


def test_values_are_taken_from_planes_that_are_large_together() -> None:
    length = 2**30 + 8
    x = np.zeros((3, length), np.float32)
    x[2, -2:] = 4, 5
    found = values_at(x, np.array([[0, 1], [0, 1], [0, 1]], np.uint8), (2,), stride=length - 2)
    np.testing.assert_array_equal(found, [[0, 0], [0, 0], [0, 5]])


@needs_memory
def test_unpool_writes_a_large_output() -> None:
    """A plane larger than 2^31; then many, whose windows lie side by side."""
    step = 2**30
    found = unpool(
        np.array([[1, 2, 3]], np.float32), np.array([[0, 1, 1]], np.uint8), (2,), stride=step, size=(BEYOND,)
    )
    assert np.count_nonzero(found) == 3
    np.testing.assert_array_equal(found[0, [0, step + 1, 2 * step + 1]], [1, 2, 3])
    del found
    y, switches = np.zeros((17, 2**12, 2**13), np.float32), np.zeros((17, 2**12, 2**13), np.uint8)
    y[16, -1, -1], switches[16, -1, -1] = 5, 3
    found = unpool(y, switches, (2, 2))
    assert found.size > 2**31 and np.count_nonzero(found) == 1 and found[16, -1, -1] == 5
