"""Convolutions with weights in the CPU library's own order, against torch's own."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnxray
import pytest
import torch
import torch.nn.functional as F
from onnx import numpy_helper, parser, save
from onnxray.engine.gradient.packed import fits, packed_convolution
from onnxray.engine.gradient.rules import PLAIN

TEXT = """
<ir_version: 8, opset_import: ["" : 17]>
net (float[N, 16, 9, 7] image) => (float[N, 16, 9, 7] y)
<float[32, 16, 3, 3] v, float[32] b, float[16, 32, 1, 1] w, float[16, 1, 3, 3] u, float zero = {0}, float six = {6}>
{
    c = Conv <pads = [1, 1, 1, 1]> (image, v, b)
    r = Relu (c)
    rr = Relu (r)
    d = Conv (rr, w)
    e = Clip (d, zero, six)
    f = Conv <pads = [1, 1, 1, 1], group = 16> (e, u)
    s = Add (f, e)
    y = Relu (s)
}
"""


def clipped(y: torch.Tensor, highest: float | None) -> torch.Tensor:
    return y if highest is None else y.clamp(0, highest)


@pytest.mark.parametrize("plain_sums", [True, False])
@pytest.mark.parametrize("highest", [None, 6.0, math.inf])
@pytest.mark.parametrize(
    ("made", "read", "groups", "kernel", "pads"),
    [
        (32, 8, 1, (3, 3), [1, 1]),
        (16, 32, 1, (3, 3), [1, 1]),
        (32, 16, 1, (3, 3), [0, 2]),
        (16, 24, 1, (1, 1), [0, 0]),
        (16, 16, 1, (5, 3), [0, 2]),
        (24, 1, 24, (3, 3), [1, 1]),
        (48, 40, 1, (2, 4), [1, 0]),
    ],
)
def test_values_and_gradients(
    made: int,
    read: int,
    groups: int,
    kernel: tuple[int, int],
    pads: list[int],
    highest: float | None,
    plain_sums: bool,
) -> None:
    """Images of changing size: the order of the weights is made for each. Gradients of gradients, too."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(made, read, *kernel, generator=generator)
    bias = torch.randn(made, generator=generator)
    keywords = {"pads": pads * 2, "group": groups}
    assert fits(weight, keywords)
    function = packed_convolution(weight, pads, groups, plain_sums)
    for size in ((3, 9, 9), (1, 14, 7), (2, 9, 9)):
        x = torch.randn(size[0], read * groups, *size[1:], generator=generator).requires_grad_()
        found = function(x, bias, highest)
        exact = x.double()
        expected = clipped(F.conv2d(exact, weight.double(), bias.double(), padding=pads, groups=groups), highest)
        arriving = torch.randn(expected.shape, generator=generator).requires_grad_()
        torch.testing.assert_close(found, expected.float(), rtol=1e-4, atol=1e-4)
        first = torch.autograd.grad(found, x, arriving, create_graph=True)[0]
        first_expected = torch.autograd.grad(expected, x, arriving.double(), create_graph=True)[0]
        torch.testing.assert_close(first, first_expected, rtol=1e-4, atol=1e-4)
        second = [torch.autograd.grad((gradient**2).sum(), arriving)[0] for gradient in (first, first_expected)]
        torch.testing.assert_close(*second, rtol=1e-4, atol=1e-3)


def test_equal_places_stay_equal_where_gradients_are_taken() -> None:
    """Of one colour, all places of a maximum tie, and the first must win as it does elsewhere."""
    weight = torch.randn(16, 16, 3, 3, generator=torch.Generator().manual_seed(0))
    image = torch.full((1, 16, 12, 12), 0.3)
    inner = packed_convolution(weight, [0, 0], 1)(image)
    assert (inner == inner[..., :1, :1]).all()
    by_kernel = packed_convolution(weight, [0, 0], 1, plain_sums=False)(image)
    assert (by_kernel != by_kernel[..., :1, :1]).any()  # which is why


@pytest.mark.parametrize(
    ("shape", "keywords"),
    [
        ((16, 16, 3, 3), {"strides": [2, 1]}),
        ((16, 16, 3, 3), {"dilations": [2, 2]}),
        ((16, 16, 3, 3), {"pads": [0, 0, 1, 1]}),
        ((16, 16, 3, 3), {"pads": [3, 0, 3, 0]}),
        ((16, 16, 3, 3), {"auto_pad": "SAME_UPPER"}),
        ((16, 3, 3, 3), {}),
        ((20, 16, 3, 3), {}),
        ((16, 8, 3, 3), {"group": 2}),
        ((32, 1, 3, 3), {"group": 16}),
        ((16, 16, 3), {}),
    ],
)
def test_what_it_is_not_for(shape: tuple[int, ...], keywords: dict[str, object]) -> None:
    assert not fits(torch.zeros(shape), keywords)
    assert not fits(torch.zeros(16, 16, 3, 3, dtype=torch.float64), {})


def test_a_network(tmp_path: Path) -> None:
    """In a graph, with the clipping taken in, and a Relu behind one that was taken in."""
    random = np.random.default_rng(0)
    proto = parser.parse_model(TEXT)
    for entry in proto.graph.value_info:
        shape = [size.dim_value for size in entry.type.tensor_type.shape.dim]
        proto.graph.initializer.append(
            numpy_helper.from_array(random.normal(size=shape).astype(np.float32), entry.name)
        )
    save(proto, tmp_path / "net.onnx")
    model = onnxray.load(tmp_path / "net.onnx")
    image = random.normal(size=(2, 16, 9, 7)).astype(np.float32)
    found, gradients = [], []
    for precision in (torch.float32, torch.float64):
        network = model.torch(precision=precision)
        x = torch.tensor(image, dtype=precision).requires_grad_()
        y = network.forward({"image": x}, ["y"])["y"]
        found.append(y.detach().float())
        gradients.append(torch.autograd.grad((y**2).sum(), x)[0].float())
    np.testing.assert_allclose(found[0], model.session().run(image)["y"], rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-3 * float(gradients[1].abs().max()))
    network = model.torch()
    graph = network._variants.get([network.tensors["y"]], PLAIN).graph
    names = {node.target.__name__ for node in graph.nodes if callable(node.target)}
    assert names == {"packed_conv2d", "relu", "add", "relu_"}
