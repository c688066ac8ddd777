"""Planted faults are found and named, and nothing else; on real networks against a slow replica."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import explained_networks
import faulty_networks
import numpy as np
import onnxray
import pytest
import tiny_models
from faulty_networks import PICTURES, Weights
from model_specs import load_model
from onnxray.engine.checkup.channels import ChannelStatistics
from onnxray.engine.checkup.checkup import ALIASED, CONTRAST, checkup
from onnxray.engine.checkup.convolutions import convolutions
from onnxray.engine.checkup.duplicates import duplicates
from onnxray.engine.checkup.findings import Checkup
from onnxray.engine.checkup.first_layers import aliased_share
from onnxray.engine.checkup.samples import samples
from onnxray.engine.checkup.units import find_units
from onnxray.engine.images import ImageBatches
from onnxray.engine.render.checkup_sheet import checkup_sheet
from onnxray.importers.errors import InputError

Shared = Callable[[str], Path]
Plant = Callable[[Weights], None]


def _found(result: Checkup) -> list[tuple[str, str, tuple[int, ...]]]:
    return [(finding.kind, finding.layer, finding.channels) for finding in result.findings]


def zeroed(weights: Weights) -> None:
    weights["w2"][3] = weights["b2"][3] = 0


def zeroed_before_a_leaky_rectifier(weights: Weights) -> None:
    weights["w4"][1] = 0
    weights["b4"][1] = -0.3


def shut_by_its_bias(weights: Weights) -> None:
    weights["b2"][5] = -1e3


def saturated_bias(weights: Weights) -> None:
    weights["b2"][1] = 1e4
    weights["w3"][:, 1] = 0  # what follows is not flooded


def saturated_below_six(weights: Weights) -> None:
    weights["b3"][2] = 1e3


def duplicated(weights: Weights) -> None:
    weights["w2"][6], weights["b2"][6] = 2 * weights["w2"][0], 2 * weights["b2"][0]
    weights["w2"][7], weights["b2"][7] = weights["w2"][0], weights["b2"][0]


def alike_but_not_the_same(weights: Weights) -> None:
    weights["w2"][6], weights["b2"][6] = -weights["w2"][0], weights["b2"][0]  # what the rectifier cuts off
    weights["w2"][7], weights["b2"][7] = weights["w2"][0], weights["b2"][0] + 1  # a higher threshold
    weights["w3"][1], weights["b3"][1] = weights["w3"][0] + 0.05 * weights["w3"][2], weights["b3"][0]


def loud(weights: Weights) -> None:
    weights["w1"][4] *= 2 * CONTRAST
    weights["w2"][:, 4] /= 2 * CONTRAST


def broken(weights: Weights) -> None:
    weights["b4"][3] = np.nan


def everything(weights: Weights) -> None:
    for plant in (zeroed, shut_by_its_bias, saturated_below_six, loud):
        plant(weights)


@pytest.mark.parametrize(
    ("plant", "right"),
    [
        (None, []),
        (alike_but_not_the_same, []),
        (zeroed, [("dead", "conv2", (3,))]),
        (zeroed_before_a_leaky_rectifier, [("dead", "conv4", (1,))]),
        (shut_by_its_bias, [("dead", "conv2", (5,))]),
        (saturated_bias, [("always on", "conv2", (1,))]),
        (saturated_below_six, [("always on", "conv3", (2,))]),
        (duplicated, [("duplicate", "conv2", (0, 6, 7))]),
        (loud, [("contrast", "conv1", (4,))]),
        (broken, [("not finite", "conv4", (3,))]),
        (everything, [("contrast", "conv1", (4,)), ("dead", "conv2", (3, 5)), ("always on", "conv3", (2,))]),
    ],
)
def test_a_planted_fault_is_found_and_nothing_else(
    plant: Plant | None, right: list[tuple[str, str, tuple[int, ...]]], tmp_path: Path
) -> None:
    result = checkup(faulty_networks.network(tmp_path / "net.onnx", plant=plant), PICTURES)
    assert _found(result) == right
    assert result.healthy == (not right)
    assert (result.images, result.units, result.filters) == (5, 12 + 8 + 6 + 5, 12 + 8 + 6 + 5)


def test_numbers_of_the_faults(tmp_path: Path) -> None:
    found = checkup(faulty_networks.network(tmp_path / "net.onnx", plant=everything), PICTURES).findings
    lengths = np.ones(12)
    lengths[4] = 2 * CONTRAST
    assert found[0].number == pytest.approx(lengths[4] / np.median(lengths), rel=1e-5)
    assert found[1].values == (0.0, 0.0) and found[2].number == 0
    duplicate = checkup(faulty_networks.network(tmp_path / "net.onnx", plant=duplicated), PICTURES).findings[0]
    assert duplicate.number == pytest.approx(1, abs=1e-6)


def test_a_stride_of_four_aliases_where_one_of_two_does_not(tmp_path: Path) -> None:
    coarse, fine = (
        checkup(faulty_networks.network(tmp_path / "net.onnx", stride=stride), PICTURES) for stride in (4, 2)
    )
    assert _found(coarse) == [("aliasing", "conv1", tuple(range(0, 12, 2)))]  # the filters of high frequencies
    assert coarse.first_layers[0].stride == (4, 4)
    assert coarse.findings[0].number == coarse.first_layers[0].mean_aliased > ALIASED
    assert fine.healthy and fine.first_layers[0].mean_aliased < ALIASED / 2
    patches = checkup(faulty_networks.network(tmp_path / "net.onnx", stride=7), PICTURES)
    assert patches.healthy and patches.first_layers[0].mean_aliased > ALIASED  # cut, not sampled


def test_a_budget_and_smaller_batches_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = faulty_networks.network(tmp_path / "net.onnx", plant=everything)
    one = checkup(model, PICTURES)
    sizes: list[int] = []
    session = model.session(memory="3GB")
    monkeypatch.setattr(session.batching, "stream_size", lambda names, memory: 2)
    run = session.run_unchecked
    monkeypatch.setattr(session, "run_unchecked", lambda batch, names: sizes.append(len(batch)) or run(batch, names))
    seen: list[tuple[int, int]] = []
    other = checkup(model, PICTURES, session=session, progress=lambda done, total: seen.append((done, total)))
    assert sizes[-3:] == [2, 2, 1] and seen == [(2, 5), (4, 5), (5, 5)]
    assert _found(one) == _found(other)
    with pytest.raises(InputError, match="memory budget"):
        checkup(model, PICTURES, memory="1MB")


def test_only_the_layers_asked_for(tmp_path: Path) -> None:
    model = faulty_networks.network(tmp_path / "net.onnx", plant=everything)
    assert [layer for _, layer, _ in _found(checkup(model, PICTURES, ["conv2"]))] == ["conv2"]
    assert [layer for _, layer, _ in _found(checkup(model, PICTURES, ["*3", "relu1"]))] == ["conv3"]
    with pytest.raises(InputError, match=r"called 'conv\[23\]'"):
        checkup(model, PICTURES, ["*3", "conv[23]"])  # names hold brackets: they mean nothing else


SATURATED = """
<ir_version: 8, opset_import: ["" : 17]>
gates (float[N, 1, 64, 64] image) => (float[N, 4, 64, 64] answer)
<float[4, 1, 1, 1] w, float[4] b>
{
    conv = Conv (image, w, b)
    gate = ACTIVATION (conv)
    answer = Neg (gate)
}
"""


@pytest.mark.parametrize("activation", ["Sigmoid", "HardSigmoid", "Tanh"])
def test_a_unit_at_its_bound_but_for_one_place(activation: str) -> None:
    proto = tiny_models.model(SATURATED.replace("ACTIVATION", activation))
    for tensor, values in zip(proto.graph.initializer, ([1.0, -1.0, 0.3, 0.01], [20.0, -20.0, 8.0, 0.0]), strict=True):
        tensor.raw_data = np.array(values, np.float32).tobytes()
    for node in proto.graph.node:
        node.name = node.output[0]
    model = onnxray.Model(proto, Path("gates.onnx"))
    model.spec = model.spec.override("test", mean=(128.0,), scale=(1.0,), channel_order="GREY")
    image = np.full((1, 64, 64), 128, np.uint8)
    image[0, ::2] = 130
    image[0, 5, 7] = 78  # 50 below
    result = checkup(model, image)
    assert _found(result) == [("saturated", "conv", (0, 1, 2))]  # above, below, all but above
    assert result.findings[0].number == 4095 / 4096


# Activation functions written out, and the tensor that holds their units.
WRITTEN_OUT = {
    "silu": ("gate = Sigmoid (conv) unit = Mul (conv, gate)", "unit"),
    "hard-swish": (
        "up = Add (conv, three) gate = Clip (up, zero, six) twice = Mul (conv, gate) unit = Div (twice, six)",
        "unit",
    ),
    "hard-swish, scaled first": (
        "up = Add (conv, three) gate = Clip (up, zero, six) scaled = Div (gate, six) unit = Mul (scaled, conv)",
        "unit",
    ),
    "gelu": (
        "less = Div (conv, root) erf = Erf (less) up = Add (erf, one) twice = Mul (conv, up) unit = Mul (twice, half)",
        "unit",
    ),
    "mish": ("soft = Softplus (conv) gate = Tanh (soft) unit = Mul (conv, gate)", "unit"),
}


@pytest.mark.parametrize("name", WRITTEN_OUT)
def test_units_of_functions_written_out(name: str) -> None:
    """They are no gates that can be stuck: SiLU's sigmoid is 1 wherever its input is large."""
    body, tensor = WRITTEN_OUT[name]
    text = f"""
    <ir_version: 8, opset_import: ["" : 17]>
    gated (float[N, 1, 8, 8] image) => (float[N, 2, 8, 8] answer)
    <float[2, 1, 1, 1] w, float[2] b, float three = {{3.0}}, float six = {{6.0}}, float zero = {{0.0}},
     float one = {{1.0}}, float half = {{0.5}}, float root = {{1.41421356}}>
    {{ conv = Conv (image, w, b) {body} answer = Neg (unit) }}
    """
    graph = onnxray.Model(tiny_models.model(text), Path("gated.onnx")).graph
    units = {each.tensor: each for each in find_units(graph)}
    assert set(units) == {tensor}
    assert not units[tensor].rectified and not units[tensor].bounded


def test_a_dense_layer_over_places_has_its_channels_last() -> None:
    """As in ConvNeXt: they are not looked at, as the second axis is no channel."""
    text = """
    <ir_version: 8, opset_import: ["" : 17]>
    mixed (float[N, 1, 8, 8] image) => (float[N, 8, 8, 5] answer)
    <float[4, 1, 3, 3] w, float[4, 5] d>
    {
        conv = Conv <pads = [1, 1, 1, 1]> (image, w)
        first = Relu (conv)
        turned = Transpose <perm = [0, 2, 3, 1]> (first)
        dense = MatMul (turned, d)
        second = Relu (dense)
        answer = Neg (second)
    }
    """
    graph = onnxray.Model(tiny_models.model(text), Path("mixed.onnx")).graph
    assert [(each.tensor, each.layer, each.rectified) for each in find_units(graph)] == [("first", "conv", True)]


def test_statistics_merge_as_of_one_array() -> None:
    """A small spread about a large mean, in batches of several sizes."""
    values = np.random.default_rng(0).normal(1e4, 1e-2, (7, 3, 4, 5)).astype(np.float32)
    merged = ChannelStatistics((-np.inf, np.inf))
    for part in np.split(values, [1, 4]):
        merged.add(part)
    exact = values.astype(np.float64).transpose(1, 0, 2, 3).reshape(3, -1)
    assert (merged.count, merged.places) == (140, 20)
    np.testing.assert_allclose(merged.mean, exact.mean(1), rtol=1e-14)
    np.testing.assert_allclose(merged.deviation, exact.std(1), rtol=1e-9)
    assert np.array_equal(merged.low, exact.min(1)) and np.array_equal(merged.high, exact.max(1))


def test_aliased_share_by_sums_over_waves() -> None:
    """The definition: a filter's answer to every wave of a 64 x 64 grid, as strong as photos have it."""
    filters = np.random.default_rng(0).normal(size=(2, 3, 3, 2))
    answers = np.zeros((2, 2))  # [out, below or above]
    steps = np.arange(-32, 32) / 64
    for fy in steps:
        for fx in steps[(steps != 0) | (fy != 0)]:
            wave = np.exp(-2j * np.pi * (2 * fy * np.arange(3)[:, None] + fx * np.arange(2)))  # rows dilated by 2
            power = np.square(np.abs((filters * wave).sum((2, 3)))).sum(1) / (fy**2 + fx**2)
            answers[:, int(abs(fy) > 1 / 8 or abs(fx) > 1 / 6)] += power
    right = answers[:, 1] / answers.sum(1)
    np.testing.assert_allclose(aliased_share(filters, (4, 3), (2, 1)), right, rtol=1e-10)


# -- real networks ---


def _replica(model: Any, images: Any) -> tuple[set[tuple[str, int]], set[tuple[str, int]]]:
    """Tensor and channel of every rectifier that no image wakes, and of every one that stays the same, by the book."""
    highest: dict[tuple[str, int], float] = {}
    values: dict[tuple[str, int], list[np.ndarray]] = {}
    tensors = [node.outputs[0] for node in model.graph.nodes if node.op == "Relu"]
    for _, batch in ImageBatches(images, model, 1):
        for name, maps in model.session().run(batch, tensors).items():
            for channel, plane in enumerate(maps[0]):
                highest[name, channel] = max(highest.get((name, channel), 0.0), plane.max())
                values.setdefault((name, channel), []).append(plane.astype(np.float64))
    awake = {key: np.stack(planes) for key, planes in values.items() if highest[key] > 0}
    same = {key for key, planes in awake.items() if planes.std() < 1e-3 * abs(planes.mean())}
    return {key for key, high in highest.items() if high <= 0}, same


@pytest.mark.parametrize("name", ["resnet20_cifar10", "squeezenet1.1"])
def test_what_is_found_in_real_networks_is_there(name: str, shared: Shared) -> None:
    model = load_model(shared, f"models/derived/{name}.onnx")
    images: Any = str(shared("data/skimage_images"))
    if name == "resnet20_cifar10":
        images = np.load(shared("data/cifar10/cifar10_lossless_train1000.npz"))["x"][:150]
    result = checkup(model, images)
    dead, same = _replica(model, images)
    found = {(finding.tensor, channel, finding.kind) for finding in result.findings for channel in finding.channels}
    assert dead and found == {(*key, "dead") for key in dead} | {(*key, "always on") for key in same}


def test_of_duplicates_in_real_networks_there_are_none(shared: Shared) -> None:
    """Every pair, one after the other, has a lower cosine; then one channel is made another's copy."""
    model = load_model(shared, "models/derived/resnet20_cifar10.onnx")
    for conv in convolutions(model.graph):
        rows = conv.weights.reshape(len(conv.weights), -1)
        strong = [row for row in rows if np.linalg.norm(row) > 1e-3 * conv.norms.max()]
        highest = max(a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in combinations(strong, 2))
        assert (highest > 0.9999) == bool(duplicates(conv))
        last = int(np.argsort(conv.norms)[-1])
        other = (last + 1) % len(rows)
        weights, bias = conv.weights.copy(), conv.bias.copy()
        weights[other], bias[other] = 3 * weights[last], 3 * bias[last]
        assert [channels for channels, _ in duplicates(replace(conv, weights=weights, bias=bias))] == [
            tuple(sorted((last, other)))
        ]


# -- pictures and bad input ---


def test_the_sheet_shows_the_faults_and_their_neighbours(tmp_path: Path) -> None:
    model = faulty_networks.network(tmp_path / "net.onnx", plant=everything)
    result = checkup(model, PICTURES)
    shown = samples(model, result, PICTURES)
    assert shown.image == "image#0" and np.array_equal(shown.picture, PICTURES[0])
    loud_row, dead_row, constant_row = shown.rows
    assert [cell.channel for cell in dead_row.cells] == [3, 5] and not any(cell.values.any() for cell in dead_row.cells)
    assert dead_row.healthy is not None and dead_row.healthy.channel in (2, 4) and dead_row.healthy.values.any()
    assert (constant_row.cells[0].values == 6).all()
    assert loud_row.cells[0].filter is not None and loud_row.cells[0].filter.shape == (7, 7, 3)
    assert dead_row.cells[0].filter is None  # of a first layer only
    sheet = checkup_sheet(result, shown)
    healthy = faulty_networks.network(tmp_path / "healthy.onnx")
    nothing = checkup(healthy, PICTURES)
    plain = checkup_sheet(nothing, samples(healthy, nothing, PICTURES))
    assert sheet.width == plain.width and sheet.height > plain.height + 3 * 112
    assert np.asarray(plain).min() < 100  # it has words


def test_the_result_is_plain_data(tmp_path: Path) -> None:
    result = onnxray.checkup(faulty_networks.network(tmp_path / "net.onnx", plant=everything), PICTURES)
    plain = json.loads(json.dumps(result.to_json()))
    assert [finding["layer"] for finding in plain["findings"]] == ["conv1", "conv2", "conv3"]
    assert len(plain["first_layers"][0]["aliased"]) == 12


def test_vectors_are_judged_by_many_images_only(tmp_path: Path) -> None:
    """A unit of one value an image is silent in a few images of the healthiest network."""
    text = tiny_models.CONV_NET.replace("scores = Softmax (logits)", "scores = Relu (logits)  last = Neg (scores)")
    proto = tiny_models.model(text.replace("(float[batch, 3] scores)", "(float[batch, 3] last)"))
    proto.graph.initializer[0].raw_data = np.arange(1, 19, dtype=np.float32).tobytes()  # nothing else is dead
    proto.graph.initializer[3].raw_data = np.array([-1e9, 1e9, 1e9], np.float32).tobytes()
    model = onnxray.Model(proto, Path("vectors.onnx"))
    images = np.random.default_rng(0).integers(0, 256, (100, 8, 8), dtype=np.uint8)
    few, many = checkup(model, images[:99]), checkup(model, images)
    assert few.not_judged == ("scores",) and not many.not_judged and few.healthy
    right = [("dead", (0,)), ("always on", (1, 2))]
    assert [(finding.kind, finding.channels) for finding in many.findings] == right
    assert (few.units, many.units) == (2, 5) and many.rarest == 0.03


def test_bad_input(tmp_path: Path) -> None:
    model = faulty_networks.network(tmp_path / "net.onnx")
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match="expected a network with convolutions of stored weights, found Flatten, Gemm"):
        checkup(explained_networks.network(explained_networks.LINEAR), explained_networks.PICTURES)
    with pytest.raises(InputError, match="called 'conv9'; `summary` lists the layers"):
        checkup(model, PICTURES, ["conv1", "conv9"])
    with pytest.raises(InputError, match="empty"):
        checkup(model, tmp_path / "empty")
    with pytest.raises(InputError, match=r"broken\.png"):
        checkup(model, tmp_path / "broken.png")
