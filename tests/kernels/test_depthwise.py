"""Depthwise convolutions of windows against those of torch, in float64, of the whole map for each position: every form,
type, memory layout and kind of size; bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from kernel_cases import FORMS, Form, each_layout, numbers
from onnxray.kernels import depthwise
from onnxray.kernels.dispatch import DTYPES

each_form_and_dtype = pytest.mark.parametrize(
    ("form", "dtype"),
    [(form, dtype) for form in FORMS if form.backend != "cuda" for dtype in DTYPES[form.backend]],
    ids=str,
)

# Background, patch: rows and columns; outputs; channels; positions; kernel, strides, dilations.
CASES = (
    ((7, 9), (3, 2), (5, 6), 16, 6, (3, 3), (1, 1), (1, 1)),
    ((7, 9), (3, 2), (3, 4), 37, 6, (3, 3), (2, 1), (1, 2)),
    ((12, 10), (4, 4), (5, 3), 19, 4, (5, 2), (1, 3), (2, 1)),
    ((5, 5), (5, 5), (5, 5), 3, 3, (1, 1), (1, 1), (1, 1)),  # the patch is all there is
    ((6, 4), (0, 0), (4, 4), 2, 3, (3, 3), (1, 1), (1, 1)),  # no patch
    ((1, 1), (1, 1), (3, 3), 1, 2, (3, 3), (1, 1), (1, 1)),
    ((30, 28), (9, 8), (20, 21), 48, 9, (3, 3), (1, 1), (1, 1)),  # enough for several threads
    ((4, 4), (2, 2), (0, 5), 3, 2, (3, 3), (1, 1), (1, 1)),
    ((4, 4), (2, 2), (3, 3), 0, 2, (3, 3), (1, 1), (1, 1)),
    ((4, 4), (2, 2), (3, 3), 3, 0, (3, 3), (1, 1), (1, 1)),
)


def case(shape: tuple[Any, ...], seed: int = 0) -> dict[str, Any]:
    """Windows inside, partly outside, and not at all inside."""
    (rows, columns), (height, width), size, channels, count, kernel, strides, dilations = shape
    random = np.random.default_rng(seed)
    patches_at = np.stack([random.integers(0, most + 1, count) for most in (rows - height, columns - width)], 1)
    reads = [
        (made - 1) * stride + (taps - 1) * dilation + 1
        for made, stride, taps, dilation in zip(size, strides, kernel, dilations, strict=True)
    ]
    at = np.stack(
        [random.integers(-read, most + 1, count) for read, most in zip(reads, (rows, columns), strict=True)], 1
    )
    return {
        "background": random.standard_normal((rows, columns, channels)),
        "patches": random.standard_normal((count, height, width, channels)),
        "patches_at": patches_at,
        "at": at,
        "size": size,
        "weight": random.standard_normal((*kernel, channels)),
        "bias": random.standard_normal(channels),
        "strides": strides,
        "dilations": dilations,
    }


def by_torch(given: dict[str, Any]) -> np.ndarray:
    """Each position's whole map is convolved, zeros around it, and the window cut out."""
    made = []
    channels = given["background"].shape[2]
    weight = torch.from_numpy(numbers(given["weight"])).permute(2, 0, 1)[:, None]
    size = given["size"]
    for patch, (y, x), (row, column) in zip(given["patches"], given["patches_at"], given["at"], strict=True):
        whole = numbers(given["background"]).copy()
        whole[y : y + patch.shape[0], x : x + patch.shape[1]] = numbers(patch)
        margin = 60  # more than any window reaches outside
        padded = np.pad(whole, ((margin, margin), (margin, margin), (0, 0)))[margin + row :, margin + column :]
        image = torch.from_numpy(padded).permute(2, 0, 1)[None]
        bias = torch.from_numpy(numbers(given["bias"]))
        y = torch.nn.functional.conv2d(image, weight, bias, given["strides"], 0, given["dilations"], channels)
        made.append(y[0, :, : size[0], : size[1]].permute(1, 2, 0).numpy())
    return np.array(made).reshape(len(given["patches"]), *size, channels)


ARRAYS = ("background", "patches", "weight", "bias")


@each_layout
@pytest.mark.parametrize("shape", CASES, ids=str)
@each_form_and_dtype
def test_equals_torchs_convolution(form: Form, dtype: str, shape: tuple[Any, ...], layout: Any) -> None:
    for seed, kind in enumerate(("numpy", "torch")):
        given = case(shape, seed)
        wanted = by_torch(given) if given["weight"].shape[2] else np.zeros((len(given["at"]), *given["size"], 0))
        with form.use():
            arrays = {name: form.array(layout(given[name]), dtype, kind) for name in ARRAYS}
            found = depthwise.convolve(**{**given, **arrays})
        allowed = 16 * np.finfo(dtype).eps * np.abs(wanted).max(initial=0)
        assert found.shape == wanted.shape and np.abs(numbers(found) - wanted).max(initial=0) <= allowed


@each_form_and_dtype
def test_clips_and_keeps_nan(form: Form, dtype: str) -> None:
    given = case(CASES[1])
    given["patches"][2] = np.nan
    with form.use():
        arrays = {name: form.array(given[name], dtype) for name in ARRAYS}
        plain = depthwise.convolve(**{**given, **arrays})
        clipped = depthwise.convolve(**{**given, **arrays}, lowest=0, highest=0.5)
    assert np.nanmin(plain) < 0 and np.nanmax(plain) > 0.5 and not np.isnan(plain[[0, 1, 3, 4, 5]]).any()
    np.testing.assert_array_equal(clipped, np.clip(plain, 0, 0.5))


def test_threads_do_not_change_a_bit() -> None:
    given, found = case(CASES[6]), []
    for form in FORMS:
        if form.backend == "cpu" and form.simd == "baseline":
            with form.use():
                found.append(depthwise.convolve(**given))
    assert len(found) == 2 and np.array_equal(*found)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"weight": np.ones((3, 3, 4))}, ValueError, r"weight has shape \[3, 3, 4\], expected \[3, 3, 16\]"),
        ({"weight": np.ones((3, 16))}, ValueError, r"expected \[kh, kw, C\]"),
        ({"weight": np.ones((0, 3, 16))}, ValueError, "expected two numbers above 0"),
        ({"bias": np.ones(3)}, ValueError, r"bias has shape \[3\], expected \[16\]"),
        ({"bias": [1.0]}, TypeError, "bias is a list"),
        ({"strides": (0, 1)}, ValueError, r"strides are \[0, 1\], expected two numbers above 0"),
        ({"dilations": (1,)}, ValueError, r"dilations are \[1\]"),
        ({"size": (-1, 2)}, ValueError, "none below 0"),
        ({"at": np.zeros((2, 2), int)}, ValueError, r"at has shape \[2, 2\], expected \[6, 2\]"),
        ({"patches_at": np.full((6, 2), 6)}, ValueError, "lies outside the background"),
        ({"patches": np.ones((6, 3, 2, 16), "f4")}, TypeError, "convert one"),
    ],
)
def test_bad_input_is_one_line(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as raised:
        depthwise.convolve(**{**case(CASES[0]), **changes})
    assert "\n" not in str(raised.value)
