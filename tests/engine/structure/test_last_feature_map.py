"""Where Grad-CAM looks by itself: heads of every kind, and networks without a map."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny_models
from model_specs import load_model
from onnxray.engine.model import Model
from onnxray.engine.structure.last_feature_map import last_feature_map
from onnxray.engine.targets import ClassScore, as_target
from onnxray.importers.errors import InputError

FRAME = """
<ir_version: 8, opset_import: ["" : 17]>
net (float[N, 3, 8, 8] image) => (float[{output}] out)
<float[4, 3, 3, 3] w1, float[4, 4, 3, 3] w2, float[5, 4] fc, float[5, 64] wide, float[4, 4] square,
 float[4, 4, 1, 1] squeeze>
{{
    a = Conv <pads = [1, 1, 1, 1]> (image, w1)
    b = Relu (a)
    {body}
}}
"""
HEADS = {
    "global pooling": ("p = GlobalAveragePool (b) f = Flatten (p) out = Gemm <transB = 1> (f, fc)", "b"),
    "mean": ("p = ReduceMean <axes = [2, 3], keepdims = 0> (b) out = Gemm <transB = 1> (p, fc)", "b"),
    "flattened": (
        "m = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (b) f = Flatten (m) out = Gemm <transB = 1> (f, wide)",
        "b",
    ),
    "channels last": (
        "t = Transpose <perm = [0, 2, 3, 1]> (b) p = ReduceMean <axes = [1, 2], keepdims = 0> (t) "
        "out = Gemm <transB = 1> (p, fc)",
        "b",
    ),
    "flattened places": (
        "s = Constant <value = int64[3] {0, 4, -1}> () r = Reshape (b, s) "
        "p = ReduceMean <axes = [2], keepdims = 0> (r) out = Gemm <transB = 1> (p, fc)",
        "b",
    ),
    "residual": (
        "c = Conv <pads = [1, 1, 1, 1]> (b, w2) d = Add (b, c) p = GlobalAveragePool (d) f = Flatten (p) "
        "out = Gemm <transB = 1> (f, fc)",
        "d",
    ),
    "squeeze and excitation": (
        "q = GlobalAveragePool (b) e = Conv (q, squeeze) g = Sigmoid (e) d = Mul (b, g) p = GlobalAveragePool (d) "
        "f = Flatten (p) out = Gemm <transB = 1> (f, fc)",
        "d",
    ),
    "reshaped by its own shape": (
        "p = GlobalAveragePool (b) h = Shape <end = 1> (p) r = Constant <value = int64[1] {-1}> () "
        "s = Concat <axis = 0> (h, r) f = Reshape (p, s) out = Gemm <transB = 1> (f, fc)",
        "b",
    ),
}


def network(body: str, output: str = "N, 5") -> Model:
    return Model(tiny_models.model(FRAME.format(body=body, output=output)), Path("net.onnx"))


@pytest.mark.parametrize("head", HEADS)
def test_heads(head: str) -> None:
    body, expected = HEADS[head]
    assert last_feature_map(network(body).graph, "out") == expected


def test_of_a_map_it_is_what_the_last_convolution_reads() -> None:
    model = network("c = Conv <pads = [1, 1, 1, 1]> (b, w2) out = Softmax <axis = 1> (c)", "N, 4, 8, 8")
    assert last_feature_map(model.graph, "out") == "b"
    with pytest.raises(InputError, match="no feature map"):
        last_feature_map(model.graph, "b")  # the first convolution reads the image


def test_tokens_are_named() -> None:
    body = (
        "s = Constant <value = int64[3] {0, 4, -1}> () r = Reshape (b, s) t = Transpose <perm = [0, 2, 1]> (r) "
        "m = MatMul (t, square) k = Constant <value = int64 {0}> () g = Gather <axis = 1> (m, k) "
        "out = Gemm <transB = 1> (g, fc)"
    )
    with pytest.raises(InputError, match=r"reasons in tokens \(m \[1, 64, 4\]\).*name a layer"):
        last_feature_map(network(body).graph, "out")


ATTENTION = (
    "s = Constant <value = int64[3] {0, 4, -1}> () r = Reshape (b, s) grid = Transpose <perm = [0, 2, 1]> (r) "
    "tokens = Concat <axis = 1> (class_token, grid) norm = LayerNormalization (tokens, scale) "
    "q = MatMul (norm, w_q) k = MatMul (norm, w_k) v = MatMul (norm, w_v) kt = Transpose <perm = [0, 2, 1]> (k) "
    "qk = MatMul (q, kt) probabilities = Softmax (qk) mixed = MatMul (probabilities, v) sum = Add (tokens, mixed) "
    "wide = MatMul (sum, w_wide) active = Gelu (wide) narrow = MatMul (active, w_narrow) last = Add (sum, narrow) "
)
HEADS_OF_TOKENS = {
    "class token": ("i = Constant <value = int64 {0}> () g = Gather <axis = 1> (last, i) ", "norm"),
    "mean of all but it": (
        "from = Constant <value = int64[1] {1}> () to = Constant <value = int64[1] {65}> () "
        "rest = Slice (last, from, to, from) g = ReduceMean <axes = [1], keepdims = 0> (rest) ",
        "rest",
    ),
}


def transformer(head: str) -> Model:
    square = (
        "float[4, 4] w_q, float[4, 4] w_k, float[4, 4] w_v, float[4, 9] w_wide, float[9, 4] w_narrow, float[4] scale"
    )
    text = FRAME.replace('["" : 17]', '["" : 20]').replace(
        "float[4, 4] square", f"float[1, 1, 4] class_token, {square}"
    )
    body = ATTENTION + HEADS_OF_TOKENS[head][0].replace(
        "<axes = [1], keepdims = 0> (rest)", "<keepdims = 0> (rest, from)"
    )
    return Model(
        tiny_models.model(
            text.format(body=body + "out = Gemm <transB = 1> (g, fc)", output="1, 5").replace(
                "float[N, 3", "float[1, 3"
            )
        ),
        Path("transformer.onnx"),
    )


@pytest.mark.parametrize("head", HEADS_OF_TOKENS)
def test_the_last_tokens_that_all_count(head: str) -> None:
    """Every token has a gradient there; behind the attention, for the class token's head, only that token has one."""
    model, expected = transformer(head), HEADS_OF_TOKENS[head][1]
    found = last_feature_map(model.graph, "out")
    assert found == expected
    image = np.random.default_rng(0).normal(size=(1, 3, 8, 8)).astype(np.float32)
    gradients = model.torch().gradients(image, ClassScore(1), [found, "sum"]).gradients
    counting = [int((np.abs(gradients[name]).max(-1) > 0).sum()) for name in (found, "sum")]
    assert counting == ([65, 1] if head == "class token" else [64, 64])


def test_real_networks(shared: Callable[[str], Path]) -> None:
    layers = {
        "models/derived/squeezenet1.1.onnx": "/classifier/classifier.2/Relu_output_0",
        "models/derived/resnet20_cifar10.onnx": "/layer3/layer3.2/Relu_1_output_0",
        "models/caffe/lenet_mnist/lenet_iter_10000.caffemodel": "conv2",
        "models/onnx/ppocr_v2_cls/ch_ppocr_mobile_v2.0_cls_infer.onnx": "hardswish_17.tmp_0",
    }
    for name, layer in layers.items():
        model = load_model(shared, name)
        assert last_feature_map(model.graph, as_target(None, model).tensor(model)) == layer
