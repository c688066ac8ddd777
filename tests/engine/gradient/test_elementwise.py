"""Elementwise operators, reductions and products against onnx's reference evaluator, in what the node cases leave out:
random broadcasts, gradients (also at corners), floats of all lengths, integers that overflow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto, defs, helper
from onnx.reference import ReferenceEvaluator
from onnxray.engine.gradient.dtypes import to_numpy, to_torch, torch_dtype
from onnxray.engine.gradient.ops import find
from onnxray.importers.errors import InputError

NEWEST = defs.onnx_opset_version()
BROADCAST = [(2, 1, 4), (3, 1)]
AXES = np.array([0, -1])

# op, attributes, shapes or other inputs, range of the values. Kinks (where a gradient jumps) lie outside all samples.
CASES: list[tuple[str, dict[str, Any], list[Any], tuple[float, float]]] = [
    *((name, {}, [(2, 3)], (-2.0, 2.0)) for name in ("Abs", "Atan", "Asinh", "Cos", "Cosh", "Erf", "Exp", "Neg")),
    *((name, {}, [(2, 3)], (-1.4, 1.4)) for name in ("Sin", "Sinh", "Tan", "Tanh", "Sigmoid", "Softplus", "Softsign")),
    *((name, {}, [(2, 3)], (-0.9, 0.9)) for name in ("Acos", "Asin", "Atanh")),
    *((name, {}, [(2, 3)], (1.1, 3.0)) for name in ("Acosh", "Log", "Reciprocal", "Sqrt")),
    *((name, {}, [(2, 3)], (-3.0, 3.0)) for name in ("Relu", "Elu", "Selu", "Celu", "Mish", "Swish", "HardSwish")),
    *((name, {}, [(2, 3)], (-3.0, 3.0)) for name in ("LeakyRelu", "HardSigmoid", "ThresholdedRelu", "Gelu", "Shrink")),
    ("Gelu", {"approximate": "tanh"}, [(2, 3)], (-3.0, 3.0)),
    ("Celu", {"alpha": 0.5}, [(2, 3)], (-3.0, 3.0)),
    ("Swish", {"alpha": 1.7}, [(2, 3)], (-3.0, 3.0)),
    ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}, [(2, 3)], (-6.0, 6.0)),
    ("Shrink", {"bias": 0.4, "lambd": 0.7}, [(2, 3)], (-3.0, 3.0)),
    ("SwiGLU", {"alpha": 0.8}, [(2, 3), (2, 3)], (-2.0, 2.0)),
    *((name, {}, BROADCAST, (0.5, 3.0)) for name in ("Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Sum")),
    *((name, {}, [(2, 3), (3,), (2, 1)], (-3.0, 3.0)) for name in ("Max", "Min", "Sum", "Mean")),
    ("Mod", {"fmod": 1}, [(2, 1, 4), np.full((3, 1), 0.77)], (-3.0, 3.0)),
    ("Mod", {}, [(2, 1, 4), np.full((3, 1), -0.77)], (-3.0, 3.0)),
    ("Where", {}, [np.array([[True], [False]]), (2, 3), (3,)], (-3.0, 3.0)),
    *(("PRelu", {}, [(2, 3, 2, 2), slope], (-2.0, 2.0)) for slope in ((1,), (3, 1, 1), (2,), (2, 3, 1, 2), ())),
    ("PRelu", {}, [(4,), ()], (-2.0, 2.0)),
    *((name, {"axis": axis}, [(2, 3, 4)], (-2.0, 2.0)) for name in ("Softmax", "LogSoftmax") for axis in (-1, 0, 1)),
    *(
        (f"Reduce{name}", {"keepdims": keep}, [(2, 3, 4), axes], (0.5, 2.0))
        for name in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
        for axes, keep in ((AXES, 0), (np.array([1]), 1), (None, 0))
    ),
    *(
        (name, {"exclusive": exclusive, "reverse": reverse}, [(2, 3, 4), np.array(-2)], (-2.0, 2.0))
        for name in ("CumSum", "CumProd")
        for exclusive in (0, 1)
        for reverse in (0, 1)
    ),
    ("MatMul", {}, [(2, 1, 3, 4), (5, 4, 2)], (-1.0, 1.0)),
    ("MatMul", {}, [(4,), (5, 4, 2)], (-1.0, 1.0)),
    ("Einsum", {"equation": "...ij, jk -> k...i"}, [(2, 3, 4), (4, 5)], (-1.0, 1.0)),
    ("Det", {}, [(2, 3, 3)], (-1.0, 1.0)),
    *(
        ("Gemm", {"alpha": alpha, "beta": beta, "transA": a, "transB": b}, [_a, _b, c], (-1.0, 1.0))
        for a, _a in ((0, (2, 3)), (1, (3, 2)))
        for b, _b in ((0, (3, 4)), (1, (4, 3)))
        for alpha, beta, c in ((1.0, 1.0, (4,)), (0.5, 2.0, (2, 1)), (1.0, 1.0, (1,)), (0.5, 1.0, None))
    ),
    ("DFT", {}, [(2, 5, 3, 1), None, np.array(1)], (-1.0, 1.0)),
    ("DFT", {"onesided": 1}, [(2, 5, 1), np.array(7)], (-1.0, 1.0)),
    ("DFT", {"inverse": 1}, [(2, 5, 2), np.array(4)], (-1.0, 1.0)),
    ("DFT", {"inverse": 1}, [(2, 5, 1)], (-1.0, 1.0)),
    ("DFT", {"inverse": 1, "onesided": 1}, [(2, 5, 3, 2), None, np.array(1)], (-1.0, 1.0)),
    ("DFT", {"inverse": 1, "onesided": 1}, [(2, 5, 2), np.array(7)], (-1.0, 1.0)),
    ("STFT", {}, [(2, 9, 1), np.array(2), np.hanning(4), np.array(4)], (-1.0, 1.0)),
]


def run(name: str, *inputs: Any, opset: int = NEWEST, **attributes: Any) -> Any:
    """The bridge's own function for the operator."""
    found = find(name, "", opset)
    assert found is not None
    return found.function(*inputs, **attributes)


def sample(inputs: list[Any], bounds: tuple[float, float], seed: int = 0) -> list[np.ndarray | None]:
    """A float64 array for every shape; other inputs as they are."""
    generator = np.random.default_rng(seed)
    return [generator.uniform(*bounds, size=entry) if isinstance(entry, tuple) else entry for entry in inputs]


def reference(name: str, inputs: list[np.ndarray | None], attributes: dict[str, Any]) -> np.ndarray:
    names = ["" if entry is None else f"x{index}" for index, entry in enumerate(inputs)]
    given = {key: entry for key, entry in zip(names, inputs, strict=True) if entry is not None}
    typed = [
        helper.make_tensor_value_info(key, helper.np_dtype_to_tensor_dtype(entry.dtype), entry.shape)
        for key, entry in given.items()
    ]
    node = helper.make_node(name, names, ["y"], **attributes)
    output = helper.make_tensor_value_info("y", TensorProto.UNDEFINED, None)
    graph = helper.make_graph([node], "one", typed, [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", NEWEST)])
    return np.asarray(ReferenceEvaluator(model).run(None, given)[0])


def tensors(inputs: list[np.ndarray | None], dtype: torch.dtype = torch.float64) -> list[torch.Tensor | None]:
    return [None if entry is None else to_torch(entry, dtype) for entry in inputs]


@pytest.mark.parametrize(("name", "attributes", "inputs", "bounds"), CASES)
def test_values_and_gradients(
    name: str, attributes: dict[str, Any], inputs: list[Any], bounds: tuple[float, float]
) -> None:
    arrays = sample(inputs, bounds)
    given = tensors(arrays)
    found = run(name, *given, **attributes)
    # onnx computes a few functions (Erf, Gelu, Softplus, …) in float32 inside
    np.testing.assert_allclose(found.numpy(), reference(name, arrays, attributes), rtol=1e-6, atol=1e-7)
    for value, entry in zip(given, inputs, strict=True):
        if isinstance(entry, tuple) and value is not None:
            value.requires_grad_()
    assert torch.autograd.gradcheck(lambda *values: run(name, *values, **attributes), given, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    ("name", "attributes", "inputs", "bounds"),
    # rounding decides where Mod jumps; torch has no determinants of 16 bits
    [case for case in CASES if case[0] not in ("Mod", "Det")],
)
def test_shorter_floats(
    name: str, attributes: dict[str, Any], inputs: list[Any], bounds: tuple[float, float], dtype: torch.dtype
) -> None:
    rounded = tensors(sample(inputs, bounds), dtype)
    found = run(name, *rounded, **attributes)
    exact = run(name, *map(lengthened, rounded), **attributes)
    scale = max(1.0, exact.abs().max().item())
    assert found.dtype == dtype
    np.testing.assert_allclose(found.double(), exact, rtol=0, atol=32 * torch.finfo(dtype).eps * scale)


def lengthened(value: torch.Tensor | None) -> torch.Tensor | None:
    return value.double() if value is not None and value.is_floating_point() else value


@pytest.mark.parametrize(
    "limits", [(8, 16, 8192, 0.0, 4096.0), (20, 512, 16000, 20.0, 8000.0), (64, 128, 8000, 100.0, 3900.0)]
)
def test_mel_weights(limits: tuple[float, ...]) -> None:
    arrays = [np.array(limit) for limit in limits]
    found = run("MelWeightMatrix", *map(torch.tensor, arrays), output_datatype=torch.float64)
    np.testing.assert_allclose(found.numpy(), reference("MelWeightMatrix", arrays, {"output_datatype": 11}), atol=1e-12)


@pytest.mark.parametrize("periodic", [0, 1])
@pytest.mark.parametrize("name", ["HannWindow", "HammingWindow", "BlackmanWindow"])
def test_windows(name: str, periodic: int) -> None:
    found = run(name, torch.tensor(9), output_datatype=torch.float64, periodic=periodic)
    expected = reference(name, [np.array(9)], {"output_datatype": 11, "periodic": periodic})
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-7)


def test_a_one_sided_spectrum_of_complex_numbers_is_refused() -> None:
    with pytest.raises(InputError, match="expected real numbers"):
        run("DFT", torch.ones(1, 4, 2), onesided=1)


# -- gradients at corners ---


def gradient(name: str, x: list[float], *others: Any, **attributes: Any) -> list[float]:
    value = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    run(name, value, *others, **attributes).sum().backward()
    assert value.grad is not None
    return value.grad.tolist()


def scalar(value: float) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64)


@pytest.mark.parametrize("bounds", [(-1.0, 2.0), (-1.0, None), (None, 2.0), (0.0, 6.0), (0.0, None), (None, None)])
@pytest.mark.parametrize("opset", [6, NEWEST])
def test_clip_passes_the_gradient_inside_only(bounds: tuple[float | None, float | None], opset: int) -> None:
    x = [-7.0, -0.5, 0.5, 1.5, 7.0]
    low, high = (-np.inf if bounds[0] is None else bounds[0], np.inf if bounds[1] is None else bounds[1])
    expected = [float(low < value < high) for value in x]
    if opset == NEWEST:
        assert gradient("Clip", x, *(None if bound is None else scalar(bound) for bound in bounds)) == expected
    else:
        given = {key: bound for key, bound in zip(("min", "max"), bounds, strict=True) if bound is not None}
        assert gradient("Clip", x, opset=opset, **given) == expected


def test_clip_with_computed_bounds_gives_them_gradients() -> None:
    high = scalar(1.0).requires_grad_()
    run("Clip", torch.tensor([0.0, 2.0, 3.0], dtype=torch.float64), None, high).sum().backward()
    assert high.grad == 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int32, torch.uint8, torch.uint32])
def test_clip_where_the_bounds_cross_gives_the_upper(dtype: torch.dtype) -> None:
    x, low, high = (torch.tensor(value).to(dtype) for value in ([1, 5, 9], 7, 4))
    assert run("Clip", x, low, high).tolist() == [4, 4, 4]


def test_norm_at_zero_has_the_gradient_zero() -> None:
    assert gradient("ReduceL2", [0.0, 0.0, 0.0]) == [0, 0, 0]
    assert gradient("ReduceL1", [0.0, 0.0]) == [0, 0]


@pytest.mark.parametrize("exponent", [[2.0], [3.0, 3.0, 3.0], [0.0], [1.0], [0.0, 0.0, 0.0]])
def test_power_of_negative_numbers_and_zero(exponent: list[float]) -> None:
    x, power = [-2.0, 0.0, 1.5], exponent[0]
    expected = [power * value ** (power - 1) if power and (value or power > 1) else power for value in x]
    assert gradient("Pow", x, torch.tensor(exponent, dtype=torch.float64)) == pytest.approx(expected)


def test_product_with_zeros_keeps_its_gradients() -> None:
    assert gradient("ReduceProd", [0.0, 2.0, 3.0]) == [6, 0, 0]
    assert gradient("ReduceProd", [0.0, 0.0, 3.0]) == [0, 0, 0]
    assert gradient("CumProd", [0.0, 2.0, 3.0], torch.tensor(0)) == [9, 0, 0]


def test_log_sum_exp_of_large_numbers_does_not_overflow() -> None:
    assert gradient("ReduceLogSumExp", [1000.0, 1000.0, -torch.inf]) == pytest.approx([0.5, 0.5, 0])
    assert run("ReduceLogSumExp", torch.tensor([1000.0, 1000.0])).item() == pytest.approx(1000 + np.log(2))


def test_where_keeps_what_it_does_not_take_out_of_the_gradients() -> None:
    taken = torch.tensor([True, False, True])
    other = torch.tensor([torch.nan, 1.0, torch.inf], dtype=torch.float64, requires_grad=True)
    x = torch.tensor([1.0, torch.nan, 2.0], dtype=torch.float64, requires_grad=True)
    (run("Where", taken, x, other) * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [1, 0, 3]
    assert other.grad is not None and other.grad.tolist() == [0, 2, 0]


@pytest.mark.parametrize("name", ["Softplus", "Mish", "Swish", "Gelu", "Sigmoid", "Tanh", "Elu", "Selu", "Celu"])
def test_saturated_activations_have_finite_gradients(name: str) -> None:
    assert np.isfinite(gradient(name, [-1e4, -100.0, 0.0, 100.0, 1e4])).all()


# -- integers ---

UNSIGNED = [np.uint8, np.uint16, np.uint32, np.uint64]
MODULO = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "BitwiseXor": np.bitwise_xor}
ORDERED = {"Div": np.floor_divide, "Mod": np.mod, "Max": np.maximum, "Greater": np.greater, "Less": np.less}


@pytest.mark.parametrize("dtype", UNSIGNED)
@pytest.mark.parametrize("name", [*MODULO, *ORDERED])
def test_unsigned_integers_as_numpy_has_them(name: str, dtype: type) -> None:
    top = np.iinfo(dtype).max if name in MODULO or dtype != np.uint64 else np.iinfo(np.int64).max
    generator = np.random.default_rng(0)
    a, b = (generator.integers(1, top, size, dtype, endpoint=True) for size in ((3, 1), (1, 4)))
    found = to_numpy(run(name, torch.tensor(a), torch.tensor(b)))
    expected = (MODULO.get(name) or ORDERED[name])(a, b)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", UNSIGNED)
def test_unsigned_reductions_as_numpy_has_them(dtype: type) -> None:
    x = np.random.default_rng(0).integers(0, np.iinfo(dtype).max // 2, (3, 4), dtype)
    for name, expected in {
        "ReduceSum": x.sum(0, dtype),
        "ReduceProd": x.prod(0, dtype),
        "ReduceMax": x.max(0),
        "ArgMin": x.argmin(0),
    }.items():
        axis = {"axis": 0} if name == "ArgMin" else {}
        found = run(name, torch.tensor(x), *([] if axis else [torch.tensor([0])]), keepdims=0, **axis)
        np.testing.assert_array_equal(to_numpy(found), expected, strict=True)
    np.testing.assert_array_equal(to_numpy(run("CumSum", torch.tensor(x), torch.tensor(1))), x.cumsum(1, dtype))


def test_numbers_beyond_int64_are_refused_where_they_would_be_misread() -> None:
    huge = torch.tensor(np.array([2**63 + 1], np.uint64))
    with pytest.raises(InputError, match="below 2\\^63"):
        run("Div", huge, huge)


def test_integer_division_truncates_and_mod_follows_either_sign() -> None:
    a, b = torch.tensor([-7, 7, -7, 7]), torch.tensor([2, -2, -2, 2])
    assert run("Div", a, b).tolist() == [-3, -3, 3, 3]
    assert run("Mod", a, b).tolist() == [1, -1, -1, 1]
    assert run("Mod", a, b, fmod=1).tolist() == [-1, 1, -1, 1]


def test_power_has_the_type_of_its_base() -> None:
    base = torch.tensor([3, -2], dtype=torch.int64)
    assert run("Pow", base, torch.tensor([35, 3])).tolist() == [3**35, -8]
    for exponent in (torch.tensor(2.0), torch.tensor([2], dtype=torch.uint32), torch.tensor([2], dtype=torch.int8)):
        for dtype in (torch.int32, torch.int64, torch.float16, torch.float64):
            found = run("Pow", base.to(dtype), exponent)
            assert (found.dtype, found.tolist()) == (dtype, [9, 4])


@pytest.mark.parametrize(("dtype", "bits"), [(np.int8, 8), (np.int32, 32), (np.int64, 64)])
def test_shifts_of_signed_numbers_beyond_their_bits(dtype: type, bits: int) -> None:
    x = torch.tensor(np.array([-5, -5, -5, 5, 5], dtype))
    by = torch.tensor(np.array([1, bits, -1, bits, -1], dtype))
    assert run("BitShift", x, by, direction="RIGHT").tolist() == [-3, -1, -1, 0, 0]
    assert run("BitShift", x, by, direction="LEFT").tolist() == [-10, 0, 0, 0, 0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.int32, torch.uint8])
def test_extremes_of_nothing(dtype: torch.dtype) -> None:
    info = torch.finfo(dtype) if dtype.is_floating_point else torch.iinfo(dtype)
    empty, axes = torch.zeros(2, 0, dtype=dtype), torch.tensor([1])
    lowest, highest = (-torch.inf, torch.inf) if dtype.is_floating_point else (info.min, info.max)
    assert run("ReduceMax", empty, axes, keepdims=0).tolist() == [lowest] * 2
    assert run("ReduceMin", empty, axes, keepdims=0).tolist() == [highest] * 2


@pytest.mark.parametrize("name", ["ReduceSum", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum", "ReduceMean"])
def test_no_axes_are_none_where_the_node_says_so(name: str) -> None:
    x = np.array([[-1.5, 2.0]]) ** (2 if name == "ReduceLogSum" else 1)
    kept = {"ReduceL1": np.abs, "ReduceL2": np.abs, "ReduceSumSquare": np.square, "ReduceLogSum": np.log}
    found = run(name, torch.tensor(x), None, noop_with_empty_axes=1)
    np.testing.assert_allclose(found.numpy(), kept.get(name, np.asarray)(x))


# -- element types ---


@pytest.mark.parametrize("name", ["BFLOAT16", "FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ"])
@pytest.mark.parametrize("shape", [(), (5,)])
def test_floats_that_numpy_lacks_go_there_and_back(name: str, shape: tuple[int, ...]) -> None:
    number = TensorProto.DataType.Value(name)
    array = np.linspace(-3, 3, 5)[: shape[0] if shape else 1].reshape(shape)
    array = array.astype(helper.tensor_dtype_to_np_dtype(number))
    tensor = to_torch(array)
    assert tensor.dtype == torch_dtype(number)
    np.testing.assert_array_equal(tensor.double().numpy(), array.astype(np.float64))
    np.testing.assert_array_equal(to_numpy(tensor), array, strict=True)


@pytest.mark.parametrize("name", ["INT4", "UINT4", "INT2", "UINT2"])
def test_casts_to_few_bits_keep_the_lowest(name: str) -> None:
    number = TensorProto.DataType.Value(name)
    x = np.arange(-20, 20)
    expected = x.astype(helper.tensor_dtype_to_np_dtype(number)).astype(np.int8)
    found = run("Cast", torch.tensor(x), to=torch_dtype(number))
    np.testing.assert_array_equal(found.numpy(), expected, strict=True)
    np.testing.assert_array_equal(run("BitCast", found, to=torch_dtype(number)).numpy(), expected, strict=True)
    np.testing.assert_array_equal(to_torch(x.astype(helper.tensor_dtype_to_np_dtype(number))).numpy(), expected)


@pytest.mark.parametrize("data_type", [TensorProto.STRING, TensorProto.FLOAT4E2M1, 999])
def test_types_that_torch_lacks(data_type: int) -> None:
    with pytest.raises(InputError, match="no equal in torch"):
        torch_dtype(data_type)


def test_text_is_refused() -> None:
    with pytest.raises(InputError, match="text"):
        to_torch(np.array(["a"], object))


def test_bits_are_only_reread_in_as_many() -> None:
    with pytest.raises(InputError, match="as many bits"):
        run("BitCast", torch.ones(1, dtype=torch.float64), to=torch.int32)
