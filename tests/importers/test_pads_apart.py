"""A border of zeros in front of a MaxPool: onnxruntime's optimiser must not make it one of lowest numbers. In ONNX
files, and in every other format that has borders.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import parser
from onnxray.importers import load
from onnxray.importers.normalise import normalise
from onnxray.importers.pads_apart import keep_pads_apart
from onnxray.importers.pytorch.exporting import to_onnx
from tensorflow_graphs import Net, write
from tflite_writer import Op, T, constant
from tflite_writer import model as tflite
from tiny_keras import layer, sequential, write_h5
from torch import nn

NEGATIVE = -1 - np.random.default_rng(0).random((1, 2, 6, 6), np.float32)  # so that every zero shows
POOL = "y = MaxPool <kernel_shape = [3, 3], strides = [2, 2]> (q)"
CONSTANTS = """int64[8] pads = {0, 0, 1, 1, 0, 0, 1, 1}, int64[8] last = {0, 1, 1, 0, 0, 1, 1, 0}, float zero = {0},
    float one = {1}, int64[4] ones = {1, 1, 1, 1}, int64[2] axes = {2, 3}, bool yes = {1}"""
BODIES = {
    "nothing else": f"q = Pad (x, pads, zero) {POOL}",
    "no value": f"q = Pad (x, pads) {POOL}",
    "pads that are computed": f"s = Shape (x) n = Sub (s, s) n2 = Concat <axis = 0> (n, n) "
    f"p = Add (n2, pads) q = Pad (x, p, zero) {POOL}",
    "pads of the pool's own": "q = Pad (x, pads, zero) "
    "y = MaxPool <kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]> (q)",
    "places that are read": "q = Pad (x, pads, zero) y, places = MaxPool <kernel_shape = [3, 3]> (q)",
    "sizes rounded up": "q = Pad (x, pads, zero) "
    "y = MaxPool <kernel_shape = [3, 3], strides = [2, 2], ceil_mode = 1, dilations = [1, 2]> (q)",
    "Identity": f"p = Pad (x, pads, zero) q = Identity (p) {POOL}",
    "Dropout": f"p = Pad (x, pads, zero) q = Dropout (p) {POOL}",
    "a cast to the same": f"p = Pad (x, pads, zero) q = Cast <to = 1> (p) {POOL}",
    "times one": f"p = Pad (x, pads, zero) q = Mul (p, one) {POOL}",
    "plus zero": f"p = Pad (x, pads, zero) q = Add (zero, p) {POOL}",
    "minus zero": f"p = Pad (x, pads, zero) q = Sub (p, zero) {POOL}",
    "over one": f"p = Pad (x, pads, zero) q = Div (p, one) {POOL}",
    "expanded to the same": f"p = Pad (x, pads, zero) q = Expand (p, ones) {POOL}",
    "channels last": "t = Transpose <perm = [0, 2, 3, 1]> (x) p = Pad (t, last, zero) "
    f"q = Transpose <perm = [0, 3, 1, 2]> (p) {POOL}",
    "two pads": f"p = Pad (x, pads, zero) q = Pad (p, pads, zero) {POOL}",
    "a pad of zeros and a mirror": f'p = Pad (x, pads, zero) q = Pad <mode = "reflect"> (p, pads) {POOL}',
    "a pool that pads alike": "q = Pad (x, pads, zero) "
    'y = MaxPool <kernel_shape = [3, 3], auto_pad = "SAME_UPPER"> (q)',
    "a branch": "y = If (yes) <then_branch = a () => (float[N, C, H, W] b) { "
    "p = Pad (x, pads, zero) b = MaxPool <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (p) }, "
    "else_branch = c () => (float[N, C, H, W] d) { d = Identity (x) }>",
}


def model(body: str, opset: int = 17) -> onnx.ModelProto:
    head = f'<ir_version: 8, opset_import: ["" : {opset}]>'
    return parser.parse_model(f"{head} g (float[1, 2, 6, 6] x) => (float[N, C, H, W] y) <{CONSTANTS}> {{ {body} }}")


def run(proto: onnx.ModelProto, optimised: bool) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    (entry,), (result,) = session.get_inputs(), session.get_outputs()
    return session.run([result.name], {entry.name: NEGATIVE})[0]


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("opset", [13, 17, 20])
def test_the_optimiser_leaves_zeros_zero(name: str, opset: int) -> None:
    proto = model(BODIES[name], opset)
    expected = run(proto, optimised=False)
    assert expected.max() == 0
    normalise(proto)
    onnx.checker.check_model(proto, full_check=True)
    assert np.array_equal(run(proto, optimised=False), expected)
    assert np.array_equal(run(proto, optimised=True), expected)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_means_of_zeros_are_zero(size: int) -> None:
    """Padding as large as the window is none that an AveragePool may have itself."""
    body = f"w = Pad (x, pads, zero) y = AveragePool <kernel_shape = [{size}, {size}]> (w)"
    proto = model(body, 17)
    expected = run(proto, optimised=False)
    normalise(proto)
    assert np.array_equal(run(proto, optimised=True), expected)


def test_operators_of_1_and_2() -> None:
    body = "q = Pad <pads = [0, 0, 1, 1, 0, 0, 1, 1]> (x) y = MaxPool <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (q)"
    proto = parser.parse_model(
        f'<ir_version: 3, opset_import: ["" : 7]> g (float[1, 2, 6, 6] x) => (float[1, 2, 8, 8] y) {{ {body} }}'
    )
    expected = run(proto, optimised=False)
    normalise(proto)
    assert np.array_equal(run(proto, optimised=True), expected)


@pytest.mark.parametrize(
    "body",
    [
        f"q = Relu (x) {POOL}",
        f'q = Pad <mode = "reflect"> (x, pads) {POOL}',
        f"q = Pad (x, ones, zero, axes) {POOL}",
        f"p = Pad (x, pads, zero) q = Relu (p) {POOL}",
        "q = Pad (x, pads, zero) y = Relu (q) r = LpPool <kernel_shape = [3, 3]> (q)",
    ],
)
def test_what_is_never_merged_stays_as_it_is(body: str) -> None:
    proto = model(body, 20)
    before = proto.SerializeToString()
    keep_pads_apart(proto)
    assert proto.SerializeToString() == before


def test_a_pool_without_padding_gets_no_node_more() -> None:
    proto = model(BODIES["nothing else"])
    normalise(proto)
    assert [node.op_type for node in proto.graph.node] == ["Pad", "MaxPool"]


BORDER = [[0, 0], [1, 1], [1, 1], [0, 0]]


def border_in_tflite(path: Path, kind: str) -> None:
    tensors = {"x": T([1, 6, 6, 2]), "pads": constant(BORDER, "int32"), "zero": constant([0.0])}
    tensors |= {"wide": T([1, 8, 8, 2]), "y": T([1, 3, 3, 2])}
    window = {"padding": 1, "stride_h": 2, "stride_w": 2, "filter_height": 3, "filter_width": 3}
    inputs = ["x", "pads", *(["zero"] if kind == "PADV2" else [])]
    operators = [Op(kind, inputs, ["wide"]), Op("MAX_POOL_2D", ["wide"], ["y"], "Pool2D", window)]
    path.write_bytes(tflite(tensors, operators, ["x"], ["y"]))


def border_in_tensorflow(path: Path, kind: str) -> None:
    net = Net()
    inputs = [net.input(NEGATIVE.transpose(0, 2, 3, 1), "x"), net.ints(BORDER)]
    inputs += [net.constant(0.0)] if kind == "PadV2" else []
    wide = net.node(kind, inputs, T="FLOAT32", Tpaddings="INT32")
    form = {"strides": [1, 2, 2, 1], "padding": "VALID", "data_format": "NHWC"}
    net.node("MaxPool", [wide], "y", ksize=[1, 3, 3, 1], T="FLOAT32", **form)
    write(path, net)


def border_in_keras(path: Path, kind: str) -> None:
    window = {"pool_size": [3, 3], "strides": [2, 2], "padding": "valid"}
    net = sequential(
        layer(kind, "border", padding=[[1, 1], [1, 1]], batch_input_shape=[None, 6, 6, 2]),
        layer("MaxPooling2D", "pool", **window),
    )
    write_h5(path, net, {})


@pytest.mark.parametrize(
    ("writer", "kind"),
    [
        (border_in_keras, "ZeroPadding2D"),
        (border_in_tflite, "PAD"),
        (border_in_tflite, "PADV2"),
        (border_in_tensorflow, "Pad"),
        (border_in_tensorflow, "PadV2"),
    ],
)
def test_in_keras_and_tensorflows_formats(writer: Callable[[Path, str], None], kind: str, tmp_path: Path) -> None:
    writer(tmp_path / "model", kind)
    found = run(load(tmp_path / "model"), optimised=True)
    expected = nn.functional.max_pool2d(nn.functional.pad(torch.from_numpy(NEGATIVE), (1, 1, 1, 1)), 3, 2)
    assert np.array_equal(found, expected.numpy())


@pytest.mark.filterwarnings("ignore")  # of deprecated calls
@pytest.mark.parametrize(
    "module",
    [
        nn.Sequential(nn.ZeroPad2d(1), nn.MaxPool2d(3, 2)),
        nn.Sequential(nn.ConstantPad2d((1, 0, 2, 1), 0.0), nn.Identity(), nn.MaxPool2d(3, 2, padding=1)),
        nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.MaxPool2d(2, 2, ceil_mode=True)),
        nn.Sequential(nn.ZeroPad2d(1), nn.PixelUnshuffle(2), nn.MaxPool2d(2)),
        nn.Sequential(nn.ZeroPad2d(1), nn.AvgPool2d(3, 2, padding=1, count_include_pad=False)),
        nn.Sequential(nn.ConstantPad2d(1, -5.0), nn.MaxPool2d(3, 2)),
    ],
)
def test_in_pytorch(module: nn.Module) -> None:
    proto = onnx.load_from_string(to_onnx(module.eval(), None, {"": [1, 2, 6, 6]}))
    normalise(proto)
    expected = module(torch.from_numpy(NEGATIVE)).numpy()
    np.testing.assert_allclose(run(proto, optimised=True), expected, rtol=1e-6)
