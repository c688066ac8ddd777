"""Nodes as boxes: what is left out, what is fused, what keeps a box of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnxray
import pytest
import tiny_models
from onnxray.engine.model import Model
from onnxray.engine.structure.drawing.boxes import Flow, flow

HEAD = '<ir_version: 8, opset_import: ["" : 17]>'


def _flow(text: str, fuse: bool = True) -> Flow:
    proto = tiny_models.model(f"{HEAD}\n{text}")
    for index, node in enumerate(proto.graph.node):
        node.name = f"{node.op_type}_{index}"
    return flow(Model(proto, Path("tiny.onnx")).graph, fuse=fuse)


def _words(found: Flow) -> list[str]:
    return [" · ".join((box.title, *box.details)) for box in found.boxes]


def test_convolution_norm_and_activation_are_one_box() -> None:
    found = _flow(
        """net (float[1, 4, 8, 8] x) => (float[1, 4, 4, 4] z)
        <float[4, 4, 3, 3] w, float[4] a, float[4] b, float[4] c, float[4] d>
        { y = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [2, 2]> (x, w)
          n = BatchNormalization (y, a, b, c, d)
          z = Relu (n) }"""
    )
    assert _words(found) == ["x", "Conv 3×3 /2 · BN · ReLU", "z"]
    assert found.feeders == ((), (0,), (1,))
    assert found.boxes[1].shape == "4×4×4"


def test_unfused_keeps_a_box_a_node() -> None:
    found = _flow("net (float[1, 4] x) => (float[1, 4] z) { y = Relu (x)\n z = Tanh (y) }", fuse=False)
    assert _words(found) == ["x", "ReLU", "tanh", "z"]


def test_a_tensor_with_two_readers_ends_a_box() -> None:
    found = _flow(
        "net (float[1, 4] x) => (float[1, 4] z) { y = Relu (x)\n a = Tanh (y)\n z = Concat <axis = 1> (a, y) }"
    )
    assert _words(found) == ["x", "ReLU", "tanh", "Concat", "z"]
    assert found.feeders[3] == (2, 1)  # in the order of the operator's inputs


def test_a_tensor_that_the_network_gives_ends_a_box() -> None:
    found = _flow("net (float[1, 4] x) => (float[1, 4] y, float[1, 4] z) { y = Relu (x)\n z = Tanh (y) }")
    assert _words(found) == ["x", "ReLU", "tanh", "y", "z"]


def test_shape_arithmetic_is_left_out() -> None:
    found = _flow(
        """net (float[1, 4, 8, 8] x) => (float[A, B] z)
        <int64[1] last = {-1}, int64 zero = {0}, int64[1] front = {0}>
        { s = Shape (x)
          n = Gather <axis = 0> (s, zero)
          m = Unsqueeze (n, front)
          k = Concat <axis = 0> (m, last)
          z = Reshape (x, k) }"""
    )
    assert _words(found) == ["x", "reshape", "z"]


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ("s = Sigmoid (y)\n z = Mul (y, s)", "SiLU"),
        ("a = Add (y, three)\n c = Clip (a, zero, six)\n m = Mul (y, c)\n z = Div (m, six)", "HardSwish"),
        ("d = Div (y, two)\n e = Erf (d)\n f = Add (e, one)\n m = Mul (y, f)\n z = Mul (m, half)", "GELU"),
        ("p = Softplus (y)\n t = Tanh (p)\n z = Mul (y, t)", "Mish"),
    ],
)
def test_activations_written_out_are_one_word(body: str, word: str) -> None:
    found = _flow(
        f"""net (float[1, 4, 8, 8] x) => (float[1, 4, 8, 8] z)
        <float[4, 4, 1, 1] w, float zero = {{0}}, float half = {{0.5}}, float one = {{1}}, float two = {{2}},
         float three = {{3}}, float six = {{6}}>
        {{ y = Conv <kernel_shape = [1, 1]> (x, w)\n {body} }}"""
    )
    assert _words(found) == ["x", f"Conv 1×1 · {word}", "z"]


def test_an_image_scaled_and_shifted_first_is_one_box() -> None:
    found = _flow(
        """net (float[1, 4] x) => (float[1, 4] z)
        <float[4] a, float[4] b> { y = Mul (x, a)\n z = Add (y, b) }"""
    )
    assert _words(found) == ["x", "Mul · shift", "z"]


def test_a_norm_written_out_is_one_box_before_its_dense_layer() -> None:
    found = _flow(
        """net (float[1, 6, 4] x) => (float[1, 6, 4] z)
        <float[4, 4] w, float[4] g, float[4] b, float two = {2}, float eps = {0.00001}>
        { m = ReduceMean <axes = [-1]> (x)
          d = Sub (x, m)
          q = Pow (d, two)
          v = ReduceMean <axes = [-1]> (q)
          e = Add (v, eps)
          r = Sqrt (e)
          n = Div (d, r)
          s = Mul (n, g)
          t = Add (s, b)
          z = MatMul (t, w) }"""
    )
    assert _words(found) == ["x", "LayerNorm", "Dense", "z"]


def test_global_pooling_is_not_taken_for_a_norm() -> None:
    found = _flow(
        """net (float[1, 4, 8, 8] x) => (float[1, 4, 1, 1] z)
        { y = Relu (x)\n z = ReduceMean <axes = [2, 3]> (y) }"""
    )
    assert _words(found) == ["x", "ReLU", "Global average pool", "z"]


def test_what_a_subgraph_reads_counts() -> None:
    found = _flow(
        """net (float[1, 4] x, bool c) => (float[1, 4] z)
        { y = Relu (x)
          z = If (c) <then_branch = g () => (float[1, 4] p) { p = Tanh (y) },
                      else_branch = h () => (float[1, 4] q) { q = Neg (y) }> }"""
    )
    assert _words(found) == ["x", "c", "ReLU", "If", "z"]
    assert found.feeders[3] == (1, 2)


REAL = [
    "derived/squeezenet1.1.onnx",
    "derived/resnet20_cifar10.onnx",
    "onnx/ultraface_rfb320/version-RFB-320.onnx",
    "onnx/ppocr_v4_rec_svtr/ch_PP-OCRv4_rec_infer.onnx",
    "onnx/sinet_portrait/SINet_Softmax.onnx",
]


@pytest.mark.parametrize("name", REAL)
def test_every_node_that_carries_data_is_in_one_box(shared: Callable[[str], Path], name: str) -> None:
    """Against a walk of its own: from the inputs forward, not through Shape."""
    graph = onnxray.load(shared(f"models/{name}")).graph
    reached = set(graph.inputs)
    carrying = []
    for node in graph.nodes:
        if node.op != "Shape" and reached & set(node.inputs):
            reached |= set(node.outputs)
            carrying.append(node.name)
    for fuse in (True, False):
        boxed = [node.name for box in flow(graph, fuse=fuse).boxes for node in box.nodes]
        assert sorted(boxed) == sorted(carrying)
