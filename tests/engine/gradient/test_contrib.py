"""onnxruntime's own operators: values against onnxruntime, gradients against finite differences."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from onnx import helper
from onnxray.engine.gradient.builder import build
from onnxray.engine.gradient.dtypes import to_numpy, to_torch
from onnxray.engine.gradient.ops import entries, find
from onnxray.engine.providers import open_session

DOMAIN = "com.microsoft"


@dataclass(frozen=True)
class Case:
    """One node."""

    op: str
    inputs: tuple[np.ndarray | None, ...]
    attributes: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return "-".join([self.op, *(str(value).replace(" ", "") for value in self.attributes.values())])


def model(case: Case) -> Any:
    names = ["" if value is None else f"x{number}" for number, value in enumerate(case.inputs)]
    given = [(name, value) for name, value in zip(names, case.inputs, strict=True) if value is not None]
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in given
    ]
    node = helper.make_node(case.op, names, ["y"], "node", domain=DOMAIN, **case.attributes)
    output = helper.make_empty_tensor_value_info("y")
    graph = helper.make_graph([node], "one", inputs, [output])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(DOMAIN, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8), dict(given)


def onnxruntimes(case: Case) -> np.ndarray:
    proto, feeds = model(case)
    (value,) = open_session(proto, [], ["CPUExecutionProvider"]).run(None, feeds)
    return value


def ours(case: Case) -> np.ndarray:
    proto, feeds = model(case)
    module = build(proto.graph, feeds, {"": 17, DOMAIN: 1}, lambda tensor: np.empty(0), torch.float32).module
    (value,) = module(*(to_torch(entry) for entry in feeds.values()))
    return to_numpy(value)


# -- real numbers ---

_generator = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return _generator.normal(size=shape).astype(np.float32)


def fused_conv(activation: str, parameters: list[float] | None = None) -> Case:
    attributes = {"activation": activation, "pads": [1, 0, 1, 1], "strides": [2, 1]}
    attributes |= {"activation_params": parameters} if parameters else {}
    return Case("FusedConv", (normal(2, 3, 5, 5), normal(4, 3, 3, 3), normal(4)), attributes)


def fused_gemm(activation: str, **parameters: float) -> Case:
    inputs = normal(5, 6), normal(7, 6), normal(7)
    return Case("FusedGemm", inputs, {"activation": activation, "transB": 1, "alpha": 0.5, "beta": 2.0, **parameters})


_TOKENS = normal(2, 5, 32)
REAL = [
    Case("Gelu", (_TOKENS,)),
    Case("QuickGelu", (_TOKENS,), {"alpha": 1.3}),
    Case("BiasGelu", (_TOKENS, normal(32))),
    Case("FastGelu", (_TOKENS, normal(32))),
    Case("FastGelu", (_TOKENS,)),
    *(fused_conv(name) for name in ("Relu", "Tanh", "Sigmoid")),
    fused_conv("LeakyRelu", [0.2]),
    fused_conv("Clip", [-0.3, 0.8]),
    fused_conv("HardSigmoid", [0.3, 0.4]),
    Case("FusedConv", (normal(1, 3, 6, 6), normal(4, 3, 3, 3), normal(4), normal(1, 4, 4, 4)), {"activation": "Relu"}),
    *(fused_gemm(name) for name in ("Relu", "Softplus", "Softsign", "Tanh", "Sigmoid")),
    *(fused_gemm(name, activation_alpha=0.3) for name in ("LeakyRelu", "Elu")),
    fused_gemm("HardSigmoid", activation_alpha=0.3, activation_beta=0.45),
    Case("FusedMatMul", (normal(2, 3, 4, 5), normal(2, 3, 6, 5)), {"transB": 1, "alpha": 0.3}),
    Case("FusedMatMul", (normal(4, 2, 3, 5), normal(2, 3, 5, 6)), {"transBatchA": 1}),
    Case("FusedMatMul", (normal(4, 2, 3, 5), normal(2, 3, 6, 4)), {"transBatchA": 1, "transA": 1, "transB": 1}),
    Case("FusedMatMul", (normal(4, 2, 3, 5), normal(5, 2, 3, 6)), {"transBatchA": 1, "transBatchB": 1}),
    Case(
        "SkipLayerNormalization", (_TOKENS, *(normal(2, 5, 32), normal(32), normal(32), normal(32))), {"epsilon": 1e-5}
    ),
    Case("SkipSimplifiedLayerNormalization", (_TOKENS, normal(2, 5, 32), normal(32)), {"epsilon": 1e-5}),
    Case("Attention", (_TOKENS, normal(32, 96) / 4, normal(96)), {"num_heads": 4}),
    Case("Attention", (_TOKENS, normal(32, 96) / 4, normal(96)), {"num_heads": 4, "unidirectional": 1}),
    Case("Attention", (_TOKENS, normal(32, 128) / 4, normal(128)), {"num_heads": 4, "qkv_hidden_sizes": [32, 32, 64]}),
    Case("MultiHeadAttention", (_TOKENS, normal(2, 7, 32), normal(2, 7, 32), normal(96)), {"num_heads": 4}),
    Case(
        "MultiHeadAttention",
        (_TOKENS, normal(2, 7, 32), normal(2, 7, 32), None, None, normal(1, 4, 5, 7)),
        {"num_heads": 4, "scale": 0.2},
    ),
]


@pytest.mark.parametrize("case", REAL, ids=str)
def test_real_operators_are_onnxruntimes(case: Case) -> None:
    np.testing.assert_allclose(ours(case), onnxruntimes(case), rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("case", REAL, ids=str)
def test_real_operators_have_the_gradient_of_finite_differences(case: Case) -> None:
    found = find(case.op, DOMAIN, 1)
    assert found is not None
    inputs = [None if value is None else torch.tensor(value, dtype=torch.float64) for value in case.inputs]
    x = inputs[0].requires_grad_()  # type: ignore[union-attr]

    def applied(value: torch.Tensor) -> torch.Tensor:
        result = found.function(value, *inputs[1:], **case.attributes)
        return result[0] if found.several else result

    assert torch.autograd.gradcheck(applied, (x,), fast_mode=True)


# -- levels ---


def levels(*shape: int, dtype: Any = np.uint8, low: int = 40, high: int = 216) -> np.ndarray:
    shift = 128 if dtype is np.int8 else 0
    return (_generator.integers(low, high, shape) - shift).astype(dtype)


def one(value: float, dtype: Any = np.float32) -> np.ndarray:
    return np.asarray(value, dtype)


def level_cases(dtype: Any) -> list[Case]:
    a, b, grid = levels(2, 3, 12, 12, dtype=dtype), levels(2, 3, 12, 12, dtype=dtype), levels(2, 12, 12, 3, dtype=dtype)
    least = one(np.iinfo(dtype).min, dtype)
    zero, other = (one(3, dtype), one(100, dtype)) if dtype is np.uint8 else (one(-20, dtype), one(-5, dtype))
    scales = _generator.uniform(0.01, 0.03, 4).astype(np.float32)
    kernel, none = levels(4, 3, 3, 3, dtype=np.int8, low=0, high=256), np.zeros(4, np.int8)
    product, columns = levels(70, 30, dtype=np.int8, low=0, high=256), _generator.uniform(0.01, 0.02, 30)
    bias = _generator.integers(-900, 900, 30).astype(np.int32)
    x, y = (a, one(0.02), zero), (b, one(0.03), other)
    convolution = (one(0.02), other, kernel, scales, none, one(2.0), other)
    rows = levels(50, 70, dtype=dtype)
    middle = levels(1, dtype=dtype, low=120, high=121).reshape(())
    sides = levels(2, 3, 12, 12, dtype=dtype, low=40, high=100), levels(2, 3, 12, 12, dtype=dtype, low=140)
    bent = np.where(_generator.random((2, 3, 12, 12)) > 0.5, *sides)  # away from the bend at `middle`
    return [
        Case("QLinearAdd", (*x, *y, one(0.045), other)),
        Case("QLinearMul", (*x, *y, one(0.15), other)),
        Case("QLinearLeakyRelu", (bent, one(0.02), middle, one(0.03), other), {"alpha": 0.1}),
        Case("QLinearSigmoid", (*x, one(1 / 256), least)),
        Case("QLinearSoftmax", (*x, one(1 / 256), least), {"axis": -1, "opset": 13}),
        Case("QLinearConcat", (one(0.03), other, *x, *y), {"axis": 1}),
        Case("QLinearWhere", (_generator.random((2, 3, 12, 12)) > 0.5, *x, *y, one(0.03), other)),
        Case("QLinearAveragePool", (*x, one(0.02), other), {"kernel_shape": [2, 2], "strides": [2, 2]}),
        Case(
            "QLinearAveragePool",
            (grid, one(0.02), zero, one(0.02), other),
            {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "channels_last": 1},
        ),
        Case("QLinearGlobalAveragePool", (*x, one(0.02), other)),
        Case("QLinearGlobalAveragePool", (grid, one(0.02), zero, one(0.02), other), {"channels_last": 1}),
        Case("NhwcMaxPool", (grid,), {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [2, 2]}),
        Case("QLinearConv", (a, *convolution), {"pads": [1, 1, 1, 1], "strides": [2, 1]}),
        Case("QLinearConv", (grid, *convolution, bias[:4]), {"channels_last": 1}),
        Case("QGemm", (rows, one(0.02), zero, product, one(0.01), one(0, np.int8), bias, one(0.9), other)),
        Case(
            "QGemm",
            (rows, one(0.02), zero, product.T.copy(), columns.astype(np.float32), np.zeros(30, np.int8), None),
            {"transB": 1, "alpha": 0.5},
        ),
        Case(
            "MatMulIntegerToFloat",
            (rows, product, one(0.02), columns.astype(np.float32), zero, np.zeros(30, np.int8), normal(30)),
        ),
        Case("DequantizeLinear", (a, one(0.02), zero)),
    ]


LEVELS = [
    pytest.param(case, id=f"{case}-{np.dtype(kind)}") for kind in (np.uint8, np.int8) for case in level_cases(kind)
]


@pytest.mark.parametrize("case", LEVELS)
def test_quantised_operators_give_onnxruntimes_levels(case: Case) -> None:
    """Held as integers: all the same."""
    expected = onnxruntimes(case)
    found = ours(case)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("case", LEVELS)
def test_carried_levels_have_the_same_values_and_the_slope_of_large_steps(case: Case) -> None:
    """Levels are moved by up to 12 to either side, each the way that raises the result (at random where it has no
    gradient): what comes of it is large against the rounding of the results, whose share is counted as noise."""
    found = find(case.op, DOMAIN, 1)
    assert found is not None
    position = next(number for number, value in enumerate(case.inputs) if value is not None and value.ndim > 1
                    and value.dtype != bool)  # fmt: skip
    tensors = [None if value is None else torch.tensor(value) for value in case.inputs]
    x = tensors[position].to(torch.float32).requires_grad_()  # type: ignore[union-attr]
    tensors[position] = x
    value = found.function(*tensors, **case.attributes)
    np.testing.assert_allclose(value.detach().numpy(), onnxruntimes(case), rtol=1e-5, atol=1e-4)

    generator = np.random.default_rng(1)
    weight = generator.uniform(0.5, 1.5, value.shape).astype(np.float32)
    (gradient,) = torch.autograd.grad((value * torch.tensor(weight)).sum(), x)
    slope = gradient.numpy()
    reach = 1 if case.op == "NhwcMaxPool" else 12  # a maximum changes hands where its inputs move far
    ways = np.where(slope == 0, generator.choice([-1, 1], x.shape), np.sign(slope))
    steps = (np.rint(generator.uniform(0, reach, x.shape)) * ways).astype(np.int64)
    above, below = (_moved(case, position, sign * steps) for sign in (1, -1))
    measured = float(((onnxruntimes(above).astype(np.float64) - onnxruntimes(below)) * weight).sum()) / 2
    noise = np.sqrt((weight**2).sum() / 24)  # two roundings of variance 1/12, halved
    assert measured > 10 * noise
    assert abs(float((slope * steps).sum()) - measured) < 0.03 * measured + 4 * noise


def _moved(case: Case, position: int, steps: np.ndarray) -> Case:
    inputs = list(case.inputs)
    moved = inputs[position]
    assert moved is not None
    inputs[position] = (moved.astype(np.int64) + steps).astype(moved.dtype)
    return Case(case.op, tuple(inputs), case.attributes)


def test_matrix_product_that_quantises_its_input() -> None:
    weights = levels(70, 30, dtype=np.int8, low=0, high=256)
    a = normal(50, 70)
    case = Case("DynamicQuantizeMatMul", (a, weights, one(0.02), one(3, np.int8), normal(30)))
    np.testing.assert_allclose(ours(case), onnxruntimes(case), rtol=1e-4, atol=1e-4)
    found = find(case.op, DOMAIN, 1)
    assert found is not None
    tensors = [torch.tensor(value) for value in case.inputs]
    found.function(tensors[0].requires_grad_(), *tensors[1:]).sum().backward()
    expected = np.broadcast_to(((weights.astype(np.float32) - 3) * 0.02).sum(1), a.shape)
    np.testing.assert_allclose(tensors[0].grad.numpy(), expected, rtol=1e-4, atol=1e-4)


def test_every_operator_of_the_domain_is_met() -> None:
    """Here or, those named, in the tests of quantised networks and above; TransposeMatMul is FusedMatMul's old name."""
    met = {case.op for case in REAL} | {parameter.values[0].op for parameter in LEVELS}
    known = {entry.name for entry in entries() if entry.domain == DOMAIN}
    assert known - met == {"DynamicQuantizeMatMul", "QuantizeLinear", "TransposeMatMul"}
