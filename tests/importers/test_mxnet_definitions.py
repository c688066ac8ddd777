"""MXNet's operators, re-implemented slowly and close to their definition, where there is no MXNet to ask."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnxray.importers import load
from onnxray.importers.certificate import run_onnx
from tiny_mxnet import Net

Array = np.ndarray


def run(net: Net, folder: Path, **options: Any) -> tuple[Array, dict[str, Array]]:
    """(first output, inputs) of a network on seeded numbers."""
    proto = load(net.write(folder), shapes=net.inputs, **options)
    feeds = net.feeds()
    name = proto.graph.output[0].name
    return run_onnx(proto, {value.name: feeds[value.name] for value in proto.graph.input}, [name])[name], feeds


def windows(size: int, kernel: int, stride: int, pad: int, convention: str) -> list[tuple[int, int]]:
    """(first, behind the last) place of each pooling window, the padded border included."""
    steps = (size + 2 * pad - kernel) / stride
    count = (math.ceil(steps) if convention == "full" else math.floor(steps)) + 1
    return [(at * stride - pad, min(at * stride - pad + kernel, size + pad)) for at in range(count)]


POOLS = list(itertools.product(("max", "avg"), ("valid", "full"), (2, 3), (1, 2, 3), (0, 1), (True, False)))


@pytest.mark.parametrize("side", [7, 8])
def test_pooling(side: int, tmp_path: Path) -> None:
    """`full` rounds up; padding counts in an average unless it is said not to; what lies beyond it never does."""
    tried = 0
    for kind, convention, kernel, stride, pad, counts in POOLS:
        places = windows(side, kernel, stride, pad, convention)
        if pad >= kernel or places[-1][0] >= side or (kind == "max" and not counts):
            continue
        net = Net(seed=tried)
        options = {"pool_type": kind, "pooling_convention": convention, "count_include_pad": counts}
        sizes = {"kernel": (kernel, kernel), "stride": (stride, stride), "pad": (pad, pad)}
        net.node("Pooling", "p", net.input("data", (1, 1, side, side)), **sizes, **options)
        found, feeds = run(net, tmp_path)
        image, expected = feeds["data"][0, 0], np.zeros((len(places), len(places)))
        for (row, (top, bottom)), (column, (left, right)) in itertools.product(enumerate(places), repeat=2):
            part = image[max(top, 0) : bottom, max(left, 0) : right]
            area = (bottom - top) * (right - left) if counts else part.size
            expected[row, column] = part.max() if kind == "max" else part.sum() / area
        np.testing.assert_allclose(found[0, 0], expected, atol=1e-5)
        tried += 1
    assert tried >= 50


def test_convolution(tmp_path: Path) -> None:
    net = Net()
    weight = net.random.normal(size=(4, 1, 2, 3)).astype(np.float32)
    data, kernel = net.input("data", (1, 2, 6, 7)), net.parameter("w", weight)
    net.node("Convolution", "c", data, kernel, kernel=(2, 3), num_filter=4, num_group=2, no_bias=True, stride=(2, 1),
             pad=(1, 0), dilate=(2, 1))  # fmt: skip
    found, feeds = run(net, tmp_path)
    padded = np.pad(feeds["data"][0], ((0, 0), (1, 1), (0, 0)))
    assert found.shape == (1, 4, 3, 5)
    for out, row, column in np.ndindex(found.shape[1:]):
        part = padded[out // 2, row * 2 : row * 2 + 3 : 2, column : column + 3]
        np.testing.assert_allclose(found[0, out, row, column], (part * weight[out, 0]).sum(), atol=1e-4)


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({}, (7, 9)),
        ({"pad": (1, 1)}, (5, 7)),
        ({"pad": (1, 1), "adj": (1, 0)}, (6, 7)),
        ({"adj": (1, 1)}, (8, 10)),
        ({"target_shape": (6, 8)}, (6, 8)),
        ({"target_shape": (4, 7)}, (4, 7)),
    ],
)
def test_deconvolution(options: dict[str, Any], shape: tuple[int, int], tmp_path: Path) -> None:
    """Every input number puts a kernel down; then the border goes, of `target_shape` the larger half at the start."""
    net = Net()
    weight = net.random.normal(size=(2, 3, 3, 3)).astype(np.float32)
    data, kernel = net.input("data", (1, 2, 3, 4)), net.parameter("w", weight)
    net.node("Deconvolution", "d", data, kernel, kernel=(3, 3), stride=(2, 2), num_filter=3, **options)
    found, feeds = run(net, tmp_path)
    whole = np.zeros((3, 9, 11))
    for channel, row, column in np.ndindex(2, 3, 4):
        put = whole[:, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
        put += feeds["data"][0, channel, row, column] * weight[channel]
    pads = options.get("pad", (0, 0))
    if "target_shape" in options:
        pads = [math.ceil((full - wanted) / 2) for full, wanted in zip((7, 9), shape, strict=True)]
    expected = whole[:, pads[0] : pads[0] + shape[0], pads[1] : pads[1] + shape[1]]
    np.testing.assert_allclose(found[0], expected, atol=1e-4)


# MXNet's own examples of the codes: input, shape, whether read from the right, output
RESHAPES = [
    ((2, 3, 4), (4, 0, 2), False, (4, 3, 2)),
    ((2, 3, 4), (2, 0, 0), False, (2, 3, 4)),
    ((2, 3, 4), (6, 1, -1), False, (6, 1, 4)),
    ((2, 3, 4), (3, -1, 8), False, (3, 1, 8)),
    ((2, 3, 4), (-1,), False, (24,)),
    ((2, 3, 4), (-2,), False, (2, 3, 4)),
    ((2, 3, 4), (2, -2), False, (2, 3, 4)),
    ((2, 3, 4), (-2, 1, 1), False, (2, 3, 4, 1, 1)),
    ((2, 3, 4), (-3, 4), False, (6, 4)),
    ((2, 3, 4, 5), (-3, -3), False, (6, 20)),
    ((2, 3, 4), (0, -3), False, (2, 12)),
    ((2, 3, 4), (-3, -2), False, (6, 4)),
    ((2, 3, 4), (-4, 1, 2, -2), False, (1, 2, 3, 4)),
    ((2, 3, 4), (2, -4, -1, 3, -2), False, (2, 1, 3, 4)),
    ((10, 5, 4), (-1, 0), False, (40, 5)),
    ((10, 5, 4), (-1, 0), True, (50, 4)),
]


@pytest.mark.parametrize(("before", "codes", "backwards", "after"), RESHAPES)
def test_reshape(
    before: tuple[int, ...], codes: tuple[int, ...], backwards: bool, after: tuple[int, ...], tmp_path: Path
) -> None:
    net = Net()
    net.node("Reshape", "r", net.input("data", before), shape=codes, reverse=backwards)
    found, feeds = run(net, tmp_path)
    np.testing.assert_array_equal(found, feeds["data"].reshape(after))


def test_reshape_of_old(tmp_path: Path) -> None:
    """0.8 had target_shape, in which 0 is what is left."""
    net = Net()
    net.node("Reshape", "r", net.input("data", (2, 3, 4)), target_shape="(2L, 0L)")
    found, feeds = run(net, tmp_path)
    np.testing.assert_array_equal(found, feeds["data"].reshape(2, 12))


def _softmax(x: Array, axis: int) -> Array:
    powers = np.exp(x - x.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


Expected = Callable[[Array], Array]
UNARY: list[tuple[str, dict[str, Any], Expected]] = [
    ("SoftmaxOutput", {}, lambda x: _softmax(x.reshape(2, -1), 1).reshape(x.shape)),
    ("SoftmaxOutput", {"multi_output": True}, lambda x: _softmax(x, 1)),
    ("SoftmaxOutput", {"preserve_shape": True}, lambda x: _softmax(x, 3)),
    ("SoftmaxActivation", {"mode": "channel"}, lambda x: _softmax(x, 1)),
    ("softmax", {"temperature": 2}, lambda x: _softmax(x / 2, -1)),
    ("LeakyReLU", {}, lambda x: np.where(x > 0, x, x / 4)),
    ("LeakyReLU", {"act_type": "elu", "slope": 0.5}, lambda x: np.where(x > 0, x, 0.5 * np.expm1(x))),
    ("LeakyReLU", {"act_type": "rrelu"}, lambda x: np.where(x > 0, x, x * (0.125 + 0.334) / 2)),
    ("Activation", {"act_type": "softrelu"}, lambda x: np.log1p(np.exp(x))),
    ("L2Normalization", {}, lambda x: x / np.sqrt((x**2).sum((1, 2, 3), keepdims=True) + 1e-10)),
    ("L2Normalization", {"mode": "channel"}, lambda x: x / np.sqrt((x**2).sum(1, keepdims=True) + 1e-10)),
    ("L2Normalization", {"mode": "spatial"}, lambda x: x / np.sqrt((x**2).sum((2, 3), keepdims=True) + 1e-10)),
    ("UpSampling", {"scale": 2, "sample_type": "nearest"}, lambda x: x.repeat(2, 2).repeat(2, 3)),
    ("SwapAxis", {"dim1": 1, "dim2": 3}, lambda x: x.swapaxes(1, 3)),
    ("transpose", {}, lambda x: x.transpose()),
    ("slice_axis", {"axis": 2, "begin": -3, "end": "None"}, lambda x: x[:, :, -3:]),
    ("mean", {"axis": "(0, 2)", "exclude": True}, lambda x: x.mean((1, 3))),
    ("sum", {"axis": "()", "keepdims": 1}, lambda x: x.sum(keepdims=True)),
    ("_rdiv_scalar", {"scalar": "2"}, lambda x: 2 / x),
    ("round", {}, lambda x: np.sign(x) * np.floor(np.abs(x) + 0.5)),
    ("Pad", {"mode": "edge", "pad_width": "(0,0,0,0,1,2,0,3)"},
     lambda x: np.pad(x, ((0, 0), (0, 0), (1, 2), (0, 3)), "edge")),
    ("Crop", {"num_args": 1, "h_w": "(2, 3)", "center_crop": "True"}, lambda x: x[:, :, 1:3, 1:4]),
    ("Dropout", {"p": 0.9}, lambda x: x),
    ("LRN", {"nsize": 3, "alpha": 0.3, "knorm": 1}, lambda x: x / (1 + 0.1 * _across(x**2)) ** 0.75),
]  # fmt: skip


def _across(x: Array) -> Array:
    """Sums over each channel and its neighbours."""
    padded = np.pad(x, ((0, 0), (1, 1), (0, 0), (0, 0)))
    return padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]


@pytest.mark.parametrize(("op", "options", "expected"), UNARY, ids=[f"{op} {options}" for op, options, _ in UNARY])
def test_operators_of_one_tensor(op: str, options: dict[str, Any], expected: Expected, tmp_path: Path) -> None:
    net = Net()
    net.node(op, "o", net.input("data", (2, 3, 4, 5)), **options)
    found, feeds = run(net, tmp_path)
    np.testing.assert_allclose(found, expected(feeds["data"]), atol=1e-5)


@pytest.mark.parametrize("op", ["BatchNorm", "_contrib_BatchNormWithReLU"])
@pytest.mark.parametrize("fixed", [None, True, False])
def test_batch_norm_fixes_gamma_unless_told(fixed: bool | None, op: str, tmp_path: Path) -> None:
    net = Net()
    gamma, beta, mean, variance = (net.random.uniform(0.5, 2, 3).astype(np.float32) for _ in range(4))
    learned = [net.parameter("b_gamma", gamma), net.parameter("b_beta", beta)]
    states = [net.parameter("b_moving_mean", mean, "aux"), net.parameter("b_moving_var", variance, "aux")]
    options = {} if fixed is None else {"fix_gamma": fixed}
    net.node(op, "b", net.input("data", (2, 3, 4, 5)), *learned, *states, **options)
    found, feeds = run(net, tmp_path)
    across = (slice(None), None, None)
    normal = (feeds["data"] - mean[across]) / np.sqrt(variance[across] + 1e-3)
    expected = normal * (gamma[across] if fixed is False else 1) + beta[across]
    np.testing.assert_allclose(found, expected if op == "BatchNorm" else expected.clip(0), atol=1e-5)


def test_several_inputs_are_upsampled_to_the_first(tmp_path: Path) -> None:
    net = Net()
    parts = [net.input("data", (1, 2, 3, 4)), net.input("other", (1, 1, 6, 8))]
    net.node("UpSampling", "u", *parts, scale=2, sample_type="nearest", num_args=2)
    found, feeds = run(net, tmp_path)
    expected = np.concatenate([feeds["data"].repeat(2, 2).repeat(2, 3), feeds["other"]], 1)
    np.testing.assert_array_equal(found, expected)
