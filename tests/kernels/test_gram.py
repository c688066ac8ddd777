"""Gram matrices against their definition: every form, dtype, shape and memory layout; gradients; bad input."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from kernel_cases import CPU, Form, each_form, each_form_and_dtype, each_layout, numbers
from onnxray.kernels import set_threads
from onnxray.kernels.gram import VARIANTS, gram

SHAPES = (
    (2, 8, 5, 7),
    (1, 1, 1, 1),
    (3, 2, 1, 1),
    (1, 3, 2, 8),  # rows of exactly one vector
    (2, 33, 3, 5),  # one row more than a block
    (1, 70, 13, 13),  # three blocks a side, a ragged one
    (2, 5, 100, 99),  # rows in several chunks and slices
    (1, 40, 8200),  # no image: one spatial axis
    (2, 6, 3, 2, 5),
    (0, 4, 3, 3),
    (2, 0, 3, 3),
)
# Of each matrix's largest value; half types by how finely they store the answer.
ACCURACY = {"float64": 1e-13, "float32": 1e-5, "float16": 1e-3, "bfloat16": 1e-2}


def by_definition(values: np.ndarray, variant: str) -> np.ndarray:
    """Entry by entry, from the formulas."""
    flat = values.astype(np.float64).reshape(*values.shape[:2], math.prod(values.shape[2:]))
    expected = np.zeros((len(flat), flat.shape[1], flat.shape[1]))
    for image, matrix in zip(flat, expected, strict=True):
        rows = [row - row.mean() if variant == "covariance" else row for row in image]
        divisor = image.size if variant == "plain" else image.shape[1]
        for i, one in enumerate(rows):
            for j, other in enumerate(rows):
                matrix[i, j] = np.dot(one, other) / divisor
    return expected


def values_of(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Like activations: most are positive, and channels differ in size."""
    random = np.random.default_rng(seed)
    size = random.uniform(0.1, 3, (1, shape[1], *[1] * (len(shape) - 2)))
    return np.maximum(random.standard_normal(shape) + 0.5, -0.1) * size


def assert_accurate(found: object, expected: np.ndarray, dtype: str) -> None:
    found = numbers(found)
    assert found.shape == expected.shape
    for one, other in zip(found, expected, strict=True):
        assert np.abs(one - other).max(initial=0) <= ACCURACY[dtype] * np.abs(other).max(initial=0)


@each_layout
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@each_form_and_dtype
def test_equals_its_definition(form: Form, dtype: str, shape: tuple[int, ...], layout) -> None:
    for seed, (variant, kind) in enumerate((variant, kind) for variant in VARIANTS for kind in ("numpy", "torch")):
        with form.use():
            x = form.array(layout(values_of(shape, seed)), dtype, kind)
            found = gram(x, variant)
            assert type(found) is type(x) and found.dtype == x.dtype
            assert_accurate(found, by_definition(numbers(x), variant), dtype)


@each_form
def test_is_symmetric_to_the_last_bit(form: Form) -> None:
    with form.use():
        found = numbers(gram(form.array(values_of((2, 67, 9, 11)), "float32")))
    np.testing.assert_array_equal(found, found.transpose(0, 2, 1))


def test_long_rows_of_positive_numbers_stay_accurate() -> None:
    x = values_of((1, 4, 1000, 1000)).astype(np.float32) + 1
    assert_accurate(gram(x), by_definition(x, "plain"), "float32")


def test_the_number_of_threads_changes_no_bit() -> None:
    for shape in ((1, 20, 40000), (2, 100, 900)):
        x = values_of(shape).astype(np.float32)
        found = []
        for threads in (1, 2, 7):
            set_threads(threads)
            found.append(gram(x))
        set_threads(0)
        assert (found[0] == found[1]).all() and (found[0] == found[2]).all()


@pytest.mark.parametrize("form", CPU, ids=str)
def test_reads_nothing_beside_the_array(form: Form) -> None:
    """Rows shorter and longer than a vector, with NaN before and after: one would spread."""
    with form.use():
        for length in (1, 3, 7, 15, 16, 17, 31, 49):
            around = np.full(2 * 64 + 5 * length, np.nan, np.float32)
            x = around[64:-64].reshape(1, 5, length)
            x[:] = values_of(x.shape)
            assert_accurate(gram(x), by_definition(x, "plain"), "float32")


@pytest.mark.parametrize("form", CPU, ids=str)
def test_infinities_and_nan_stay_where_they_belong(form: Form) -> None:
    with form.use():
        x = np.ones((1, 5, 19), np.float32)
        x[0, 1, 4], x[0, 3, 18] = np.inf, np.nan
        found = gram(x, "mean")
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(found, by_definition(x, "mean"))


def test_several_layers_at_once() -> None:
    layers = [values_of((2, 3, 4, 4)), values_of((2, 6, 2, 2))]
    together = gram(layers, "mean")
    assert [matrix.shape for matrix in together] == [(2, 3, 3), (2, 6, 6)]
    for layer, matrix in zip(layers, together, strict=True):
        np.testing.assert_array_equal(matrix, gram(layer, "mean"))
    assert gram([]) == []


@pytest.mark.parametrize("variant", VARIANTS)
def test_gradients_of_first_and_second_order(variant: str) -> None:
    for seed in range(3):
        x = torch.from_numpy(values_of((2, 3, 2, 4), seed)).requires_grad_()
        assert torch.autograd.gradcheck(lambda x: gram(x, variant), x)
        assert torch.autograd.gradgradcheck(lambda x: gram(x, variant), x)


def test_a_style_loss_has_torch_s_own_gradient() -> None:
    x = torch.from_numpy(values_of((2, 40, 12, 12))).requires_grad_()
    weights = torch.from_numpy(np.random.default_rng(1).standard_normal((2, 40, 40)))  # not symmetric
    flat = x.flatten(2)
    losses = (weights * gram(x)).sum(), (weights * torch.bmm(flat, flat.mT) / (40 * 144)).sum()
    found, expected = (torch.autograd.grad(loss, x)[0] for loss in losses)
    torch.testing.assert_close(found, expected)


def test_a_tensor_without_gradient_gives_one_without() -> None:
    assert not gram(torch.ones(1, 2, 3, 3)).requires_grad
    with torch.no_grad():
        assert not gram(torch.ones(1, 2, 3, 3, requires_grad=True)).requires_grad


def test_more_than_two_to_the_31_elements() -> None:
    """Pages that are only read cost no memory."""
    x = np.zeros((2, 2, 2**29 + 8), np.float32)
    assert x.size > 2**31
    x[1, :, -1] = 2, 3
    expected = np.zeros((2, 2, 2))
    expected[1] = [[4, 6], [6, 9]]
    np.testing.assert_allclose(gram(x, "mean") * x.shape[-1], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        ([[1.0]], TypeError, r"x\[0\] is a list, expected a NumPy array or a torch tensor"),
        (np.zeros((2, 3)), ValueError, r"x has shape \[2, 3\], expected \[N, C, H, W\]"),
        (np.zeros((2, 3, 0, 4)), ValueError, "there are no positions"),
        (np.zeros((2, 3, 4), np.int32), ValueError, "cpu: x is int32, expected float32 or float64"),
        (torch.zeros((2, 3, 4), dtype=torch.float16), ValueError, "x is float16, expected float32 or float64"),
        (torch.zeros((2, 3, 4), device="meta"), ValueError, "x lies on meta"),
    ],
)
def test_bad_input_is_told_in_one_line(x: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        gram(x)
    assert "\n" not in str(caught.value)


def test_an_unknown_variant_is_refused() -> None:
    with pytest.raises(ValueError, match="variant is 'sum', expected plain, mean, covariance"):
        gram(np.ones((1, 2, 3)), "sum")
