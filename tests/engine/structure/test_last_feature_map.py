"""Where Grad-CAM looks by itself: heads of every kind, and networks without a map."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_models
from model_specs import load_model
from onnxray.engine.model import Model
from onnxray.engine.structure.last_feature_map import last_feature_map
from onnxray.engine.targets import as_target
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
