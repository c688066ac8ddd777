"""Fused variants against the graph as the file has it, in float64: same values, same gradients, fewer nodes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxray
import pytest
import tiny_models
import torch
from onnxray.engine.gradient.rules import PLAIN
from onnxray.engine.gradient.strided import fits, phase_weight, strided_convolution
from onnxray.engine.gradient.torch_model import TorchModel
from onnxray.engine.gradient.variants import Variants

HEAD = '<ir_version: 8, opset_import: ["" : 17]> net (float[batch, {}] image) => (float[batch, {}] y)'


@dataclass(frozen=True)
class Case:
    """A graph, and how many nodes of it are gone when it is fused."""

    shape: str  # of an image
    out: str
    constants: str
    nodes: str
    fewer: int
    functions: tuple[str, ...] = ()  # names of what stands there instead

    def text(self) -> str:
        return f"{HEAD.format(self.shape, self.out)} <{self.constants}> {{ {self.nodes} }}"


BN = "float[4] scale, float[4] shift, float[4] mean, float[4] variance"
CASES = {
    "BatchNormalization": Case(
        "2, 6, 6",
        "4, 6, 6",
        f"float[4, 2, 3, 3] w, float[4] b, {BN}",
        "c = Conv <pads = [1, 1, 1, 1]> (image, w, b) v = BatchNormalization (c, scale, shift, mean, variance) "
        "y = Abs (v)",
        2,
    ),
    "BatchNormalization, no bias, depthwise": Case(
        "4, 6, 6",
        "4, 4, 4",
        f"float[4, 1, 3, 3] w, {BN}",
        "c = Conv <group = 4> (image, w) y = BatchNormalization <epsilon = 0.01> (c, scale, shift, mean, variance)",
        2,
    ),
    "constants": Case(
        "2, 5, 5",
        "4, 5, 5",
        "float[4, 2, 1, 1] w, float[1, 4, 1, 1] a, float[4, 1, 1] b, float c, float[1] d",
        "k = Conv (image, w) l = Mul (a, k) m = Add (l, b) n = Sub (m, c) y = Div (n, d)",
        4,
    ),
    "constants that are none of a channel": Case(
        "2, 4, 4", "4, 4, 4", "float[4, 2, 1, 1] w, float[4, 4] a", "k = Conv (image, w) y = Mul (k, a)", 0
    ),
    "a constant minus": Case(
        "2, 4, 4", "4, 4, 4", "float[4, 2, 1, 1] w, float c", "k = Conv (image, w) y = Sub (c, k)", 0
    ),
    "read twice": Case(
        "2, 4, 4",
        "4, 4, 4",
        f"float[4, 2, 1, 1] w, {BN}",
        "k = Conv (image, w) l = BatchNormalization (k, scale, shift, mean, variance) y = Add (k, l)",
        0,
    ),
    "one dimension": Case(
        "2, 9",
        "4, 7",
        f"float[4, 2, 3] w, {BN}",
        "c = Conv (image, w) y = BatchNormalization (c, scale, shift, mean, variance)",
        2,
    ),
    "Relu before a pool": Case(
        "2, 8, 8",
        "2, 4, 4",
        "float[2, 2, 3, 3] w",
        "c = Conv <pads = [1, 1, 1, 1]> (image, w) r = Relu (c) "
        "y = MaxPool <kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]> (r)",
        0,
        ("relu_",),
    ),
    "Relu6 of a sum": Case(
        "2, 4, 4",
        "2, 4, 4",
        "float zero = {0}, float six = {6}",
        "s = Add (image, image) y = Clip (s, zero, six)",
        0,
        ("hardtanh_",),
    ),
    "Relu and Relu6 between convolutions": Case(
        "2, 7, 7",
        "2, 7, 7",
        "float[4, 2, 3, 3] v, float[2, 4, 1, 1] w, float[2, 2, 1, 1] u, float zero = {0}, float six = {6}",
        "c = Conv <pads = [1, 1, 1, 1]> (image, v) r = Relu (c) d = Conv (r, w) e = Clip (d, zero, six) "
        "f = Conv (e, u) g = Relu (f) h = Add (g, e) y = Relu (h)",
        0,
        ("relu_", "hardtanh_"),
    ),
    "Relu in one dimension": Case(
        "2, 9",
        "4, 7",
        "float[4, 2, 3] w, float[4, 4, 1] v",
        "c = Conv (image, w) r = Relu (c) d = Conv (r, v) y = Relu (d)",
        0,
        ("relu_",),
    ),
    "an image's first convolution": Case(
        "3, 17, 20",
        "32, 8, 9",
        "float[32, 3, 7, 7] w, float[32] b",
        "y = Conv <pads = [2, 2, 2, 2], strides = [2, 2]> (image, w, b)",
        0,
        ("strided_convolution",),
    ),
    "a linear layer": Case(
        "5, 4", "5, 3", "float[4, 3] w, float[3] b", "p = MatMul (image, w) y = Add (b, p)", 1, ("linear",)
    ),
    "attention": Case(
        "2, 5, 4",
        "2, 5, 4",
        "",
        "k = Transpose <perm = [0, 1, 3, 2]> (image) v = Neg (image) s = MatMul (image, k) a = Softmax (s) "
        "y = MatMul (a, v)",
        2,
        ("attention",),
    ),
    "attention with a bias": Case(
        "3, 2, 5, 4",
        "3, 2, 5, 4",
        "float[1, 2, 5, 5] bias",
        "k = Transpose <perm = [0, 1, 2, 4, 3]> (image) v = Abs (image) s = MatMul (image, k) t = Add (bias, s) "
        "a = Softmax (t) y = MatMul (a, v)",
        3,
        ("attention",),
    ),
    "attention to one value for all": Case(
        "2, 5, 4",
        "2, 5, 3",
        "float[4, 6] key, float[6, 3] value",
        "s = MatMul (image, key) a = Softmax (s) y = MatMul (a, value)",
        2,
        ("attention",),
    ),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def model_of(tmp_path: Path, case: Case) -> onnxray.Model:
    proto = tiny_models.model(case.text())
    for tensor in proto.graph.initializer:
        if tensor.name == "variance":  # positive
            values = np.abs(np.frombuffer(tensor.raw_data, np.float32)) + 0.5
            tensor.raw_data = values.astype(np.float32).tobytes()
    path = tmp_path / "net.onnx"
    path.write_bytes(proto.SerializeToString())
    return onnxray.load(path)


def as_written(network: TorchModel) -> TorchModel:
    """Without fusions."""
    network._variants = Variants(network.module, fused=False)
    return network


def value_and_gradient(network: TorchModel, image: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    feed = torch.tensor(image).double().requires_grad_()
    y = network.forward({"image": feed}, ["y"])["y"]
    weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    return y, torch.autograd.grad((y * weights).sum(), feed)[0]


def image_for(case: Case, count: int = 2) -> np.ndarray:
    shape = [int(size) for size in case.shape.split(",")]
    return np.random.default_rng(1).normal(size=(count, *shape)) * 3


def operations(network: TorchModel) -> list[str]:
    """Names of the functions that a run for `y` calls."""
    graph = network._variants.get([network.tensors["y"]], PLAIN).graph
    return [node.target.__name__ for node in graph.nodes if node.op == "call_function"]


def test_same_values_and_gradients(tmp_path: Path, case: Case) -> None:
    model, image = model_of(tmp_path, case), image_for(case)
    fused, written = TorchModel(model, torch.float64), as_written(TorchModel(model, torch.float64))
    for found, expected in zip(value_and_gradient(fused, image), value_and_gradient(written, image), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)


def test_nodes_are_gone(tmp_path: Path, case: Case) -> None:
    model = model_of(tmp_path, case)
    before, after = operations(as_written(model.torch(precision=torch.float64))), operations(TorchModel(model))
    assert len(before) - len(after) == case.fewer
    assert all(name in after and name not in before for name in case.functions)


def test_every_tensor_is_onnxruntimes(tmp_path: Path, case: Case) -> None:
    """Asked for all at once, nothing is left to fuse; asked for one by one, what lies before it is."""
    model, image = model_of(tmp_path, case), image_for(case).astype(np.float32)
    expected = model.session().run(image, model.session().tensors)
    together = model.torch().run(image, list(expected))
    for name, value in expected.items():
        alone = model.torch().run(image, [name])[name]
        for found in (together[name], alone):
            np.testing.assert_allclose(found, value, rtol=1e-4, atol=1e-4 * np.abs(value).max(), err_msg=name)


def test_a_tensor_asked_for_is_not_overwritten(tmp_path: Path) -> None:
    """Relu works in place only on what nobody sees."""
    model = model_of(tmp_path, CASES["Relu before a pool"])
    image = image_for(CASES["Relu before a pool"]).astype(np.float32)
    assert (model.torch().run(image, ["c", "y"])["c"] < 0).any()
    feed = torch.tensor(image)
    kept = feed.clone()
    model.torch().forward({"image": feed}, ["r", "y"])
    assert torch.equal(feed, kept)


def test_a_sum_of_one_term_is_that_term_and_not_overwritten(tmp_path: Path) -> None:
    case = Case("2, 4, 4", "2, 4, 4", "", "s = Sum (image) r = Relu (s) y = Add (r, image)", 0)
    image = np.random.default_rng(0).normal(size=(2, 2, 4, 4)).astype(np.float32)
    model = onnxray.Model(tiny_models.model(case.text().replace("<>", "")), tmp_path / "net.onnx")
    np.testing.assert_array_equal(model.torch().run(image, ["y"])["y"], np.maximum(image, 0) + image)


def test_normalisation_that_would_give_no_numbers_stays(tmp_path: Path) -> None:
    """A variance of zero without epsilon: infinite weights would make NaN where the file has infinity."""
    case = CASES["BatchNormalization, no bias, depthwise"]
    proto = tiny_models.model(case.text().replace("<epsilon = 0.01>", "<epsilon = 0.0>"))
    zero = next(tensor for tensor in proto.graph.initializer if tensor.name == "variance")
    zero.raw_data = np.array([1, 0, 2, 3], np.float32).tobytes()
    path = tmp_path / "net.onnx"
    path.write_bytes(proto.SerializeToString())
    assert "batch_normalization" in operations(onnxray.load(path).torch())


def test_what_is_derived_is_made_once(tmp_path: Path) -> None:
    """Variants share the weights that were folded."""
    network = model_of(tmp_path, CASES["BatchNormalization"]).torch()
    weights = [
        {value.data_ptr() for value in network._variants.get([network.tensors[name]], PLAIN).buffers()}
        for name in ("y", "v")
    ]
    assert weights[0] == weights[1]


# -- the gradient of strided convolutions ---


@pytest.mark.parametrize("size", [(16, 16), (17, 23), (30, 19)])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(7, 2, 3), (11, 4, 2), (4, 4, 0), (5, 3, 1), (4, 5, 0), (3, 2, 0)]
)
def test_strided_convolution(size: tuple[int, int], kernel: int, stride: int, padding: int) -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(5, 3, kernel, kernel, generator=generator, dtype=torch.float64)
    x = torch.randn(2, 3, *size, generator=generator, dtype=torch.float64, requires_grad=True)
    phases = phase_weight(weight, stride)
    found = strided_convolution(x, weight, None, phases, stride, padding)
    expected = torch.nn.functional.conv2d(x, weight, None, stride, padding)
    arriving = torch.randn(expected.shape, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad(y, x, arriving)[0] for y in (found, expected)]
    torch.testing.assert_close(*gradients)


def test_a_gradient_of_the_gradient_of_a_strided_convolution() -> None:
    weight = torch.randn(2, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x = torch.randn(1, 1, 7, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    phases = phase_weight(weight, 2)
    assert torch.autograd.gradgradcheck(lambda x: strided_convolution(x, weight, None, phases, 2, 1) ** 2, x)


def test_a_gradient_of_the_gradient_through_what_overwrites(tmp_path: Path) -> None:
    """Twice through the same graph, too: nothing that a second pass needs is written over."""
    model = model_of(tmp_path, CASES["Relu and Relu6 between convolutions"])
    network = model.torch(precision=torch.float64)
    image = torch.tensor(image_for(CASES["Relu and Relu6 between convolutions"])).requires_grad_()
    y = network.forward({"image": image}, ["y"])["y"]
    score = (y**2).sum()
    passes = [torch.autograd.grad(score, image, retain_graph=True)[0] for _ in range(2)]
    recorded = torch.autograd.grad(score, image, create_graph=True)[0]
    assert torch.equal(*passes)
    torch.testing.assert_close(recorded.detach(), passes[0])
    direction = torch.randn(image.shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    curvature = torch.autograd.grad((recorded * direction).sum(), image)[0]
    ends = []
    for sign in (1, -1):
        moved = (image.detach() + sign * 1e-6 * direction).requires_grad_()
        score = (network.forward({"image": moved}, ["y"])["y"] ** 2).sum()
        ends.append(torch.autograd.grad(score, moved)[0])
    torch.testing.assert_close(curvature, (ends[0] - ends[1]) / 2e-6, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    "keywords",
    [
        {"strides": [1, 1]},
        {"strides": [2, 1]},
        {"strides": [2, 2], "pads": [0, 0, 1, 1]},
        {"strides": [2, 2], "dilations": [2, 2]},
        {"strides": [2, 2], "group": 3},
        {"strides": [2, 2], "auto_pad": "SAME_UPPER"},
    ],
)
def test_convolutions_that_go_the_plain_way(keywords: dict[str, Any]) -> None:
    assert fits(torch.zeros(32, 3, 7, 7), {"strides": [2, 2]})
    assert not fits(torch.zeros(32, 3, 7, 7), keywords)
    assert not fits(torch.zeros(32, 3, 2, 2), {"strides": [2, 2]})
    assert not fits(torch.zeros(16, 3, 7, 7), {"strides": [2, 2]})
    assert not fits(torch.zeros(32, 8, 7, 7), {"strides": [2, 2]})
