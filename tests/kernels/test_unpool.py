"""unpool against loops written from its definition, torch's gradient of max pooling, and torch's max_unpool."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from kernel_cases import CPU, FORMS, Form, each_form, each_form_and_dtype, each_layout, numbers
from onnxray.kernels.unpool import Overlap, max_pool, plane_places, unpool, values_at
from onnxray.kernels.unpool.window import Geometry, Window
from torch.nn import functional

OVERLAPS: tuple[Overlap, ...] = ("add", "overwrite")


@dataclass(frozen=True)
class Pool:
    size: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: int | tuple[int, ...]
    padding: int | tuple[int, ...] = 0
    dilation: int | tuple[int, ...] = 1
    ceil_mode: bool = False
    planes: tuple[int, ...] = (2, 3)

    @property
    def options(self) -> dict[str, Any]:
        return {"kernel": self.kernel, "stride": self.stride, "padding": self.padding, "dilation": self.dilation}

    def recorded(self, seed: int = 0, dtype: str = "float64") -> tuple[np.ndarray, np.ndarray]:
        """Values to put back, and switches of random maxima."""
        random = np.random.default_rng(seed)
        x = random.standard_normal((*self.planes, *self.size)).astype(dtype)
        y, switches = max_pool(x, ceil_mode=self.ceil_mode, **self.options)
        return random.standard_normal(y.shape).astype(dtype), switches


POOLS = {
    "halves": Pool((12, 40), (2, 2), 2),
    "wide halves": Pool((4, 112), (2, 2), 2),
    "a rest that no window sees": Pool((9, 37), (2, 2), 2),
    "ceil": Pool((9, 37), (2, 2), 2, ceil_mode=True),
    "rows of one pair": Pool((6, 2), (2, 2), 2, planes=(3, 3)),
    "rows of a vector less a window": Pool((4, 30), (2, 2), 2, planes=(1, 2)),
    "rows of a vector": Pool((4, 32), (2, 2), 2, planes=(1, 2)),
    "rows of a vector and a window": Pool((5, 35), (2, 2), 2, planes=(1, 2)),
    "pairs in rows of three": Pool((10, 25), (3, 2), (4, 2), (1, 0), ceil_mode=True),
    "pairs in rows that overlap": Pool((9, 24), (3, 2), 2),
    "more than a byte, in pairs": Pool((258, 20), (129, 2), (129, 2)),
    "thirds, padded": Pool((13, 50), (3, 3), 3, 1, ceil_mode=True),
    "overlapping": Pool((14, 37), (3, 3), 2, ceil_mode=True),
    "overlapping, padded": Pool((13, 64), (3, 3), 2, 1),
    "stride one": Pool((7, 33), (3, 3), 1, 1),
    "too many windows a place": Pool((9, 20), (5, 5), 1, 2),
    "dilated": Pool((15, 41), (3, 2), (2, 3), (1, 1), (2, 4)),
    "gaps": Pool((11, 47), (2, 1), (3, 5)),
    "pads differ": Pool((10, 29), (3, 4), 2, (1, 0, 0, 2)),
    "one byte's limit": Pool((40, 33), (16, 16), 8),
    "more than a byte": Pool((40, 33), (17, 16), 8),
    "1-D": Pool((67,), (3,), 2, 1),
    "1-D, no planes": Pool((67,), (2,), 2, planes=()),
    "3-D": Pool((4, 6, 20), (2, 2, 2), 2),
    "3-D, overlapping": Pool((5, 7, 19), (3, 2, 3), (1, 2, 2), (1, 0, 1)),
    "one window": Pool((5, 7), (5, 7), 1),
    "one element": Pool((1, 1), (1, 1), 1, planes=(1,)),
    "no planes": Pool((4, 4), (2, 2), 2, planes=(0, 3)),
    "no windows": Pool((2, 5), (3, 3), 2),
}
each_pool = pytest.mark.parametrize("pool", POOLS.values(), ids=[name.replace(" ", "-") for name in POOLS])
each_overlap = pytest.mark.parametrize("overlap", OVERLAPS)
COMMON = POOLS["overlapping, padded"]


def _by_loops(pool: Pool, y: np.ndarray, switches: np.ndarray, overlap: str, relu: bool) -> np.ndarray:
    window = Window.of(pool.kernel, pool.stride, pool.padding, pool.dilation)
    axes = len(pool.size)
    out = np.zeros((*y.shape[:-axes], *pool.size), y.dtype)
    for index in np.ndindex(y.shape):
        plane, at = index[: y.ndim - axes], index[y.ndim - axes :]
        taps = list(product(*map(range, pool.kernel)))[switches[index]]
        place = tuple(
            w * s - b + t * d
            for w, s, b, t, d in zip(at, window.stride, window.before, taps, window.dilation, strict=True)
        )
        out[plane + place] = y[index] + (out[plane + place] if overlap == "add" else 0)
    return np.maximum(out, 0) if relu else out


@each_form_and_dtype
@each_pool
@each_overlap
def test_equals_its_definition(form: Form, dtype: str, pool: Pool, overlap: Overlap) -> None:
    y, switches = pool.recorded()
    with form.use():
        given = form.array(y, dtype)
        rounded = numbers(given)
        for relu in (False, True):
            found = unpool(given, _like(form, switches), size=pool.size, overlap=overlap, relu=relu, **pool.options)
            _assert_rounded(found, _by_loops(pool, rounded, switches, overlap, relu), dtype)


def _like(form: Form, switches: np.ndarray) -> Any:
    return form.array(switches, str(switches.dtype))


def _assert_rounded(found: Any, expected: np.ndarray, dtype: str) -> None:
    """Equal up to the rounding of a few sums."""
    epsilon = 2.0**-7 if dtype == "bfloat16" else float(np.finfo(dtype).eps)
    np.testing.assert_allclose(numbers(found), expected, rtol=0, atol=16 * epsilon)


@each_form
@each_layout
@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_any_layout(form: Form, layout: Any, kind: str) -> None:
    y, switches = COMMON.recorded(dtype="float32")
    expected = _by_loops(COMMON, y, switches, "add", False)
    with form.use():
        given = form.array(layout(y), "float32", kind)
        taken = form.array(np.ascontiguousarray(switches[:, :, ::-1])[:, :, ::-1].copy(), "uint8", kind)
        _assert_rounded(unpool(given, taken, size=COMMON.size, **COMMON.options), expected, "float32")


@pytest.mark.parametrize("seed", range(5))
def test_every_form_adds_in_the_same_order(seed: int) -> None:
    y, switches = COMMON.recorded(seed, "float32")
    results = []
    for form in (FORMS[0], *CPU):
        try:
            with form.use():
                results.append(unpool(y, switches, size=COMMON.size, **COMMON.options))
        except pytest.skip.Exception:
            continue
    assert len(results) > 2
    for result in results:
        np.testing.assert_array_equal(result, results[0])


@each_form
def test_large_outputs_are_streamed(form: Form) -> None:
    pool = Pool((402, 333), (2, 2), 2, planes=(17,))  # rows that begin at any byte of a line
    y, switches = pool.recorded(dtype="float32")
    flat = functional.max_unpool2d(
        torch.from_numpy(y), torch.from_numpy(_places(pool, switches)), 2, output_size=pool.size
    )
    with form.use():
        found = unpool(form.array(y, "float32"), _like(form, switches), size=pool.size, **pool.options)
    np.testing.assert_array_equal(numbers(found), flat.double().numpy())


def _places(pool: Pool, switches: np.ndarray) -> np.ndarray:
    """Switches as torch's indices, by way of the numbers of all places."""
    numbered = np.broadcast_to(
        np.arange(np.prod(pool.size), dtype=np.float64).reshape(pool.size), (*pool.planes, *pool.size)
    )
    return values_at(numbered, switches, **pool.options).astype(np.int64)


TORCH_POOLS = {
    name: pool
    for name, pool in POOLS.items()
    if name not in ("pads differ", "no windows", "1-D, no planes", "no planes")
}
each_torch_pool = pytest.mark.parametrize(
    "pool", TORCH_POOLS.values(), ids=[name.replace(" ", "-") for name in TORCH_POOLS]
)


def _torch_pool(pool: Pool, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    by_rank = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)[len(pool.size) - 1]
    return by_rank(
        x, pool.kernel, pool.stride, pool.padding, pool.dilation, ceil_mode=pool.ceil_mode, return_indices=True
    )


@each_form
@each_torch_pool
def test_is_the_gradient_of_torchs_max_pooling(form: Form, pool: Pool) -> None:
    x = torch.randn((*pool.planes, *pool.size)[-len(pool.size) - 2 :], dtype=torch.float64, requires_grad=True)
    x_pooled, indices = _torch_pool(pool, x)
    grad = torch.randn_like(x_pooled)
    (expected,) = torch.autograd.grad(x_pooled, x, grad)
    with form.use():
        dtype = "float32" if form.backend == "cuda" else "float64"
        taken = form.array(indices.numpy(), "int64", "torch")
        found = unpool(form.array(grad.numpy(), dtype, "torch"), taken, size=pool.size, **pool.options)
        _assert_rounded(found, expected.numpy(), dtype)
        back = values_at(form.array(x.detach().numpy(), dtype, "torch"), taken, **pool.options)
        _assert_rounded(back, x_pooled.detach().numpy(), dtype)


@each_torch_pool
def test_max_pool_records_what_torch_does(pool: Pool) -> None:
    x = np.random.default_rng(0).integers(0, 9, (*pool.planes, *pool.size)).astype("float32")  # with equal maxima
    y, switches = max_pool(x, ceil_mode=pool.ceil_mode, **pool.options)
    lead = (1,) * (2 - len(pool.planes))
    expected, indices = _torch_pool(pool, torch.from_numpy(x.reshape(*lead, *x.shape)))
    np.testing.assert_array_equal(y, expected.numpy().reshape(y.shape))
    np.testing.assert_array_equal(_places(pool, switches), indices.numpy().reshape(y.shape))


def test_a_nan_is_the_maximum_as_in_torch() -> None:
    x = np.array([[1, np.nan, 2, 0], [3, 4, 5, 6]], "float32")
    y, switches = max_pool(x, (2, 2))
    assert np.isnan(y[0, 0]) and switches[0, 0] == 1 and y[0, 1] == 6


@each_overlap
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("form", [FORMS[0], CPU[-1]], ids=str)
def test_gradients(form: Form, overlap: Overlap, relu: bool) -> None:
    pool = Pool((5, 7), (3, 3), 2, 1, planes=(2, 2))
    y, switches = (torch.from_numpy(array) for array in pool.recorded())
    y.requires_grad_()

    def run(values: torch.Tensor) -> torch.Tensor:
        return unpool(values, switches, size=pool.size, overlap=overlap, relu=relu, **pool.options)

    with form.use():
        assert torch.autograd.gradcheck(run, (y,))


@each_form
def test_nan_and_infinity_go_through(form: Form) -> None:
    y, switches = np.array([[np.nan, np.inf], [-np.inf, 1]], "float32"), np.zeros((2, 2), np.uint8)
    with form.use():
        found = numbers(unpool(form.array(y, "float32"), _like(form, switches), (2, 2), relu=True))
    np.testing.assert_array_equal(found[::2, ::2], np.maximum(y, 0))
    assert not found[1::2].any() and not found[:, 1::2].any()


@each_form
@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_a_switch_out_of_range_is_named_and_nothing_is_written(form: Form, dtype: str) -> None:
    """Each wrong switch of a padded pool, one at a time: beyond the window, or in the padding."""
    pool = Pool((5, 7), (3, 3), 2, 1, planes=(2, 1))
    y, switches = pool.recorded(dtype="float32")
    right = _places(pool, switches) if dtype == "int64" else switches.astype(dtype)
    wrong = {
        "uint8": [((0, 0, 1, 1), 9), ((1, 0, 1, 2), 255), ((1, 0, 0, 1), 1), ((0, 0, 1, 0), 3), ((1, 0, 2, 3), 8)],
        "int32": [((0, 0, 1, 1), -1), ((1, 0, 1, 2), 1 << 30), ((1, 0, 0, 1), 1), ((0, 0, 1, 0), 3)],
        "int64": [
            ((0, 0, 1, 1), -1),
            ((1, 0, 2, 2), 35),
            ((0, 0, 2, 3), 37),
            ((0, 0, 0, 0), 2),
            ((1, 0, 1, 1), 1 << 62),
        ],
    }[dtype]
    with form.use():
        for at, value in wrong:
            broken = right.copy()
            broken[at] = value
            out = form.array(np.full((2, 1, 5, 7), 3.0), "float32")
            with pytest.raises(
                ValueError, match=rf"switches\[{', '.join(map(str, at))}\] is {value}, expected a place"
            ):
                unpool(form.array(y, "float32"), form.array(broken, dtype), size=pool.size, out=out, **pool.options)
            assert (numbers(out) == 3).all()
            with pytest.raises(ValueError, match="expected a place"):
                values_at(out, form.array(broken, dtype), **pool.options)


@each_form
def test_writes_into_out_and_nowhere_else(form: Form) -> None:
    y, switches = COMMON.recorded(dtype="float32")
    shape = (*COMMON.planes, *COMMON.size)
    with form.use():
        memory = form.array(np.full((4, *shape[1:]), 7.0), "float32")
        out = memory[1:3]
        assert (
            unpool(form.array(y, "float32"), _like(form, switches), size=COMMON.size, out=out, **COMMON.options) is out
        )
        _assert_rounded(out, _by_loops(COMMON, y, switches, "add", False), "float32")
        assert (numbers(memory)[[0, 3]] == 7).all()


@pytest.mark.parametrize("column_major", [False, True])
def test_onnx_indices(column_major: bool) -> None:
    import onnx
    import onnxruntime

    text = f"""<ir_version: 8, opset_import: ["" : 17]>
        g (float[2, 3, 6, 8] x) => (float[2, 3, 3, 4] y, int64[2, 3, 3, 4] i)
        {{ y, i = MaxPool <kernel_shape = [2, 2], strides = [2, 2], storage_order = {int(column_major)}> (x) }}"""
    model = onnx.parser.parse_model(text).SerializeToString()
    x = np.random.default_rng(0).standard_normal((2, 3, 6, 8)).astype("float32")
    y, indices = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, {"x": x})
    places = plane_places(indices, (6, 8), column_major=column_major)
    expected = functional.max_unpool2d(torch.from_numpy(y), torch.from_numpy(places), 2).numpy()
    np.testing.assert_array_equal(unpool(y, places, (2, 2)), expected)
    np.testing.assert_array_equal(expected, np.where(expected != 0, x, 0))


def test_the_size_is_computed_as_torch_does() -> None:
    y, switches = Pool((13, 17), (3, 3), 2, 1).recorded()
    assert unpool(y, switches, (3, 3), stride=2, padding=1).shape == (2, 3, 13, 17)


Y, SWITCHES = np.zeros((1, 4, 4), "float32"), np.zeros((1, 4, 4), "uint8")
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "a list": ({"y": [1.0]}, "y is a list, expected a NumPy array or a torch tensor"),
    "two kinds": ({"switches": torch.zeros(1, 4, 4, dtype=torch.uint8)}, "hand in one kind"),
    "half on CPU": ({"y": Y.astype("float16")}, "no backend takes these arrays"),
    "shapes differ": ({"switches": SWITCHES[:, :3]}, r"switches has shape \[1, 3, 4\], expected \[1, 4, 4\]"),
    "switches of another type": (
        {"switches": SWITCHES.astype("int16")},
        "switches is int16, expected uint8 or int32 or int64",
    ),
    "kernel a number": ({"kernel": 2}, "kernel is 2, expected the sizes of 1 to 3 axes"),
    "kernel too long": ({"kernel": (1, 1, 1, 1)}, "expected the sizes of 1 to 3 axes"),
    "kernel longer than y": ({"y": Y[0, 0], "switches": SWITCHES[0, 0]}, "expected the 2 axes of the kernel"),
    "stride 0": ({"stride": 0}, "stride is 0, expected one number or 2 of them, all at least 1"),
    "padding below 0": ({"padding": -1}, "padding is -1"),
    "three pads": ({"padding": (0, 0, 0)}, "expected one number or 2 or 4 of them"),
    "another size": ({"size": (8, 12)}, r"y has \[4, 4\] windows, expected \[4, 6\] for a size of \[8, 12\]"),
    "size of another rank": ({"size": (8,)}, r"size is \[8\], expected 2 numbers"),
    "overlap unknown": ({"overlap": "mean"}, "overlap is 'mean', expected 'add' or 'overwrite'"),
    "out of another shape": (
        {"out": np.zeros((1, 8, 7), "float32")},
        r"out has shape \[1, 8, 7\], expected \[1, 8, 8\]",
    ),
    "out of another type": ({"out": np.zeros((1, 8, 8))}, "out is float64, expected float32"),
}


@pytest.mark.parametrize(("change", "message"), BAD.values(), ids=[name.replace(" ", "-") for name in BAD])
def test_bad_input_is_one_line(change: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message) as caught:
        unpool(**{"y": Y, "switches": SWITCHES, "kernel": (2, 2), **change})
    assert "\n" not in str(caught.value)


def test_out_takes_no_gradient() -> None:
    y = torch.zeros(1, 4, 4, requires_grad=True)
    with pytest.raises(ValueError, match="detach y"):
        unpool(y, torch.zeros(1, 4, 4, dtype=torch.uint8), (2, 2), out=torch.zeros(1, 8, 8))


def test_pooling_that_sees_only_padding_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing but padding"):
        max_pool(np.zeros((1, 4), "float32"), (1, 2), padding=(0, 3))


def test_geometry_for_the_compiled_kernels_has_three_axes() -> None:
    window = Window.of((2,), 3, 1, 1)
    assert Geometry(window, 5, (4,), (10,)).numbers() == [5, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 0, 1, 10, 4, 2, 3, 1, 1]
