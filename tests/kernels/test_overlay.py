"""Windows with patches laid over them, against their definition: every form, dtype and memory layout; bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernel_cases import Form, each_form, each_form_and_dtype, each_layout, numbers
from onnxray.kernels.overlay import overlay

# Background, patch, window: sizes as rows and columns; channels; positions.
SHAPES = (
    ((7, 9), (3, 2), (5, 6), 4, 6),
    ((1, 1), (1, 1), (3, 3), 1, 2),
    ((5, 5), (5, 5), (5, 5), 3, 3),  # the patch is all there is
    ((6, 4), (0, 0), (4, 4), 2, 3),  # no patch
    ((40, 37), (11, 9), (30, 31), 17, 9),  # enough for several threads
    ((4, 4), (2, 2), (0, 5), 3, 2),
    ((4, 4), (2, 2), (3, 3), 0, 2),
    ((4, 4), (2, 2), (3, 3), 3, 0),
)


def case(shape: tuple[Any, ...], seed: int) -> tuple[np.ndarray, ...]:
    """Background, patches, where they lie, where the windows lie: inside, partly outside, and not at all inside."""
    (rows, columns), (height, width), size, channels, count = shape
    random = np.random.default_rng(seed)
    patches_at = np.stack([random.integers(0, most + 1, count) for most in (rows - height, columns - width)], 1)
    at = np.stack(
        [random.integers(-window - 1, most + 2, count) for window, most in zip(size, (rows, columns), strict=True)], 1
    )
    background = random.standard_normal((rows, columns, channels))
    return background, random.standard_normal((count, height, width, channels)), patches_at, at


def place_by_place(
    background: np.ndarray,
    patches: np.ndarray,
    patches_at: np.ndarray,
    at: np.ndarray,
    size: tuple[int, int],
    fill: float,
) -> np.ndarray:
    made = np.empty((len(patches), *size, background.shape[2]))
    for p, row, column in np.ndindex(made.shape[:3]):
        y, x = at[p] + (row, column)
        v, u = (y, x) - patches_at[p]
        if 0 <= v < patches.shape[1] and 0 <= u < patches.shape[2]:
            made[p, row, column] = patches[p, v, u]
        else:
            inside = 0 <= y < len(background) and 0 <= x < background.shape[1]
            made[p, row, column] = background[y, x] if inside else fill
    return made


@each_layout
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@each_form_and_dtype
def test_equals_its_definition(form: Form, dtype: str, shape: tuple[Any, ...], layout: Any) -> None:
    for seed, kind in enumerate(("numpy", "torch")):
        background, patches, patches_at, at = case(shape, seed)
        with form.use():
            arrays = [form.array(layout(values), dtype, kind) for values in (background, patches)]
            found = overlay(*arrays, patches_at, at, shape[2], -1.5)
        rounded = [numbers(array) for array in arrays]
        np.testing.assert_array_equal(numbers(found), place_by_place(*rounded, patches_at, at, shape[2], -1.5))


@each_form
def test_writes_where_it_is_told(form: Form) -> None:
    background, patches, patches_at, at = case(SHAPES[0], 3)
    with form.use():
        arrays = [form.array(values, "float32") for values in (background, patches)]
        out = form.array(np.full((6, 5, 6, 4), np.nan), "float32")
        assert overlay(*arrays, patches_at, at, (5, 6), -np.inf, out=out) is out
        assert np.array_equal(numbers(out), numbers(overlay(*arrays, patches_at, at, (5, 6), -np.inf)))


BACKGROUND, PATCHES = np.zeros((4, 5, 3), np.float32), np.zeros((2, 2, 2, 3), np.float32)
AT = np.zeros((2, 2), np.int64)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"background": [[1.0]]}, "background is a list, expected a NumPy array"),
        ({"background": BACKGROUND[0]}, r"background has shape \[5, 3\], expected \[H, W, C\]"),
        ({"patches": PATCHES[..., :2]}, r"patches has shape \[2, 2, 2, 2\], expected \[2, 2, 2, 3\]"),
        ({"patches": PATCHES.astype("f8")}, "background is float32 and patches float64: convert one"),
        ({"background": BACKGROUND.astype("i4"), "patches": PATCHES.astype("i4")}, "no backend takes these arrays"),
        ({"at": AT[:1]}, r"at has shape \[1, 2\], expected \[2, 2\]"),
        ({"patches_at": AT + 3}, "patch 0 of 2 x 2 at row 3, column 3 lies outside the background of 4 x 5"),
        ({"patches_at": AT - 1}, "patch 0 of 2 x 2 at row -1, column -1 lies outside"),
        ({"size": (-1, 2)}, r"size is \(-1, 2\), expected rows and columns"),
        ({"out": np.zeros((2, 3, 3, 2), np.float32)}, r"out has shape \[2, 3, 3, 2\], expected \[2, 3, 3, 3\]"),
    ],
)
def test_one_line_for_what_does_not_fit(changes: dict[str, Any], message: str) -> None:
    arguments = {"background": BACKGROUND, "patches": PATCHES, "patches_at": AT, "at": AT, "size": (3, 3)} | changes
    with pytest.raises((TypeError, ValueError), match=message) as raised:
        overlay(**arguments)
    assert "\n" not in str(raised.value)
