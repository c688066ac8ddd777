"""3 x 3 convolutions against torch's in float64: every form, memory layout and kind of size; bad input."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from kernel_cases import FORMS, Form, each_layout, numbers
from onnxray.kernels import winograd

each_form = pytest.mark.parametrize("form", [form for form in FORMS if form.backend != "cuda"], ids=str)

# Images [N, H, W, C], outputs M, padding above, left, below, right.
CASES = (
    ((1, 3, 3, 16), 16, (0, 0, 0, 0)),  # a single output place
    ((2, 1, 1, 16), 32, (1, 1, 1, 1)),
    ((2, 6, 6, 16), 16, (0, 0, 0, 0)),  # one whole tile
    ((3, 7, 10, 32), 48, (1, 1, 1, 1)),
    ((2, 9, 5, 16), 32, (2, 0, 1, 3)),
    ((1, 4, 5, 48), 16, (4, 5, 4, 5)),  # tiles that lie in the padding
    ((9, 14, 15, 16), 80, (1, 1, 1, 1)),  # enough for several threads
    ((0, 5, 5, 16), 16, (1, 1, 1, 1)),
)


def case(shape: tuple[Any, ...], seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, weight, bias."""
    size, outputs, _ = shape
    random = np.random.default_rng(seed)
    drawn = random.normal(size=size), random.normal(size=(outputs, size[3], 3, 3)), random.normal(size=outputs)
    return drawn[0].astype("f4"), (drawn[1] / (3 * math.sqrt(size[3]))).astype("f4"), drawn[2].astype("f4")


def plain_sums(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, padding: tuple[int, ...]) -> np.ndarray:
    above, left, below, right = padding
    image = torch.nn.functional.pad(torch.from_numpy(x).double().permute(0, 3, 1, 2), (left, right, above, below))
    made = torch.nn.functional.conv2d(image, torch.from_numpy(weight).double(), torch.from_numpy(bias).double())
    return made.permute(0, 2, 3, 1).numpy()


@each_layout
@pytest.mark.parametrize("shape", CASES, ids=str)
@each_form
def test_equals_plain_sums(form: Form, shape: tuple[Any, ...], layout: Any) -> None:
    for seed, kind in enumerate(("numpy", "torch")):
        drawn = case(shape, seed)
        with form.use():
            x, weight, bias = (form.array(layout(values), "float32", kind) for values in drawn)
            found = winograd.convolve(x, winograd.transformed(weight), bias, shape[2])
        wanted = plain_sums(*drawn, shape[2])
        assert np.abs(numbers(found) - wanted).max(initial=0) <= 3e-6 * np.abs(wanted).max(initial=0)


@each_form
def test_clips_and_keeps_nan(form: Form) -> None:
    x, weight, bias = case(CASES[3], 0)
    x[1, 2, 3, 4] = math.nan
    with form.use():
        found = winograd.convolve(x, winograd.transformed(weight), bias, (1, 1, 1, 1), 0.0, 0.5)
    spoiled = np.isnan(found).any(-1)
    assert spoiled[1, 1:4, 2:5].all() and not spoiled[[0, 2]].any()
    sums = plain_sums(x, weight, bias, (1, 1, 1, 1))[[0, 2]]
    assert sums.min() < 0 and sums.max() > 0.5
    np.testing.assert_allclose(found[[0, 2]], np.clip(sums, 0, 0.5), rtol=0, atol=3e-6 * np.abs(sums).max())


def test_threads_do_not_change_a_bit() -> None:
    x, weight, bias = case(CASES[6], 0)
    found = []
    for form in FORMS:
        if form.backend == "cpu" and form.simd == "baseline":
            with form.use():
                found.append(winograd.convolve(x, winograd.transformed(weight), bias, (1, 1, 1, 1)))
    assert len(found) == 2 and np.array_equal(*found)


X, WEIGHT, BIAS = case(CASES[3], 0)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda w: winograd.transformed(WEIGHT.astype("f8")), TypeError, "weight is float64, expected float32"),
        (lambda w: winograd.transformed(WEIGHT[:, :, :2]), ValueError, r"expected \[48, 32, 3, 3\]"),
        (lambda w: winograd.transformed(WEIGHT[:47]), ValueError, "16 must divide"),
        (lambda w: winograd.transformed([1.0]), TypeError, "weight is a list"),
        (lambda w: winograd.convolve(X[..., :16], w, BIAS, (1, 1, 1, 1)), ValueError, r"expected \[3, 7, 10, 32\]"),
        (lambda w: winograd.convolve(X[0], w, BIAS, (1, 1, 1, 1)), ValueError, r"expected \[N, H, W, C\]"),
        (
            lambda w: winograd.convolve(X, w, BIAS[:3], (1, 1, 1, 1)),
            ValueError,
            r"bias has shape \[3\], expected \[48\]",
        ),
        (lambda w: winograd.convolve(X, w, torch.from_numpy(BIAS), (1, 1, 1, 1)), TypeError, "hand in one kind"),
        (lambda w: winograd.convolve(X, w, BIAS, (1, 1, 1)), ValueError, "expected four numbers"),
        (lambda w: winograd.convolve(X, w, BIAS, (1, -1, 1, 1)), ValueError, "none below 0"),
        (lambda w: winograd.convolve(X[:, :2], w, BIAS, (0, 0, 0, 0)), ValueError, "too small for 3 x 3"),
    ],
)
def test_bad_input_is_one_line(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as raised:
        call(winograd.transformed(WEIGHT))
    assert "\n" not in str(raised.value)


def test_pays_where_tiles_are_full() -> None:
    assert winograd.pays(56, 56) and winograd.pays(7, 7) and winograd.pays(6, 6)
    assert not winograd.pays(5, 5) and not winograd.pays(1, 1)
