"""Backward rules against passes through loops and slices in NumPy, float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxray
import pytest
import tiny_models
import torch
from numpy.lib.stride_tricks import sliding_window_view
from onnxray.engine.gradient.rules import DECONVNET, GUIDED, PLAIN, Rule

RULES = [PLAIN, DECONVNET, GUIDED]
Array = np.ndarray


@dataclass(frozen=True)
class Weighted:
    """A seeded weighted sum of a tensor: the gradient that arrives at it has either sign."""

    name: str

    def tensor(self, model: onnxray.Model) -> str:
        return self.name

    def score(self, value: Any) -> Any:
        return (value * torch.tensor(weights(tuple(value.shape)))).flatten(1).sum(1)


def weights(shape: tuple[int, ...]) -> Array:
    return np.random.default_rng(5).normal(size=shape)


def model_of(tmp_path: Path, text: str) -> onnxray.Model:
    return onnxray.load(tiny_models.save(tmp_path / "net.onnx", text))


def ruled(arriving: Array, slope: Array, rule: Rule) -> Array:
    """The definition: what goes on, of the gradient that arrives at an activation with this slope."""
    return {
        "plain": slope * arriving,
        "deconvnet": np.where(arriving > 0, arriving, 0),
        "guided": np.where(arriving > 0, slope * arriving, 0),
    }[rule.name]


# -- single activations ---

_erf = np.vectorize(math.erf)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def gelu(x: Array) -> Array:
    return x * (1 + _erf(x / math.sqrt(2))) / 2


def gelu_tanh(x: Array) -> Array:
    return x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2


def hard_swish(x: Array) -> Array:
    return x * np.clip(x + 3, 0, 6) / 6


CONSTANTS = """
<float slope = {0.2}, float zero = {0}, float one = {1}, float two = {2}, float three = {3}, float six = {6},
 float half = {0.5}, float root = {1.4142135}, float sixth = {0.16666667}, float cubic = {0.044715},
 float factor = {0.7978846}, float rate = {1.702}>
"""
ACTIVATIONS: dict[str, tuple[str, Callable[[Array], Array]]] = {
    "Relu": ("y = Relu (x)", lambda x: np.maximum(x, 0)),
    "LeakyRelu": ("y = LeakyRelu <alpha = 0.3> (x)", lambda x: np.where(x > 0, x, 0.3 * x)),
    "PRelu": ("y = PRelu (x, slope)", lambda x: np.where(x > 0, x, 0.2 * x)),
    "Relu6": ("y = Clip (x, zero, six)", lambda x: np.clip(x, 0, 6)),
    "Elu": ("y = Elu (x)", lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0)))),
    "Softplus": ("y = Softplus (x)", lambda x: np.log1p(np.exp(x))),
    "Gelu": ("y = Gelu (x)", gelu),
    "Gelu, x(1 + erf) / 2": ("a = Div (x, root) b = Erf (a) c = Add (b, one) d = Mul (x, c) y = Mul (d, half)", gelu),
    "Gelu, (x / 2)(1 + erf)": ("a = Div (x, root) b = Erf (a) c = Add (one, b) d = Mul (half, x) y = Mul (d, c)", gelu),
    "Gelu, x((1 + erf) / 2)": ("a = Div (x, root) b = Erf (a) c = Add (b, one) d = Div (c, two) y = Mul (d, x)", gelu),
    "Gelu, tanh": (
        "a = Mul (x, x) b = Mul (a, x) c = Mul (cubic, b) d = Add (x, c) e = Mul (d, factor) f = Tanh (e) "
        "g = Add (f, one) h = Mul (x, g) y = Mul (half, h)",
        gelu_tanh,
    ),
    "Gelu, tanh with Pow": (
        "b = Pow (x, three) c = Mul (b, cubic) d = Add (x, c) e = Mul (factor, d) f = Tanh (e) "
        "g = Add (one, f) h = Mul (x, half) y = Mul (h, g)",
        gelu_tanh,
    ),
    "QuickGelu": ("a = Mul (x, rate) b = Sigmoid (a) y = Mul (x, b)", lambda x: x * sigmoid(1.702 * x)),
    "SiLU": ("a = Sigmoid (x) y = Mul (x, a)", lambda x: x * sigmoid(x)),
    "SiLU, turned": ("a = Sigmoid (x) y = Mul (a, x)", lambda x: x * sigmoid(x)),
    "HardSwish": ("y = HardSwish (x)", hard_swish),
    "HardSwish, HardSigmoid": ("a = HardSigmoid <alpha = 0.16666667> (x) y = Mul (x, a)", hard_swish),
    "HardSwish, x Clip / 6": ("a = Add (x, three) b = Clip (a, zero, six) c = Mul (x, b) y = Div (c, six)", hard_swish),
    "HardSwish, x (Clip / 6)": (
        "a = Add (three, x) b = Clip (a, zero, six) c = Mul (b, sixth) y = Mul (c, x)",
        hard_swish,
    ),
    "Mish": ("y = Mish (x)", lambda x: x * np.tanh(np.log1p(np.exp(x)))),
    "Mish, written out": ("a = Softplus (x) b = Tanh (a) y = Mul (x, b)", lambda x: x * np.tanh(np.log1p(np.exp(x)))),
}


def activation_text(nodes: str) -> str:
    """The activation between two negations, so that its input is no leaf and its output no end."""
    return f"""
    <ir_version: 10, opset_import: ["" : 20]>
    one_activation (float[batch, 3, 4, 5] image) => (float[batch, 3, 4, 5] end)
    {CONSTANTS}
    {{ x = Neg (image) {nodes} end = Neg (y) }}
    """


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_of_an_activation(tmp_path: Path, name: str, rule: Rule) -> None:
    nodes, function = ACTIVATIONS[name]
    network = model_of(tmp_path, activation_text(nodes)).torch(precision=torch.float64)
    image = np.random.default_rng(1).uniform(-8, 8, (2, 3, 4, 5))
    found = network.gradients(image, Weighted("end"), ["image"], rule)
    image = image.astype(np.float32).astype(np.float64)  # as it was fed
    slope = (function(-image + 1e-6) - function(-image - 1e-6)) / 2e-6
    expected = -ruled(-weights(image.shape), slope, rule)
    np.testing.assert_allclose(found.gradients["image"], expected, atol=2e-6, rtol=0)
    np.testing.assert_allclose(found.scores, Weighted("").score(torch.tensor(-function(-image))), rtol=1e-5)


def test_an_inner_tensor_of_an_activation_is_what_the_file_says(tmp_path: Path) -> None:
    """Its value and its gradient; no rule acts then, as the chain is no activation any more."""
    network = model_of(tmp_path, activation_text(ACTIVATIONS["SiLU"][0])).torch(precision=torch.float64)
    image = np.random.default_rng(1).normal(size=(2, 3, 4, 5))
    found = network.gradients(image, Weighted("end"), ["a"], GUIDED)
    x = -image.astype(np.float32).astype(np.float64)
    np.testing.assert_allclose(found.values["a"], sigmoid(x), rtol=1e-12)
    np.testing.assert_allclose(found.gradients["a"], -x * weights(x.shape), rtol=1e-12)


@pytest.mark.parametrize("nodes", ["y = Sigmoid (x)", "y = Tanh (x)", "y = Clip (x, slope, six)", "y = Mul (x, x)"])
def test_what_does_not_rectify_keeps_its_gradient(tmp_path: Path, nodes: str) -> None:
    network = model_of(tmp_path, activation_text(nodes)).torch()
    image = np.random.default_rng(1).normal(size=(2, 3, 4, 5))
    plain = network.gradients(image, Weighted("end"), ["image"]).gradients["image"]
    assert np.any(plain > 0) and np.any(plain < 0)
    for rule in (DECONVNET, GUIDED):
        np.testing.assert_array_equal(
            network.gradients(image, Weighted("end"), ["image"], rule).gradients["image"], plain
        )


# -- a network ---

# The start of a VGG, a block of a ResNet whose Relu stands at two places, a classifier.
NETWORK = """
<ir_version: 8, opset_import: ["" : 17]>
network (float[batch, 2, 8, 8] image) => (float[batch, 5] scores)
<float[4, 2, 3, 3] w1, float[4] b1, float[4, 4, 3, 3] w2, float[4] b2, float[4, 4, 3, 3] w3,
 float[5, 4] w4, float[5] b4>
{
    conv1 = Conv <pads = [1, 1, 1, 1]> (image, w1, b1)
    relu1 = Relu (conv1)
    pool1 = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (relu1)
    conv2 = Conv <pads = [1, 1, 1, 1]> (pool1, w2, b2)
    relu2 = Relu (conv2)
    conv3 = Conv <pads = [1, 1, 1, 1]> (relu2, w3)
    sum = Add (conv3, pool1)
    relu3 = Relu (sum)
    mean = GlobalAveragePool (relu3)
    flat = Flatten (mean)
    scores = Gemm <transB = 1> (flat, w4, b4)
}
"""


def convolve(x: Array, w: Array) -> Array:  # 3x3, padding 1
    windows = sliding_window_view(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), (3, 3), (2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, w)


def convolved_back(arriving: Array, w: Array) -> Array:
    return convolve(arriving, w[:, :, ::-1, ::-1].swapaxes(0, 1))


def relu_back(x: Array, arriving: Array, rule: Rule) -> Array:
    return ruled(arriving, (x > 0).astype(float), rule)


def pool(x: Array) -> Array:
    n, c, h, w = x.shape
    return x.reshape(n, c, h // 2, 2, w // 2, 2).max((3, 5))


def pooled_back(x: Array, arriving: Array) -> Array:
    gone = np.zeros_like(x)
    for n, c, i, j in np.ndindex(arriving.shape):
        window = x[n, c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
        di, dj = np.unravel_index(window.argmax(), (2, 2))
        gone[n, c, 2 * i + di, 2 * j + dj] += arriving[n, c, i, j]
    return gone


def network_back(image: Array, w: dict[str, Array], rule: Rule) -> dict[str, Array]:
    """The gradient of the weighted sum of the scores, for some tensors."""
    bias = {name: w[name].reshape(-1, 1, 1) for name in ("b1", "b2")}
    conv1 = convolve(image, w["w1"]) + bias["b1"]
    relu1 = np.maximum(conv1, 0)
    pool1 = pool(relu1)
    conv2 = convolve(pool1, w["w2"]) + bias["b2"]
    total = convolve(np.maximum(conv2, 0), w["w3"]) + pool1
    at_flat = weights((len(image), 5)) @ w["w4"]
    at_relu3 = np.broadcast_to(at_flat[:, :, None, None] / 16, total.shape)
    at_sum = relu_back(total, at_relu3, rule)
    at_conv2 = relu_back(conv2, convolved_back(at_sum, w["w3"]), rule)
    at_pool1 = convolved_back(at_conv2, w["w2"]) + at_sum
    at_conv1 = relu_back(conv1, pooled_back(relu1, at_pool1), rule)
    return {"pool1": at_pool1, "conv1": at_conv1, "image": convolved_back(at_conv1, w["w1"])}


@pytest.fixture
def network(tmp_path: Path) -> onnxray.Model:
    return model_of(tmp_path, NETWORK)


def image_of(count: int = 2) -> Array:
    return np.random.default_rng(3).normal(size=(count, 2, 8, 8)).astype(np.float32)


@pytest.mark.parametrize("of", [["image"], ["pool1"], ["conv1"], ["image", "conv1", "pool1"]], ids="-".join)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_of_a_network(network: onnxray.Model, rule: Rule, of: list[str]) -> None:
    found = network.torch(precision=torch.float64).gradients(image_of(), Weighted("scores"), of, rule)
    stored = {name: network.graph.weight(name).astype(np.float64) for name in network.graph.initializers}
    expected = network_back(image_of().astype(np.float64), stored, rule)
    for name in of:
        np.testing.assert_allclose(found.gradients[name], expected[name], rtol=1e-9, atol=1e-12)


def test_rules_differ(network: onnxray.Model) -> None:
    made = [network.torch().gradients(image_of(), Weighted("scores"), ["image"], rule) for rule in RULES]
    assert all(np.array_equal(made[0].scores, other.scores) for other in made)
    plain, deconvnet, guided = (entry.gradients["image"] for entry in made)
    assert not np.allclose(plain, deconvnet) and not np.allclose(plain, guided) and not np.allclose(deconvnet, guided)


def test_a_rule_of_ones_own(network: onnxray.Model) -> None:
    """Any kind of node can have another function: here Conv, whose fusions are left out then."""
    calls: list[str] = []

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **keywords: Any) -> Any:
            calls.append("Conv")
            return function(*arguments, **keywords)

        return run

    rule = Rule("counted", {"Conv": counted})
    found = network.torch().gradients(image_of(), Weighted("scores"), ["image"], rule)
    plain = network.torch().gradients(image_of(), Weighted("scores"), ["image"])
    assert len(calls) == 3
    np.testing.assert_allclose(found.gradients["image"], plain.gradients["image"], rtol=1e-4, atol=1e-5)


# -- nothing is left behind ---


@dataclass(frozen=True)
class Failing(Weighted):
    def score(self, value: Any) -> Any:
        raise KeyError("no score")


def state(module: torch.nn.Module) -> dict[str, Any]:
    return {name: (id(value), value.clone(), value.requires_grad, value.grad) for name, value in module.named_buffers()}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_nothing_is_changed_even_by_an_exception(network: onnxray.Model, rule: Rule) -> None:
    bridge = network.torch()
    before, code = state(bridge.module), bridge.module.code
    plain = bridge.gradients(image_of(), Weighted("scores"), ["image"]).gradients["image"]
    with pytest.raises(KeyError):
        bridge.gradients(image_of(), Failing("scores"), ["image"], rule)
    bridge.gradients(image_of(), Weighted("scores"), ["image", "relu2"], rule)
    after = state(bridge.module)
    assert bridge.module.code == code and before.keys() == after.keys()
    assert not any(hook for part in bridge.module.modules() for hook in (part._forward_hooks, part._backward_hooks))
    for name, (identity, value, requires_grad, grad) in before.items():
        assert after[name][0] == identity and torch.equal(after[name][1], value), name
        assert after[name][2] is requires_grad is False and after[name][3] is grad is None
    again = bridge.gradients(image_of(), Weighted("scores"), ["image"]).gradients["image"]
    np.testing.assert_array_equal(again, plain)
