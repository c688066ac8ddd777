"""The certificate finds what is wrong, in values and in gradients, and passes what is right."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxray
import pytest
import tiny_models
import torch
from model_specs import load_model
from onnx import numpy_helper
from onnxray import InputError
from onnxray.engine.gradient import parity
from onnxray.engine.gradient.builder import origin
from onnxray.engine.gradient.certificate import certify
from onnxray.engine.gradient.finite_differences import Derivative, GradientCheck
from onnxray.engine.gradient.parity import compare_values
from onnxray.engine.gradient.rules import Rule
from onnxray.engine.gradient.samples import noise

Shared = Callable[[str], Path]

# A residual block, so that a gradient can be lost on one of two ways.
RESIDUAL_NET = """
<ir_version: 8, opset_import: ["" : 17]>
residual (float[N, 3, 12, 12] image) => (float[N, 5] scores)
<float[8, 3, 3, 3] stem_w, float[8, 8, 3, 3] inner_w, float[5, 8] head_w>
{
    stem = Conv <pads = [1, 1, 1, 1]> (image, stem_w)
    first = Relu (stem)
    inner = Conv <pads = [1, 1, 1, 1]> (first, inner_w)
    second = Sigmoid (inner)
    both = Add (first, second)
    pooled = GlobalAveragePool (both)
    flat = Flatten (pooled)
    scores = Gemm <transB = 1> (flat, head_w)
}
"""

RESIDUAL_TENSORS = ["stem", "first", "inner", "second", "both", "pooled", "flat", "scores"]

TIE_NET = """
<ir_version: 8, opset_import: ["" : 17]>
tie (float[1, 4] x) => (int64[1, 1] best, float[1, 4] y)
<float[4] w>
{
    y = Mul (x, w)
    best = ArgMax <axis = 1> (y)
}
"""


def _model(tmp_path: Path, text: str = RESIDUAL_NET, **weights: np.ndarray) -> onnxray.Model:
    proto = tiny_models.model(text)
    for tensor in proto.graph.initializer:
        if tensor.name in weights:
            tensor.CopyFrom(numpy_helper.from_array(weights[tensor.name].astype(np.float32), tensor.name))
    path = tmp_path / "net.onnx"
    onnx.save(proto, path)
    return onnxray.load(path)


def _spoil(model: onnxray.Model, op: str, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """Put `change` behind every node of this kind in the bridge."""
    for node in model.torch().module.graph.nodes:
        made_from = origin(node)
        if made_from is not None and made_from.op == op:
            node.target = _changed(node.target, change)
    model.torch().module.recompile()


def _spoil_gradient(model: onnxray.Model, op: str, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """The same, as a backward rule that every run is under."""
    whole = model.torch().forward
    rule = Rule("wrong", {op: lambda function: _changed(function, change)})
    model.torch().forward = lambda feeds, tensors: whole(feeds, tensors, rule)  # type: ignore[method-assign]


def _changed(function: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    return lambda *inputs, **attributes: change(function(*inputs, **attributes))


def _scaled_gradient(factor: float) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda y: y.detach() + factor * (y - y.detach())


def test_a_right_network_passes(tmp_path: Path) -> None:
    model = _model(tmp_path)
    found = certify(model)
    assert found.passed
    assert [row.name for row in found.nodes] == RESIDUAL_TENSORS
    assert not found.missing
    assert found.gradients.checked
    assert max(found.gradients.errors.values()) < 0.02
    assert found.summary().startswith("torch equals onnxruntime within ")
    assert json.loads(json.dumps(found.to_json()))["passed"] is True


def test_differences_are_those_of_the_two_runs(tmp_path: Path) -> None:
    model = _model(tmp_path)
    image = np.random.default_rng(3).normal(size=(3, 3, 12, 12)).astype(np.float32)
    found = certify(model, image, gradients=False)
    theirs = model.session(providers=["cpu"], optimised=False).run(image, ["inner"])["inner"]
    ours = model.torch().run(image, ["inner"])["inner"]
    row = next(row for row in found.nodes if row.name == "inner")
    assert row.difference == pytest.approx(np.abs(theirs - ours).max(), abs=1e-7)
    assert row.range == pytest.approx(np.ptp(theirs), rel=1e-5)
    assert found.input == "3 given inputs"


def test_the_first_wrong_node_is_named(tmp_path: Path) -> None:
    model = _model(tmp_path)
    _spoil(model, "Sigmoid", lambda y: y + 1e-3)
    found = certify(model, gradients=False)
    assert not found.passed
    assert found.first_failed is not None
    assert found.first_failed.name == "second"
    assert f"DIFFERS from onnxruntime, first at node {found.first_failed.node} (Sigmoid)" in found.summary()
    later = {row.name: row.amplified for row in found.nodes if not row.passed}
    assert later == {"second": False, "both": True, "pooled": True, "flat": True, "scores": True}


def test_a_quick_certificate_looks_for_the_node_where_outputs_differ(tmp_path: Path) -> None:
    model = _model(tmp_path)
    _spoil(model, "Sigmoid", lambda y: 1.01 * y)
    found = certify(model, per_node=False, gradients=False)
    assert found.first_failed is not None
    assert found.first_failed.name == "second"


@pytest.mark.parametrize(
    "op, change",
    [
        ("Relu", _scaled_gradient(1.1)),
        ("Relu", _scaled_gradient(0.0)),
        ("Sigmoid", _scaled_gradient(-1.0)),
        ("Conv", lambda y: torch.cat([y[..., :6], y[..., 6:].detach()], -1)),  # half the image has no gradient
        ("Relu", lambda y: y.detach() + (y - y.detach()).relu() + 0.8 * (y - y.detach())),
    ],
)
def test_a_wrong_gradient_fails(tmp_path: Path, op: str, change: Any) -> None:
    """Values are right, so nothing but the gradient check can find it."""
    model = _model(tmp_path)
    _spoil_gradient(model, op, change)
    found = certify(model, per_node=False)
    assert found.first_failed is None
    assert found.gradients.failed
    assert not found.passed
    assert "gradients WRONG" in found.summary()


def test_a_part_of_the_image_without_gradient_fails(tmp_path: Path) -> None:
    """A direction made of the gradient cannot see it, a random one does."""
    model = _model(tmp_path, RESIDUAL_NET)
    whole = model.torch().forward

    def forward(feeds: Any, *arguments: Any, **keywords: Any) -> Any:
        image = feeds["image"]
        return whole(feeds | {"image": torch.cat([image[..., :6, :], image[..., 6:, :].detach()], 2)}, *arguments)

    model.torch().forward = forward  # type: ignore[method-assign]
    assert certify(model).gradients.failed


def test_one_odd_direction_does_not_decide() -> None:
    right = Derivative("random", 1e-4, 1.0, 1.0, 0.001, 0.001)
    odd = dataclasses.replace(right, error=0.4)
    assert not GradientCheck((right, odd, right)).failed
    assert GradientCheck((right, odd, odd)).failed
    deaf = dataclasses.replace(odd, uncertain=1.0)
    assert not GradientCheck((deaf, deaf)).checked


def test_ties_are_told_from_errors(tmp_path: Path) -> None:
    """Two values 1e-7 apart, and a bridge that rounds otherwise: its ArgMax differs, and is right."""
    model = _model(tmp_path, TIE_NET, w=np.ones(4))
    x = np.array([[0.1, 0.7, 0.7, 0.2]], np.float32)
    _spoil(model, "Mul", lambda y: y + torch.tensor([0, 0, 1e-6, 0]))
    found = certify(model, x, gradients=False)
    rows = {row.name: row for row in found.nodes}
    assert rows["y"].passed
    assert not rows["best"].passed
    assert rows["best"].amplified
    assert found.passed
    assert "but for best (ArgMax), where rounding decides" in found.summary()


# Boxes out of a convolution, of which NonMaxSuppression keeps some: small changes of the image change which.
DETECTOR_NET = """
<ir_version: 8, opset_import: ["" : 17]>
detector (float[1, 3, 16, 16] image) => (float[N, 4] kept)
<float[6, 3, 3, 3] w>
{
    features = Conv <pads = [1, 1, 1, 1]> (image, w)
    sizes = Constant <value = int64[2] {4, 2}> ()
    places, answers = Split <axis = 1> (features, sizes)
    as_boxes = Constant <value = int64[3] {1, 4, -1}> ()
    as_scores = Constant <value = int64[3] {1, 2, -1}> ()
    rows = Reshape (places, as_boxes)
    boxes = Transpose <perm = [0, 2, 1]> (rows)
    scores = Reshape (answers, as_scores)
    most = Constant <value = int64[1] {20}> ()
    overlap = Constant <value = float[1] {0.5}> ()
    least = Constant <value = float[1] {0.1}> ()
    selected = NonMaxSuppression (boxes, scores, most, overlap, least)
    two = Constant <value = int64 {2}> ()
    numbers = Gather <axis = 1> (selected, two)
    table = Constant <value = int64[2] {-1, 4}> ()
    all_boxes = Reshape (boxes, table)
    kept = Gather (all_boxes, numbers)
}
"""


def test_gradients_beside_jumps(tmp_path: Path) -> None:
    found = certify(_model(tmp_path, DETECTOR_NET))
    assert found.passed, found.summary()
    assert found.gradients.checked
    _spoil_gradient(model := _model(tmp_path, DETECTOR_NET), "Conv", _scaled_gradient(1.05))
    assert certify(model, per_node=False).gradients.failed


def test_a_wrong_argmax_is_no_tie(tmp_path: Path) -> None:
    model = _model(tmp_path, TIE_NET)
    _spoil(model, "ArgMax", lambda best: best + 1)
    found = certify(model, gradients=False)
    assert found.first_failed is not None
    assert found.first_failed.name == "best"


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    "theirs, ours, relative",
    [
        ([0.0, 1.0], [0.0, 1.5], 0.5),
        ([0.0, NAN, 2.0], [0.0, NAN, 2.0], 0.0),
        ([0.0, NAN], [0.0, 1.0], INF),
        ([0.0, 1.0], [0.0, NAN], INF),
        ([0.0, INF, 2.0], [1.0, INF, 2.0], 0.5),
        ([INF], [-INF], INF),
        ([5.0, 5.0], [5.0, 5.5], 0.1),  # no range: its size stands in
        ([], [], 0.0),
    ],
)
def test_values(theirs: list[float], ours: list[float], relative: float) -> None:
    found = compare_values("x", np.array(theirs, np.float32), np.array(ours, np.float32))
    assert found.relative == pytest.approx(relative)
    assert found.shape == np.shape(theirs)


def test_whole_numbers_and_shapes_must_be_equal() -> None:
    one = np.array([100000, 0])
    assert compare_values("x", one, one).relative == 0
    assert compare_values("x", one, one + 1).relative == INF
    assert compare_values("x", one > 0, one < 0).relative == INF
    assert compare_values("x", np.zeros((1, 4)), np.zeros(4)).relative == INF


def test_groups_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, done = _model(tmp_path), []
    once = certify(model, gradients=False)
    monkeypatch.setattr(parity, "_GROUP", 10_000)
    grouped = certify(model, gradients=False, progress=lambda *counts: done.append(counts))
    assert [dataclasses.replace(row, difference=0.0, relative=0.0) for row in grouped.nodes] == [
        dataclasses.replace(row, difference=0.0, relative=0.0) for row in once.nodes
    ]
    assert len(done) > 2
    assert done[-1] == (8, 8)


@pytest.mark.parametrize(("value", "kind"), [(np.nan, "NaN"), (np.inf, "infinite"), (-np.inf, "infinite")])
def test_weights_that_spoil_the_outputs_are_named(value: float, kind: str, tmp_path: Path) -> None:
    weight = np.random.default_rng(0).normal(size=(8, 8, 3, 3))
    weight[0, 0, 0, :2] = value
    with pytest.raises(InputError, match=rf"outputs are NaN, for weights .* inner_w \(2 {kind} of 576\)"):
        certify(_model(tmp_path, inner_w=weight))


def test_nan_weights_that_do_not_show(tmp_path: Path) -> None:
    text = TIE_NET.replace("best = ArgMax", "spare = Add (x, v)\n best = ArgMax").replace(
        "<float[4] w>", "<float[4] w, float[4] v>"
    )
    found = certify(_model(tmp_path, text, v=np.full(4, np.nan)))
    assert found.passed
    assert "v (4 NaN of 4)" in found.notes[0]


def test_casts_to_integers_are_steps(tmp_path: Path) -> None:
    """Their gradients, which pass straight through, equal no finite difference; that is said, not held against them."""
    text = TIE_NET.replace("best = ArgMax", "whole = Cast <to = 7> (x)\n back = Cast <to = 1> (whole)\n best = ArgMax")
    text = text.replace("float[1, 4] y)", "float[1, 4] y, float[1, 4] back)")
    found = certify(_model(tmp_path, text))
    assert found.passed
    assert "the network rounds" in found.summary()
    assert found.notes == ("1 Cast-to-integer node runs as the file says; gradients pass straight through",)


def test_outputs_that_are_all_0_or_1(tmp_path: Path) -> None:
    """A saturated softmax moves in steps: what goes into it is looked at instead, behind a Transpose too."""
    text = """<ir_version: 8, opset_import: ["" : 17]>
    g (float[1, 3, 64, 64] image) => (float[1, 64, 64, 2] planes)
    <float[2, 3, 3, 3] w, float many = {1e4}> {
        logits = Conv <pads = [1, 1, 1, 1]> (image, w)
        large = Mul (logits, many)
        shares = Softmax <axis = 1> (large)
        planes = Transpose <perm = [0, 2, 3, 1]> (shares)
    }"""
    found = certify(_model(tmp_path, text))
    assert found.passed
    assert found.gradients.checked


def test_images_as_bytes(tmp_path: Path) -> None:
    """Steps are whole levels, and the integral between them still is what the outputs change by."""
    text = RESIDUAL_NET.replace("float[N, 3, 12, 12] image)", "uint8[N, 3, 12, 12] image)")
    text = text.replace(
        "stem = Conv <pads = [1, 1, 1, 1]> (image,",
        "real = Cast <to = 1> (image)\n stem = Conv <pads = [1, 1, 1, 1]> (real,",
    )
    found = certify(_model(tmp_path, text))
    assert found.passed
    assert found.gradients.checked


def test_several_inputs_of_any_kind(tmp_path: Path) -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]>
    g (float[N, 6] x, float[6] scale, int64[2] rows, bool[6] keep) => (float[N, 6] y, float[2] part, int64[2] size) {
        scaled = Mul (x, scale)
        zero = Constant <value_float = 0.0> ()
        kept = Where (keep, scaled, zero)
        y = Tanh (kept)
        part = Gather (scale, rows)
        size = Shape (y)
    }"""
    model = _model(tmp_path, text)
    assert [noise(model)[name].dtype.kind for name in ("x", "scale", "rows", "keep")] == ["f", "f", "i", "b"]
    found = certify(model)
    assert found.passed
    assert found.gradients.checked


def test_nothing_to_differentiate(tmp_path: Path) -> None:
    text = TIE_NET.replace(", float[1, 4] y)", ")")
    found = certify(_model(tmp_path, text))
    assert found.passed
    assert found.summary().endswith("gradients not checked: no output holds real numbers")
    text = text.replace("int64[1, 1] best)", "float[1, 1] real)").replace(
        "(y)\n}", "(y)\n real = Cast <to = 1> (best)\n}"
    )
    found = certify(_model(tmp_path, text))
    assert "no output depends on an input by differentiable operators" in found.summary()


def test_noise_looks_like_preprocessed_pixels(tmp_path: Path) -> None:
    proto = tiny_models.model(RESIDUAL_NET)
    path = tmp_path / "net.onnx"
    onnx.save(proto, path)
    model = onnxray.load(path, mean=(100.0, 110.0, 120.0), scale=(0.5,), size=(12, 12))
    image = noise(model)["image"]
    pixels = image / 0.5 + np.array([100, 110, 120])[:, None, None]
    assert pixels.min() >= -1e-3
    assert pixels.max() <= 255 + 1e-3
    assert pixels.std() > 20
    np.testing.assert_array_equal(image, noise(model)["image"])


def test_the_models_own_is_made_once(tmp_path: Path) -> None:
    model = _model(tmp_path)
    found = model.torch_certificate()
    assert found.passed
    assert found.nodes == ()
    assert [row.name for row in found.outputs] == ["scores"]
    assert model.torch_certificate(np.zeros((1, 3, 12, 12), np.float32)) is found


@pytest.mark.parametrize(
    "name",
    [
        "models/derived/squeezenet1.1.onnx",
        "models/derived/resnet20_cifar10.onnx",
        "models/caffe/lenet_mnist/lenet_iter_10000.caffemodel",
        "models/onnx/ppocr_v4_rec_svtr/ch_PP-OCRv4_rec_infer.onnx",
    ],
)
def test_real_networks(shared: Shared, name: str) -> None:
    found = certify(load_model(shared, name))
    assert found.passed, found.summary()
    assert found.gradients.checked
    assert not found.missing
