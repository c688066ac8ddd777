"""onnx2torch as a second opinion: where it is right it agrees, where it is known to be wrong that is seen."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxray
import pytest
import tiny_models
from onnxray.engine.gradient.rules import Rule
from onnxray.engine.gradient.via_onnx2torch import second_opinion
from onnxray.engine.targets import ClassScore
from onnxray.importers.errors import InputError
from tolerances import assert_close
from torchvision_networks import torchvision_models

HEADER = '<ir_version: 9, opset_import: ["" : 20]>'

# Operators that onnx2torch lacks at this opset (Gelu, ReduceMean), whose second output it drops (LayerNormalization),
# that it refuses (Reshape with allowzero), with an omitted input (Clip), with several outputs (Split).
GAPS = f"""{HEADER}
gaps (float[N, 2, 4, 4] image) => (float[N, 2, 1, 1] mean, float[N, 1, 4, 4] right, float[N, 2, 4, 1] deviation)
<float[4] scale, float top, int64[2] halves, int64[2] axes, int64[4] shape>
{{
    bent = Gelu (image)
    normal, , deviation = LayerNormalization (bent, scale)
    low = Clip (normal, , top)
    same = Reshape <allowzero = 1> (low, shape)
    left, right = Split <axis = 1> (same, halves)
    mean = ReduceMean (bent, axes)
}}
"""

BRANCHES = f"""{HEADER}
branches (float[N, 3] x) => (float[N, 3] y)
<float[3] w>
{{
    doubled = Add (x, x)
    total = ReduceSum <keepdims = 0> (x)
    zero = Constant <value_float = 0.0> ()
    positive = Greater (total, zero)
    y = If (positive) <
        then_branch = then_graph () => (float[N, 3] a) {{ bent = Gelu (doubled) a = Mul (bent, w) }},
        else_branch = else_graph () => (float[N, 3] b) {{ b = Sub (doubled, w) }}
    >
}}
"""

# What it is known to get wrong without a word.
WRONG = {
    "Resize": """<ir_version: 8, opset_import: ["" : 13]>
        resize (float[1, 1, 4, 4] x) => (float[1, 1, 6, 6] y) <float[4] scales = {1, 1, 1.5, 1.5}>
        { y = Resize <mode = "linear", coordinate_transformation_mode = "asymmetric"> (x, , scales) }""",
    "CumSum": """<ir_version: 8, opset_import: ["" : 13]>
        sums (float[1, 1, 4, 4] x) => (float[1, 1, 4, 4] y) <int64 axis = {3}>
        { y = CumSum (x, axis) }""",
    "NonZero": """<ir_version: 8, opset_import: ["" : 13]>
        places (float[1, 1, 4, 4] x) => (int64[4, n] y)
        { up = Relu (x) y = NonZero (up) }""",
}


@pytest.fixture(scope="module", autouse=True)
def torchvision() -> None:
    torchvision_models()  # which onnx2torch imports


def save(path: Path, text: str, weights: Mapping[str, np.ndarray] | None = None) -> onnxray.Model:
    proto = tiny_models.model(text)
    for tensor in proto.graph.initializer:
        if weights and tensor.name in weights:
            tensor.CopyFrom(onnx.numpy_helper.from_array(weights[tensor.name], tensor.name))
    onnx.save(proto, path)
    return onnxray.load(path)


@pytest.fixture
def gaps(tmp_path: Path) -> onnxray.Model:
    weights = {"halves": np.array([1, 1]), "axes": np.array([2, 3]), "shape": np.array([-1, 2, 4, 4])}
    return save(tmp_path / "gaps.onnx", GAPS, weights | {"top": np.float32(0.3)})


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_runs_and_gradients_as_our_own(tmp_path: Path) -> None:
    model, images = save(tmp_path / "tiny.onnx", tiny_models.CONV_NET), noise(3, 1, 8, 8)
    theirs, ours = model.torch(via="onnx2torch"), model.torch()
    assert theirs is model.torch(via="onnx2torch") and theirs is not ours and not theirs.ours
    for name, value in model.session().run(images, ["image", "relu1", "logits", "scores"]).items():
        assert_close(theirs.run(images, [name])[name], value)
    found, expected = (each.gradients(images, ClassScore(1), ["image", "conv1"]) for each in (theirs, ours))
    assert_close(found.scores, expected.scores)
    for name in ("image", "conv1"):
        assert_close(found.gradients[name], expected.gradients[name])


def test_lacking_operators_are_ours(gaps: onnxray.Model) -> None:
    images = noise(2, 2, 4, 4)
    for _ in range(2):  # its registry is global: extending it again must not fail
        network = onnxray.Model(gaps.proto, gaps.path).torch(via="onnx2torch")
        made_by = {node.name: node.op for node in gaps.graph.nodes}
        assert {made_by[name] for name in network.ours} == {
            "Gelu", "LayerNormalization", "Clip", "Reshape", "Split", "ReduceMean"
        }  # fmt: skip
        found = network.run(images, ["mean", "right", "deviation", "left"])
        for name, value in gaps.session().run(images, list(found)).items():
            assert_close(found[name], value)


def test_bodies_and_what_they_capture(tmp_path: Path) -> None:
    model = save(tmp_path / "branches.onnx", BRANCHES)
    for values in (noise(2, 3) + 5, noise(2, 3) - 5):
        assert_close(model.torch(via="onnx2torch").run(values)["y"], model.session().run(values)["y"])


def test_outputs_have_their_own_names(gaps: onnxray.Model) -> None:
    """It returns outputs in the order of the nodes that make them."""
    proto = onnx.ModelProto()
    proto.CopyFrom(gaps.proto)
    proto.graph.output.sort(key=lambda value: value.name, reverse=True)
    model, images = onnxray.Model(proto, gaps.path), noise(2, 2, 4, 4)
    found = model.torch(via="onnx2torch").run(images)
    assert list(found) == ["right", "mean", "deviation"]
    for name, value in model.session().run(images).items():
        assert_close(found[name], value)


@pytest.mark.parametrize("operator", WRONG)
def test_what_it_gets_wrong_is_seen(operator: str, tmp_path: Path) -> None:
    model, images = save(tmp_path / "wrong.onnx", WRONG[operator]), noise(1, 1, 4, 4)
    np.testing.assert_allclose(model.torch().run(images)["y"], model.session().run(images)["y"], rtol=1e-5)
    assert not model.torch(via="onnx2torch").ours
    assert not second_opinion(model, images)["y"].passed


def test_a_right_opinion_passes(tmp_path: Path) -> None:
    model = save(tmp_path / "tiny.onnx", tiny_models.CONV_NET)
    assert second_opinion(model, noise(2, 1, 8, 8))["scores"].passed


def test_weights_in_another_file(tmp_path: Path) -> None:
    proto, images = tiny_models.model(), noise(2, 1, 8, 8)
    onnx.save(proto, tmp_path / "a.onnx", save_as_external_data=True, location="a.bin", size_threshold=0)
    model = onnxray.load(tmp_path / "a.onnx")
    for tensor in model.proto.graph.initializer:  # as if too large to be read in
        stored = onnx.load(tmp_path / "a.onnx", load_external_data=False).graph.initializer
        tensor.CopyFrom(next(entry for entry in stored if entry.name == tensor.name))
    found = model.torch(via="onnx2torch").run(images)["scores"]
    assert_close(found, save(tmp_path / "b.onnx", tiny_models.CONV_NET).session().run(images)["scores"])


def test_what_does_not_run_is_said_in_one_line(tmp_path: Path) -> None:
    """NonZero's result, turned the wrong way, does not fit what comes after."""
    text = """<ir_version: 8, opset_import: ["" : 13]>
        places (float[1, 1, 4, 4] x) => (float[n] y) <int64[2] swapped = {1, 0}>
        { up = Relu (x) where = NonZero (up) rows = Transpose <perm = [1, 0]> (where) y = GatherND (x, rows) }"""
    model = save(tmp_path / "places.onnx", text)
    with pytest.raises(InputError, match=r"^onnx2torch's copy of this network does not run: "):
        model.torch(via="onnx2torch").run(noise(1, 1, 4, 4))


def test_rules_and_unknown_routes_are_refused(tmp_path: Path) -> None:
    model = save(tmp_path / "tiny.onnx", tiny_models.CONV_NET)
    with pytest.raises(InputError, match="the rule guided works on our own conversion only"):
        model.torch(via="onnx2torch").gradients(noise(1, 1, 8, 8), ClassScore(0), ["image"], Rule("guided"))
    with pytest.raises(InputError, match="via is 'onnx2pytorch'; expected 'onnx2torch'"):
        model.torch(via="onnx2pytorch")


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx2torch", None)
    with pytest.raises(InputError, match="needs the packages onnx2torch and torchvision"):
        save(tmp_path / "tiny.onnx", tiny_models.CONV_NET).torch(via="onnx2torch")


def test_nothing_is_imported_before_it_is_used() -> None:
    code = "import onnxray.engine.gradient.via_onnx2torch, sys; print('onnx2torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
