"""Sweeps of which only some channels of the output are asked: those are as they were, fewer are computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny_models
import torch
from onnxray.engine.incremental.sweep import Sweep
from onnxray.engine.model import Model

HEAD = """
<ir_version: 8, opset_import: ["" : 17]>
net (float[N, 3, 12, 12] image) => (float[N, {outputs}] y)
<float[4, 3, 3, 3] v, float[6, 4, 1, 1] w, float[6] b, float[6, 4] m, float[6, 2, 1, 1] g, int64[2] rows = {{0, -1}},
 int64[2] named = {{-1, 6}}>
{{
    c = Conv <pads = [1, 1, 1, 1]> (image, v)
    r = Relu (c)
    {head}
}}
"""
HEADS = {
    "convolution": "d = Conv (r, w, b) e = Relu (d) p = GlobalAveragePool (e) y = Flatten (p)",
    "product": "p = GlobalAveragePool (r) f = Flatten (p) y = Gemm <transB = 1> (f, m, b)",
    "turned product": "p = GlobalAveragePool (r) f = Flatten (p) t = Transpose <perm = [1, 0]> (m) h = MatMul (f, t) "
    "y = Add (h, b)",
}
WHOLE = {
    "softmax": "p = GlobalAveragePool (r) f = Flatten (p) h = Gemm <transB = 1> (f, m, b) y = Softmax (h)",
    "shape by name": "d = Conv (r, w, b) p = GlobalAveragePool (d) y = Reshape (p, named)",
    "groups": "d = Conv <group = 2> (r, g, b) p = GlobalAveragePool (d) y = Flatten (p)",
    "read twice": "p = GlobalAveragePool (r) f = Flatten (p) h = Gemm <transB = 1> (f, m, b) "
    "s = ReduceSum <keepdims = 1> (h) y = Add (h, s)",
    "places": "y = Flatten (r)",
}
AT, PATCH = np.array([[0, 0], [3, 5], [9, 9]]), (3, 3)


def sweep_of(head: str, channels: list[int] | None) -> tuple[Model, Sweep, np.ndarray]:
    outputs = 576 if head == WHOLE["places"] else 6
    model = Model(tiny_models.model(HEAD.format(head=head, outputs=outputs)), Path("head.onnx"))
    image = np.random.default_rng(0).normal(size=(1, 3, 12, 12)).astype(np.float32)
    return model, Sweep(model, ["y"], image, AT, PATCH, {} if channels is None else {"y": channels}), image


def values(sweep: Sweep) -> np.ndarray:
    found = np.empty((len(AT), 0))
    for numbers, (value,) in sweep.run(lambda numbers: torch.zeros(len(numbers), 3, *PATCH), lambda plan: 2):
        found = np.full((len(AT), value.shape[1]), np.inf) if not found.size else found
        found[numbers] = value
    return found


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_asked_channels_are_as_they_were(head: str) -> None:
    model, narrow, image = sweep_of(head, [1, 4])
    found = values(narrow)
    covered = image.repeat(len(AT), 0)
    for version, (row, column) in zip(covered, AT, strict=True):
        version[:, row : row + 3, column : column + 3] = 0
    (expected,) = model.session().run(covered).values()
    np.testing.assert_allclose(found[:, [1, 4]], expected[:, [1, 4]], atol=1e-5 * np.ptp(expected))
    assert np.isnan(found[:, [0, 2, 3, 5]]).all()


def test_a_last_convolution_costs_less() -> None:
    whole, narrow = (sweep_of(HEADS["convolution"], channels)[1] for channels in (None, [1, 4]))
    (before, after) = (sweep.plans[0][1].lines[-1].macs for sweep in (whole, narrow))
    assert before == 3 * after == 6 * 4 * 144


@pytest.mark.parametrize("head", WHOLE.values(), ids=WHOLE)
def test_otherwise_all_are_computed(head: str) -> None:
    _, whole, _ = sweep_of(head, None)
    _, asked, _ = sweep_of(head, [1, 4])
    np.testing.assert_array_equal(values(asked), values(whole))


def test_another_image_after_narrowing() -> None:
    model, narrow, image = sweep_of(HEADS["convolution"], [2])
    narrow.set_image(image + 1)
    covered = image.repeat(len(AT), 0) + 1
    for version, (row, column) in zip(covered, AT, strict=True):
        version[:, row : row + 3, column : column + 3] = 0
    (expected,) = model.session().run(covered).values()
    np.testing.assert_allclose(values(narrow)[:, 2], expected[:, 2], atol=1e-5 * np.ptp(expected))
