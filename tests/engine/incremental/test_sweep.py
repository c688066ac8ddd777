"""Sweeps of patches computed incrementally against whole networks on every changed image: torch's and onnxruntime's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxray
import pytest
import tiny_models
import torch
import torchvision_networks as networks
from onnxray.engine.incremental.plan import Plan
from onnxray.engine.incremental.sweep import Sweep
from onnxray.engine.incremental.windows import Sliding, Span, inputs_read, outputs_reached, union
from onnxray.engine.model import Model

NEAR, BRIDGE = 1e-5, 1e-4  # of the output's range, or what rounding alone makes; what that may be


def against_onnxruntime(
    model: Model, image: np.ndarray, patch: tuple[int, int], count: int, seed: int = 0
) -> list[Plan]:
    """Compare at `count` random positions and in the four corners, with random patches; returns the plans."""
    random = np.random.default_rng(seed)
    most = np.array(image.shape[2:]) - patch
    corners = np.array([[0, 0], [0, most[1]], [most[0], 0], most])
    at = np.concatenate([corners, random.integers(0, most + 1, (count, 2))])
    patches = random.normal(size=(len(at), image.shape[1], *patch)).astype(np.float32)
    sweep = Sweep(model, model.graph.outputs, image, at, patch)
    changed = image.repeat(len(at), 0)
    for one, (top, left), piece in zip(changed, at, patches, strict=True):
        one[:, top : top + patch[0], left : left + patch[1]] = piece
    expected, recomputed = model.session().run(changed), model.torch().run(changed)
    seen = np.zeros(len(at), int)
    for numbers, values in sweep.run(lambda numbers: torch.from_numpy(patches[numbers]), most=3):
        seen[numbers] += 1
        for name, value in zip(model.graph.outputs, values, strict=True):
            rounding = np.abs(recomputed[name] - expected[name]).max() / np.ptp(expected[name])
            assert rounding <= BRIDGE
            apart = np.abs(value.numpy() - recomputed[name][numbers]).max() / np.ptp(expected[name])
            assert apart <= max(NEAR, rounding), name
    assert (seen == 1).all()
    return [plan for _, plan in sweep.plans]


# One for each way of building: branches, sums, dense blocks, depthwise, shuffled and squeezed channels, maps as output.
ARCHITECTURES = (
    *("googlenet", "resnet18", "densenet121", "squeezenet1_1", "mobilenet_v2", "shufflenet_v2", "efficientnet_b0"),
    *("convnext_tiny", "unet"),
)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_real_architectures(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    exporter = networks.ARCHITECTURES[name].exporters[-1]
    model = onnxray.load(networks.exported(name, exporter, tmp_path_factory.getbasetemp(), any_batch=True))
    image = networks.images(name, 1).numpy()
    plans = against_onnxruntime(model, image, (9, 7), 4)
    assert all(plan.incremental <= plan.full for plan in plans)


# Windows must be computed, whatever it costs: what a case is for stands before the last node.
CASES = {
    "strides, padding at the end": "c = Conv <pads = [0, 1, 1, 2], strides = [2, 3]> (image, w) y = Relu (c)",
    "dilation": "c = Conv <pads = [2, 2, 2, 2], dilations = [2, 2]> (image, w) y = Relu (c)",
    "SAME pads": 'c = Conv <auto_pad = "SAME_LOWER", strides = [2, 2]> (image, w) y = Relu (c)',
    "Relu6": "lo = Constant <value = float {0.0}> () hi = Constant <value = float {6.0}> () "
    "c = Conv <pads = [1, 1, 1, 1]> (image, w) y = Clip (c, lo, hi)",
    "a convolution read twice": "c = Conv <pads = [1, 1, 1, 1]> (image, w) r = Relu (c) y = Add (c, r)",
    "branches of different reach": "a = Conv <pads = [1, 1, 1, 1]> (image, w) d = Conv <pads = [1, 1, 1, 1]> (a, v) "
    "s = Add (a, d) y = Concat <axis = 1> (s, a)",
    "maxima": "y = MaxPool <kernel_shape = [3, 2], strides = [2, 2], pads = [1, 0, 1, 1]> (image)",
    "maxima, ceil mode": "y = MaxPool <kernel_shape = [3, 3], strides = [2, 2], ceil_mode = 1> (image)",
    "maxima, dilation": "y = MaxPool <kernel_shape = [3, 3], dilations = [2, 2]> (image)",
    "means": "y = AveragePool <kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]> (image)",
    "means with padding": "y = AveragePool <kernel_shape = [3, 3], pads = [1, 1, 1, 1], count_include_pad = 1> (image)",
    "means, ceil mode": "y = AveragePool <kernel_shape = [3, 2], strides = [2, 2], ceil_mode = 1, "
    "pads = [1, 0, 0, 1], count_include_pad = 1> (image)",
    "LRN": "y = LRN <size = 3> (image)",
    "a constant for each channel": "y = Mul (image, a)",
    "a constant for each place": "m = Mul (image, places) y = Relu (m)",
    "what looks at the whole": "g = GlobalAveragePool (image) m = Mul (image, g) y = Relu (m)",
    "Split": "p, q = Split <axis = 1, num_outputs = 2> (image) y = Add (p, q)",
    "a sum over places": "s = Softmax <axis = 3> (image) y = Relu (s)",
}
TEXT = """
<ir_version: 8, opset_import: ["" : 19]>
net (float[N, 4, 13, 11] image) => (float[N, C, H, W] y)
<float[6, 4, 3, 3] w, float[6, 6, 3, 3] v, float[4, 1, 1] a, float[4, 13, 11] places>
{ NODES }
"""


@pytest.mark.parametrize("case", CASES)
def test_operators(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxray.engine.incremental.plan._COPY", -100)
    model = Model(tiny_models.model(TEXT.replace("NODES", CASES[case])), Path("net.onnx"))
    image = np.random.default_rng(1).normal(size=(1, 4, 13, 11)).astype(np.float32)
    for seed, patch in enumerate(((1, 1), (3, 2), (13, 11))):
        against_onnxruntime(model, image, patch, 6, seed)


def test_windows_are_what_is_computed(tmp_path_factory: pytest.TempPathFactory) -> None:
    """ResNet's first layers look at a few places around a patch, and a plan says so."""
    model = onnxray.load(networks.exported("resnet18", "legacy", tmp_path_factory.getbasetemp(), any_batch=True))
    image = networks.images("resnet18", 1).numpy()
    ((_, plan), *_) = Sweep(model, model.graph.outputs, image, np.array([[24, 24], [25, 31]]), (4, 4)).plans
    assert plan.lines[0].window == (5, 5) and plan.lines[0].size == (48, 48)  # 4 + 7 - 1 places, every second
    assert plan.incremental < 0.7 * plan.full


@pytest.mark.parametrize("seed", range(20))
def test_reach_along_an_axis(seed: int) -> None:
    """Every output that reads a changed place lies in the window, and all that the window reads is asked for."""
    random = np.random.default_rng(seed)
    kernel, stride, dilation, begin, end = (int(random.integers(low, 4)) for low in (1, 1, 1, 0, 0))
    length = int(random.integers(dilation * (kernel - 1) + 1, 20))
    outputs = (length + begin + end - dilation * (kernel - 1) - 1) // stride + 1
    along = Sliding(kernel, stride, dilation, begin, outputs)
    size = int(random.integers(1, length + 1))
    span = Span(random.integers(0, length - size + 1, 5), size)
    reached = outputs_reached(span, along)
    read = inputs_read(reached, along)
    for position in range(5):
        changed = set(range(span.at[position], span.at[position] + size))
        window = range(reached.at[position], reached.at[position] + reached.size)
        assert window[0] >= 0 and window[-1] < outputs
        for output in range(outputs):
            taps = {output * stride - begin + step * dilation for step in range(kernel)}
            assert output in window or not taps & changed
            assert output not in window or taps <= set(range(read.at[position], read.at[position] + read.size))


def test_union_stays_inside() -> None:
    spans = [Span(np.array([0, 4]), 3), Span(np.array([2, 0]), 2)]
    found = union(spans, 8)
    assert found.size == 7 and found.at.tolist() == [0, 0]


def test_another_image_of_the_same_size() -> None:
    model = Model(tiny_models.model(TEXT.replace("NODES", CASES["maxima"])), Path("net.onnx"))
    images: Any = np.random.default_rng(1).normal(size=(2, 1, 4, 13, 11)).astype(np.float32)
    at = np.array([[3, 4]])
    sweep = Sweep(model, model.graph.outputs, images[0], at, (2, 2))
    sweep.set_image(images[1])
    ((_, (found,)),) = sweep.run(lambda numbers: torch.zeros(1, 4, 2, 2), most=8)
    images[1][:, :, 3:5, 4:6] = 0
    np.testing.assert_allclose(found.numpy(), model.session().run(images[1])["y"], rtol=1e-6)
