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
from onnxray.engine.incremental.plan import Plan, Planner
from onnxray.engine.incremental.sweep import Sweep
from onnxray.engine.incremental.windows import (
    Reach,
    Sliding,
    inputs_added,
    inputs_read,
    outputs_reached,
    outputs_written,
    union,
)
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
    for numbers, values in sweep.run(lambda numbers: torch.from_numpy(patches[numbers]), lambda plan: 3):
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
    *("convnext_tiny", "unet", "hourglass"),
)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_real_architectures(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    exporter = networks.ARCHITECTURES[name].exporters[-1]
    model = onnxray.load(networks.exported(name, exporter, tmp_path_factory.getbasetemp(), any_batch=True))
    image = networks.images(name, 1).numpy()
    plans = against_onnxruntime(model, image, (9, 7), 4)
    assert all(plan.incremental_macs <= plan.macs for plan in plans)


# The change must be followed to the last node.
LOCAL = {
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
    "Split": "p, q = Split <axis = 1, num_outputs = 2> (image) y = Add (p, q)",
    "a transposed convolution": "t = ConvTranspose <strides = [2, 3], pads = [1, 0, 2, 1]> (image, t4) y = Relu (t)",
    "transposed, output padding": "t = ConvTranspose <strides = [2, 2], pads = [1, 1, 1, 1], output_padding = [1, 1], "
    "group = 2> (image, t4) y = Relu (t)",
    "transposed, with gaps": "t = ConvTranspose <strides = [5, 4], output_padding = [1, 0]> (image, t4) y = Relu (t)",
    "transposed, dilation": "t = ConvTranspose <dilations = [2, 1], strides = [1, 2]> (image, t4) y = Relu (t)",
    "Slice of places": "s = Slice (image, i11, i89, i23, i23) y = Relu (s)",
    "Slice, upside down": "s = Slice (image, im1, im99, i2, im1) y = Relu (s)",
    "Slice of channels": "s = Slice (image, i1, i3, i1) y = Relu (s)",
    "YOLO's focus": "a = Slice (image, i0, i99, i2, i2) b = Slice (image, i1, i99, i2, i2) p = Pad (b, i00010000) "
    "c = Slice (a, i0, i6, i2) d = Slice (b, i0, i6, i2) y = Concat <axis = 1> (c, d)",
    "Pad, a constant": "p = Pad (image, i00120031, half) y = Relu (p)",
    "Pad, cutting": "p = Pad (image, im2) y = Relu (p)",
    "Pad, edge": 'p = Pad <mode = "edge"> (image, i00120031) y = Relu (p)',
    "Pad, reflected": 'p = Pad <mode = "reflect"> (image, i00120031) y = Relu (p)',
    "Pad of channels": "p = Pad (image, i01000200) y = Relu (p)",
    "nearest": 'r = Resize <mode = "nearest", coordinate_transformation_mode = "asymmetric", nearest_mode = "floor"> '
    "(image, , s23) y = Relu (r)",
    "nearest, a fraction": 'r = Resize <mode = "nearest"> (image, , sfraction) y = Relu (r)',
    "bilinear": 'r = Resize <mode = "linear"> (image, , s23) y = Relu (r)',
    "bilinear, a fraction": 'r = Resize <mode = "linear"> (image, , sfraction) y = Relu (r)',
    "bilinear, corners": 'r = Resize <mode = "linear", coordinate_transformation_mode = "align_corners"> '
    "(image, , s23) y = Relu (r)",
    "bilinear, one axis": 'r = Resize <mode = "linear"> (image, , s13) y = Relu (r)',
    "bilinear, smaller": 'r = Resize <mode = "linear"> (image, , shalf) y = Relu (r)',
    "DepthToSpace": "d = DepthToSpace <blocksize = 2> (image) y = Relu (d)",
    "SpaceToDepth": "p = Pad (image, i00000010) "
    "q = Slice (p, i1, i99, i3) d = SpaceToDepth <blocksize = 2> (q) y = Relu (d)",
    "shuffled channels": "r = Reshape (image, shuffle) t = Transpose <perm = [0, 2, 1, 3, 4]> (r) "
    "b = Reshape (t, back) y = Conv <pads = [1, 1, 1, 1]> (b, w)",
    "shuffled by sizes": "n = Shape <end = 1> (image) hw = Shape <start = 2> (image) e = Shape (image) "
    "s = Concat <axis = 0> (n, i22, hw) r = Reshape (image, s) t = Transpose <perm = [0, 2, 1, 3, 4]> (r) "
    "b = Reshape (t, e) y = Relu (b)",
    "channels last": "t = Transpose <perm = [0, 2, 3, 1]> (image) l = LayerNormalization <axis = -1> (t, c4, c4) "
    "m = MatMul (l, m45) a = Add (m, c5) g = Relu (a) y = Transpose <perm = [0, 3, 1, 2]> (g)",
    "channels last, other windows": "t = Transpose <perm = [0, 2, 3, 1]> (image) p = Pad (t, i01200310) y = Relu (p)",
    "means over channels": "m = ReduceMean <keepdims = 1> (image, i1) y = Sub (image, m)",
    "Softmax over channels": "s = Softmax <axis = 1> (image) y = Relu (s)",
    "channels by index": "s = Gather <axis = 1> (image, i201) y = Relu (s)",
    "batch normalisation": "b = Relu (image) c = BatchNormalization (b, c4, c4, c4, c4) y = Relu (c)",
}
# Some node looks at the whole; what it is for stands before the last node.
GLOBAL = {
    "a constant for each place": "m = Mul (image, places) y = Relu (m)",
    "what looks at the whole": "g = GlobalAveragePool (image) m = Mul (image, g) y = Relu (m)",
    "squeezed and excited": "c = Conv <pads = [1, 1, 1, 1]> (image, w) g = ReduceMean <keepdims = 1> (c, i23) "
    "s = Sigmoid (g) m = Mul (c, s) y = Conv (m, v)",
    "a sum over places": "s = ReduceSum <keepdims = 0> (image, i23) y = Unsqueeze (s, i23)",
    "the highest place": "s = ReduceMax <keepdims = 1> (image, i23) y = Relu (s)",
    "Softmax over places": "s = Softmax <axis = 3> (image) y = Relu (s)",
    "normalised over places": "s = InstanceNormalization (image, c4, c4) y = Relu (s)",
    "cubic": 'r = Resize <mode = "cubic"> (image, , s23) y = Relu (r)',
    "wrapped": 'p = Pad <mode = "wrap"> (image, i00120031) y = Relu (p)',
    "a transposed map": "t = Transpose <perm = [0, 1, 3, 2]> (image) y = Relu (t)",
    "places as channels": "r = Reshape (image, flat) y = Reshape (r, maps)",
    "only its sizes": "s = Shape (image) f = ConstantOfShape <value = float[1] {1.5}> (s) y = Add (image, f)",
}
CONSTANTS = {
    "i0": [0], "i1": [1], "i2": [2], "i3": [3], "i6": [6], "i12": [12], "im1": [-1], "i99": [99], "im99": [-99],
    "i11": [1, 1], "i22": [2, 2], "i23": [2, 3], "i89": [8, 99], "i201": [2, 0, 1],
    "i00120031": [0, 0, 1, 2, 0, 0, 3, 1], "im2": [0, 0, -2, 0, 0, 0, 1, -1], "i01000200": [0, 1, 0, 0, 0, 2, 0, 0],
    "i00010000": [0, 0, 0, 1, 0, 0, 0, 0], "i00000010": [0, 0, 0, 0, 0, 0, 1, 0], "i01200310": [0, 1, 2, 0, 0, 3, 1, 0],
    "shuffle": [0, 2, 2, 13, 11], "back": [0, 4, 13, 11], "flat": [0, 44, 13, 1], "maps": [0, 4, 13, 11],
}  # fmt: skip
SCALES = {"s23": [1, 1, 2, 3], "s13": [1, 1, 1, 3], "shalf": [1, 1, 0.5, 0.4], "sfraction": [1, 1, 1.6, 2.3]}
TEXT = """
<ir_version: 8, opset_import: ["" : 19]>
net (float[N, 4, 13, 11] image) => (float[N, C, H, W] y)
<float[6, 4, 3, 3] w, float[6, 6, 3, 3] v, float[4, 1, 1] a, float[4, 13, 11] places, float[4, 2, 3, 2] t4,
 float[4] c4 = {0.5, 1.0, 2.0, 1.5}, float[5] c5, float[4, 5] m45, float half = {0.5}, INTEGERS, SCALES>
{ NODES }
"""


def network(nodes: str) -> Model:
    integers = ", ".join(f"int64[{len(value)}] {name} = {{{str(value)[1:-1]}}}" for name, value in CONSTANTS.items())
    scales = ", ".join(
        f"float[4] {name} = {{{str([float(v) for v in value])[1:-1]}}}" for name, value in SCALES.items()
    )
    text = TEXT.replace("NODES", nodes).replace("INTEGERS", integers).replace("SCALES", scales)
    return Model(tiny_models.model(text), Path("net.onnx"))


def compared(nodes: str) -> list[Plan]:
    image = np.random.default_rng(1).normal(size=(1, 4, 13, 11)).astype(np.float32)
    model = network(nodes)
    return [
        plan
        for seed, patch in enumerate(((1, 1), (3, 2), (13, 11)))
        for plan in against_onnxruntime(model, image, patch, 6, seed)
    ]


@pytest.fixture
def windows_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxray.engine.incremental.plan.COPY", 0)
    monkeypatch.setattr(Planner, "_cost_of_whole", lambda *_: np.inf)


@pytest.mark.usefixtures("windows_cost_nothing")
@pytest.mark.parametrize("case", LOCAL)
def test_local_operators(case: str) -> None:
    for plan in compared(LOCAL[case]):
        assert [reading.source.name.removesuffix("_output_0") for reading in plan.put_back] == ["y"]


@pytest.mark.usefixtures("windows_cost_nothing")
@pytest.mark.parametrize("case", GLOBAL)
def test_operators_that_look_at_the_whole(case: str) -> None:
    for plan in compared(GLOBAL[case]):
        assert [reading.source.name.removesuffix("_output_0") for reading in plan.put_back] != ["y"]


@pytest.mark.usefixtures("windows_cost_nothing")
def test_means_over_the_map_change_by_what_a_window_changes() -> None:
    plans = compared("c = Conv <pads = [1, 1, 1, 1]> (image, w) g = GlobalAveragePool (c) y = Relu (g)")
    assert any(not plan.put_back and [node.name for node in plan.made] == ["g"] for plan in plans)


@pytest.mark.parametrize("group", [0.0, 1e12])
def test_answers_do_not_depend_on_groups(group: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kind of window for itself, and all positions together; windows wherever they can be, and as is best."""
    monkeypatch.setattr("onnxray.engine.incremental.groups._GROUP", group)
    monkeypatch.setattr("onnxray.engine.incremental.sweep._READ", 0)
    nodes = (
        "c = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (image, w) p = MaxPool <kernel_shape = [2, 2]> (c) "
        'u = Resize <mode = "linear"> (p, , s23) y = Conv <pads = [1, 1, 1, 1]> (u, v)'
    )
    count = len(compared(nodes))
    assert count == 3 if group else count > 10


def test_convolutions_behind_what_looks_at_the_whole_count_as_whole() -> None:
    for plan in compared(GLOBAL["squeezed and excited"]):
        assert {line.name: line.macs for line in plan.lines} == {"c": 13 * 11 * 6 * 36, "y": 11 * 9 * 6 * 54}
        assert [line.window for line in plan.lines if line.name == "y"] == [None]


def test_weights_belong_to_no_position() -> None:
    """Not to the memory that one takes: a batch of VGG-16's would be one position. Each group reads all of them, so
    where there are many, groups are few."""
    text = """
    <ir_version: 8, opset_import: ["" : 17]>
    dense (float[N, 4, 13, 11] image) => (float[N, 5000] y)
    <float[6, 4, 3, 3] w, float[462, 5000] many>
    { c = Conv <pads = [1, 1, 1, 1], strides = [2, 1]> (image, w) f = Flatten <axis = 1> (c) y = MatMul (f, many) }
    """
    model = Model(tiny_models.model(text), Path("dense.onnx"))
    at = np.stack(np.meshgrid(np.arange(0, 11), np.arange(0, 9), indexing="ij"), -1).reshape(-1, 2)
    sweep = Sweep(model, ["y"], np.zeros((1, 4, 13, 11), np.float32), at, (2, 2))
    assert len(sweep.plans) == 1 and all(plan.elements < 100_000 for _, plan in sweep.plans)


def test_windows_are_what_is_computed(tmp_path_factory: pytest.TempPathFactory) -> None:
    """ResNet's first layers look at a few places around a patch, and a plan says so."""
    model = onnxray.load(networks.exported("resnet18", "legacy", tmp_path_factory.getbasetemp(), any_batch=True))
    image = networks.images("resnet18", 1).numpy()
    ((_, plan), *_) = Sweep(model, model.graph.outputs, image, np.array([[24, 24], [25, 31]]), (4, 4)).plans
    assert plan.lines[0].window == (5, 5) and plan.lines[0].size == (48, 48)  # 4 + 7 - 1 places, every second
    assert plan.incremental_macs < 0.7 * plan.macs


def along_an_axis(random: np.random.Generator, transposed: bool) -> tuple[Sliding, Reach, int]:
    """A kernel, the changes of five positions, and how long the axis is."""
    kernel, stride, dilation, begin, end = (int(random.integers(low, 4)) for low in (1, 1, 1, 0, 0))
    length = int(random.integers(dilation * (kernel - 1) + 1, 20))
    outputs = (length + begin + end - dilation * (kernel - 1) - 1) // stride + 1
    if transposed:
        outputs = max(1, (length - 1) * stride + dilation * (kernel - 1) + 1 - begin - end)
    first = random.integers(0, length, 5)
    return Sliding(kernel, stride, dilation, begin, outputs), Reach(first, random.integers(first, length)), length


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_reach_along_an_axis(seed: int, transposed: bool) -> None:
    """Windows hold all outputs that read a change, no more if kernels leave no gaps, and ask for all that they read."""
    along, change, length = along_an_axis(np.random.default_rng(seed), transposed)
    reached = (outputs_written if transposed else outputs_reached)(change, along)
    window = reached.span(np.arange(5), along.outputs)
    read = (inputs_added if transposed else inputs_read)(window, along)
    for position in range(5):
        changed = range(change.first[position], change.last[position] + 1)
        reading = [
            (place, output)
            for output in range(along.outputs)
            for place in range(-20, length + 20)
            if reads(output, place, along, transposed)
        ]
        felt = [output for place, output in reading if place in changed]
        if felt and along.dilation == 1 and along.kernel >= along.stride:  # no gaps
            assert (reached.first[position], reached.last[position]) == (min(felt), max(felt))
        inside = range(window.at[position], window.at[position] + window.size)
        assert inside[0] >= 0 and inside[-1] < along.outputs and set(felt) <= set(inside)
        asked = range(read.at[position], read.at[position] + read.size)
        assert all(place in asked for place, output in reading if output in inside)


def reads(output: int, place: int, along: Sliding, transposed: bool) -> bool:
    one, other = (place, output) if transposed else (output, place)
    tap = other - (one * along.stride - along.begin)
    return tap % along.dilation == 0 and 0 <= tap <= along.reach


def test_union_holds_all() -> None:
    one, other = Reach(np.array([0, 4]), np.array([2, 6])), Reach(np.array([2, 0]), np.array([3, 1]))
    found = union([one, other])
    assert found.first.tolist() == [0, 0] and found.last.tolist() == [3, 6]


def test_another_image_of_the_same_size() -> None:
    model = network(LOCAL["maxima"])
    images: Any = np.random.default_rng(1).normal(size=(2, 1, 4, 13, 11)).astype(np.float32)
    at = np.array([[3, 4]])
    sweep = Sweep(model, model.graph.outputs, images[0], at, (2, 2))
    sweep.set_image(images[1])
    ((_, (found,)),) = sweep.run(lambda numbers: torch.zeros(1, 4, 2, 2), lambda plan: 8)
    images[1][:, :, 3:5, 4:6] = 0
    np.testing.assert_allclose(found.numpy(), model.session().run(images[1])["y"], rtol=1e-6)
