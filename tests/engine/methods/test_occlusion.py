"""Occlusion against loops over covered images, against Captum, and the incremental way against whole networks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import captum_networks
import explained_networks
import numpy as np
import pytest
import torch
from model_specs import load_model
from onnx import numpy_helper
from onnxray.engine.images import image_input, prepare
from onnxray.engine.incremental.sweep import Sweep
from onnxray.engine.methods import covered
from onnxray.engine.methods.attribution import Stop
from onnxray.engine.methods.occlusion import occlusion
from onnxray.engine.methods.occlusion_plan import occlusion_plan
from onnxray.engine.targets import ClassProbability
from onnxray.importers.errors import InputError

Shared = Callable[[str], Path]

NEAR = 1e-5  # of the scores' range


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The method with whole networks on onnxruntime at every position."""

    def run(*arguments: Any, **keywords: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(covered, "_LEAST_GAIN", np.inf)
            return occlusion(*arguments, **keywords)

    return run


@pytest.fixture
def incremental(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows are computed whatever they save."""
    monkeypatch.setattr(covered, "_LEAST_GAIN", 0.0)
    monkeypatch.setattr(covered, "_LEAST_WORK", 0.0)


@pytest.mark.usefixtures("incremental")
@pytest.mark.parametrize("fill", ["zero", "black", "mean", 200])
def test_the_fall_at_every_position(fill: Any) -> None:
    """Patches of 3 x 2 every 2 x 2 pixels of 6 x 7: the last row and column reach over the border."""
    model = explained_networks.network()
    found = occlusion(model, explained_networks.PICTURES, target=1, patch=(3, 2), stride=(2, 2), fill=fill)
    size = image_input(model)[1]
    assert found.raw is not None and found.raw.shape == (3, 3, 4)
    for row, picture in enumerate(explained_networks.PICTURES):
        covers = {"zero": None, "black": 0 * picture, "mean": np.broadcast_to(picture.mean((0, 1)), picture.shape)}
        cover = covers[fill] if isinstance(fill, str) else np.full_like(picture, fill)
        image = prepare(picture, model.spec, size)
        hidden = np.zeros_like(image) if cover is None else prepare(cover.astype(np.float32), model.spec, size)
        falls, total, count = np.zeros((3, 4)), np.zeros((6, 7)), np.zeros((6, 7))
        for i, j in np.ndindex(3, 4):
            covered, part = image.copy(), np.s_[2 * i : 2 * i + 3, 2 * j : 2 * j + 2]
            covered[0, :, *part] = hidden[0, :, *part]
            before, after = (explained_networks.values(model, x, "logits")[0, 1] for x in (image, covered))
            falls[i, j] = before - after
            total[part] += falls[i, j]
            count[part] += 1
        np.testing.assert_allclose(found.raw[row], falls, atol=1e-5 * np.abs(falls).max())
        np.testing.assert_allclose(found.maps[row], total / count, atol=1e-5 * np.abs(falls).max())


@pytest.mark.parametrize("way", ["windows", "whole networks"])
@pytest.mark.parametrize("fill", ["zero", "mean", "shift:2"])
def test_the_fall_when_a_layer_is_covered(fill: str, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of the network by hand, from the layer's values."""
    monkeypatch.setattr(covered, "_LEAST_GAIN", 0.0 if way == "windows" else np.inf)
    monkeypatch.setattr(covered, "_LEAST_WORK", 0.0)
    model, pictures = explained_networks.network(), explained_networks.PICTURES
    found = occlusion(model, pictures, target=1, layer="relu1", patch=(3, 2), stride=2, fill=fill)
    assert found.layer == "relu1" and found.raw is not None and found.raw.shape == (3, 3, 4)
    assert found.maps.shape == (3, 6, 7) and ("torch" in found.certificate) == (way == "windows")
    rest = torch.nn.functional
    names = "conv2_w", "fc_w", "fc_b"
    conv, dense, bias = (torch.tensor(numpy_helper.to_array(model.graph.initializers[name])).double() for name in names)

    def logit(layer: np.ndarray) -> float:
        second = rest.conv2d(torch.from_numpy(layer), conv, padding=1).relu()
        return float((second.mean((2, 3)) / 10 @ dense + bias)[0, 1])

    for row, layer in enumerate(explained_networks.values(model, explained_networks.inputs(model), "relu1")):
        moved = layer[:, [0, 0, 0, 1, 2, 3]][:, :, [0, 0, 0, 1, 2, 3, 4]]
        cover = {"zero": 0 * layer, "mean": 0 * layer + layer.mean((1, 2), keepdims=True), "shift:2": moved}[fill]
        falls = np.zeros((3, 4))
        for i, j in np.ndindex(3, 4):
            changed, part = layer.copy(), np.s_[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 2]
            changed[part] = cover[part]
            falls[i, j] = logit(layer[None]) - logit(changed[None])
        np.testing.assert_allclose(found.raw[row], falls, atol=2e-5 * np.abs(falls).max())


@pytest.mark.usefixtures("incremental")
def test_covered_by_the_image_moved() -> None:
    model, pictures = explained_networks.network(), explained_networks.PICTURES[:1]
    moved = np.concatenate([pictures[:, :1], pictures[:, :-1]], 1)
    moved = np.concatenate([moved[:, :, :1], moved[:, :, :-1]], 2)
    found, expected = (
        occlusion(model, pictures, target=1, patch=3, stride=2, fill=fill) for fill in ("shift:1", moved[0])
    )
    np.testing.assert_allclose(found.raw, expected.raw, atol=1e-5 * np.abs(expected.raw).max())


TOKENS = """
<ir_version: 8, opset_import: ["" : 17]>
tokens (float[N, 3, 6, 6] image) => (float[N, 2] scores)
<float[4, 3, 2, 2] w, float[4, 2] v, int64[3] rows = {0, 4, 9}>
{
    patches = Conv <strides = [2, 2]> (image, w)
    flat = Reshape (patches, rows)
    places = Transpose <perm = [0, 2, 1]> (flat)
    bent = Tanh (places)
    mean = ReduceMean <axes = [1], keepdims = 0> (bent)
    scores = MatMul (mean, v)
}
"""


def test_a_layer_of_tokens_runs_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(covered, "_LEAST_WORK", 0.0)
    model, pictures = explained_networks.network(TOKENS), explained_networks.PICTURES[:1, :, :6]
    plan = occlusion_plan(model, target="scores:0", layer="bent")
    assert plan.by == "whole networks" and "bent is a row of tokens" in plan.why and plan.grid == (3, 3)
    found = occlusion(model, pictures, target="scores:0", layer="bent")
    (tokens,) = explained_networks.values(model, explained_networks.inputs(model, pictures), "bent")
    weight = numpy_helper.to_array(model.graph.initializers["v"])[:, 0]
    np.testing.assert_allclose(found.raw[0].ravel(), tokens @ weight / 9, atol=1e-6)


def test_a_real_layer_as_whole_networks_have_it(whole: Any, shared: Shared) -> None:
    model, photo = load_model(shared, "models/derived/squeezenet1.1.onnx"), shared("data/skimage_images/coffee.png")
    layer = "/features/features.3/Concat"  # 54 x 54
    assert occlusion_plan(model, layer=layer).by == "windows"
    found, expected = (method(model, photo, layer=layer, stride=9, target=[967, 504]) for method in (occlusion, whole))
    np.testing.assert_allclose(found.raw, expected.raw, atol=NEAR * max(np.ptp(expected.raw), expected.scores[0]))


@pytest.mark.usefixtures("incremental")
def test_several_targets_share_one_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several tensors, too; each as it is alone, in one sweep an image."""
    model, pictures = explained_networks.network(), explained_networks.PICTURES
    wanted = [1, "relu1:2", None, ClassProbability(2)]
    alone = [occlusion(model, pictures, target=one, patch=3, stride=2) for one in wanted]
    sweeps = []
    set_image = Sweep.set_image
    monkeypatch.setattr(Sweep, "set_image", lambda self, image: (sweeps.append(image), set_image(self, image)))
    found = occlusion(model, pictures, target=wanted, patch=3, stride=2)
    assert len(sweeps) <= 2 + len(pictures)  # at most twice to plan
    for number, expected in enumerate(alone):
        rows = list(range(number, len(found.images), len(wanted)))
        assert [found.targets[row] for row in rows] == list(expected.targets)
        np.testing.assert_allclose(found.raw[rows], expected.raw, atol=1e-6 * np.abs(expected.raw).max())


@pytest.mark.parametrize("way", ["windows", "whole networks"])
def test_told_to_stop_it_keeps_what_is_done(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(covered, "_LEAST_GAIN", 0.0 if way == "windows" else np.inf)
    monkeypatch.setattr(covered, "_LEAST_WORK", 0.0)
    monkeypatch.setattr(covered, "_AT_ONCE", 2)
    model, pictures = explained_networks.network(), explained_networks.PICTURES
    whole, seen = occlusion(model, pictures, target=1, patch=2, stride=2), []

    def progress(done: float, total: int) -> None:
        seen.append((done, total))
        if done > 1.5:
            raise Stop

    found = occlusion(model, pictures, target=1, patch=2, stride=2, progress=progress)
    assert seen == sorted(seen) and seen[0][0] < 0.5 and {total for _, total in seen} == {3}
    done = np.isfinite(found.raw)
    assert found.stopped == f"stopped after {done.sum()} of 36 positions" and 18 < done.sum() < 24
    assert done[0].all() and done[1].any() and not done[2].any()
    np.testing.assert_allclose(found.raw[done], whole.raw[done], atol=1e-6)
    assert not found.maps[2].any() and np.isfinite(found.maps).all()
    np.testing.assert_allclose(found.maps[0], whole.maps[0], atol=1e-6)


def test_the_plan_is_what_is_computed(shared: Shared) -> None:
    """Multiplications counted by hand from the windows' sizes; windows grow with depth."""
    model = load_model(shared, "models/derived/squeezenet1.1.onnx")
    plan = occlusion_plan(model, patch=(16, 24), stride=8)
    assert plan.by == "windows" and plan.positions == 28 * 27 == np.prod(plan.grid)
    assert plan.macs == sum(layer.macs for layer in plan.layers) and len(plan.layers) == 26
    assert 2 < plan.gain == plan.macs / plan.incremental_macs
    for layer in plan.layers:
        least, most = (np.prod(window) / np.prod(layer.size) for window in (layer.smallest, layer.largest))
        assert least * layer.macs - 1 <= layer.incremental_macs <= most * layer.macs + 1
    assert plan.layers[0].largest < plan.layers[-1].largest


@pytest.mark.usefixtures("incremental")
def test_the_same_as_captum(tmp_path: Path, name: str = "squeezenet1_1") -> None:
    source = captum_networks.network(name)
    from captum.attr import Occlusion

    model, pictures = captum_networks.exported(source, name, tmp_path), captum_networks.pictures(name)
    found = occlusion(model, pictures, target=3, patch=16, stride=12)
    inputs = captum_networks.inputs(model, pictures)
    expected = Occlusion(source.double()).attribute(inputs, (3, 16, 16), (3, 12, 12), target=3)[:, 0]
    np.testing.assert_allclose(found.maps, expected.numpy(), atol=1e-4 * expected.abs().max().item())


@pytest.mark.usefixtures("incremental")
@pytest.mark.parametrize("file", ["models/derived/squeezenet1.1.onnx", "models/derived/resnet20_cifar10.onnx"])
def test_real_files_as_whole_networks_have_it(file: str, whole: Any, shared: Shared) -> None:
    model, photo = load_model(shared, file), shared("data/skimage_images/coffee.png")
    stride = image_input(model)[1][2] // 4
    found, expected = (method(model, photo, patch=stride, stride=stride) for method in (occlusion, whole))
    assert found.raw.shape[1] >= 4
    np.testing.assert_allclose(found.raw, expected.raw, atol=NEAR * max(np.ptp(expected.raw), expected.scores[0]))


def test_the_espresso_is_in_the_cup(shared: Shared) -> None:
    model = load_model(shared, "models/derived/squeezenet1.1.onnx")
    (heat,) = occlusion(model, shared("data/skimage_images/coffee.png"), patch=32, stride=32, fill="mean").maps
    y, x = np.unravel_index(heat.argmax(), heat.shape)
    assert 0.15 < y / len(heat) < 0.55 and 0.3 < x / heat.shape[1] < 0.7


@pytest.mark.usefixtures("incremental")
@pytest.mark.parametrize("form", ["a batch of one", "channels last"])
def test_windows_of_other_forms_of_a_network(form: str) -> None:
    text, free = explained_networks.CURVED, explained_networks.network()
    if form == "channels last":
        text = text.replace("[N, 3, 6, 7] image", "[N, 6, 7, 3] image").replace(
            "conv1 = Conv <pads = [1, 1, 1, 1]> (image,",
            "planes = Transpose <perm = [0, 3, 1, 2]> (image) conv1 = Conv <pads = [1, 1, 1, 1]> (planes,",
        )
    else:
        text = text.replace("[N,", "[1,")
    model = explained_networks.network(text)
    if form == "channels last":
        model.spec = model.spec.override("test", layout="NHWC")
    found, expected = (
        occlusion(net, explained_networks.PICTURES, target=1, patch=(2, 3), stride=3, fill="mean")
        for net in (model, free)
    )
    assert "torch equals onnxruntime" in found.certificate  # windows were computed
    np.testing.assert_allclose(found.raw, expected.raw, atol=1e-5 * np.abs(expected.raw).max())


def test_networks_of_several_images_at_once_run_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    model, free = (
        explained_networks.network(explained_networks.CURVED.replace("[N,", "[3,")),
        explained_networks.network(),
    )
    monkeypatch.setattr(covered, "_LEAST_WORK", 0.0)
    assert "takes 3 images at a time" in occlusion_plan(model, target=1, patch=2).why
    found, expected = (
        occlusion(net, explained_networks.PICTURES, target=1, patch=2, stride=3) for net in (model, free)
    )
    assert "none needed" in found.certificate
    np.testing.assert_allclose(found.raw, expected.raw, atol=1e-5 * np.abs(expected.raw).max())


@pytest.mark.usefixtures("incremental")
def test_a_budget_makes_batches_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for three positions, once one has run and weights are laid out."""
    model, pictures = explained_networks.network(), explained_networks.PICTURES[:1]
    free = occlusion(model, pictures, target=1, patch=2, stride=2)
    sizes, run = [], Sweep._run

    def counted(self: Any, plan: Any, some: slice, patches: Any) -> Any:
        sizes.append(some.stop - some.start)
        monkeypatch.setattr(covered, "resident_bytes", lambda: (1 << 40) - 4 * 3 * plan.elements)
        return run(self, plan, some, patches)

    monkeypatch.setattr(Sweep, "_run", counted)
    found = occlusion(model, pictures, target=1, patch=2, stride=2, memory="1TB")
    assert sum(sizes) == 12 and sizes[0] == 1 and max(sizes) == 3
    np.testing.assert_allclose(found.raw, free.raw, atol=1e-6)


def test_little_work_is_not_planned() -> None:
    plan = occlusion_plan(explained_networks.network(), target=1, patch=2)
    assert plan.by == "whole networks" and "planning would take longer" in plan.why
    assert plan.layers and plan.gain > 1  # what it would have been


def test_networks_that_torch_cannot_run_run_on_onnxruntime(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = occlusion(explained_networks.network(), explained_networks.PICTURES, target=1, patch=2, stride=3)

    monkeypatch.setattr(covered, "_LEAST_WORK", 0.0)

    def cannot(self: Any, *arguments: Any, **keywords: Any) -> None:
        raise InputError("no operator Mystery")

    monkeypatch.setattr("onnxray.engine.model.Model.torch", cannot)
    model = explained_networks.network()
    assert occlusion_plan(model, target=1, patch=2).why == "windows are not possible: no operator Mystery"
    found = occlusion(model, explained_networks.PICTURES, target=1, patch=2, stride=3)
    np.testing.assert_allclose(found.raw, expected.raw, atol=1e-5 * np.abs(expected.raw).max())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patch": 9}, "a patch of 9 x 9 is larger than what it covers, 6 x 7: choose a smaller one"),
        ({"patch": 0}, "patch expects a whole number of at least 1, found 0"),
        ({"patch": (2, 2.5)}, "patch expects a whole number of at least 1, found 2.5"),
        ({"patch": 2, "stride": 0}, "stride expects a whole number of at least 1, found 0"),
        ({"patch": 2, "fill": "pink"}, "fill expects zero, black, mean, blur, noise, shift:PIXELS or a colour"),
        ({"patch": 2, "fill": 300}, "fill expects zero, black, mean, blur, noise, shift:PIXELS, a grey level"),
        ({"patch": 2, "target": 7}, "the network has no class 7"),
        ({"layer": "relu1", "fill": "blur"}, "fill of a layer expects zero, mean or shift:PLACES, found 'blur'"),
        ({"layer": "relu1", "patch": 7}, "a patch of 7 x 7 is larger than what it covers, 6 x 7"),
        ({"layer": "flat"}, "expected a feature map"),
        ({"layer": "relu9"}, "the network has no layer 'relu9'; did you mean"),
        ({"layer": "relu2", "target": "relu1:2"}, "relu1 does not depend on relu2"),
        ({"patch": 2, "fill": "shift:0"}, "fill expects zero, black, mean, blur, noise, shift:PIXELS or a colour"),
    ],
)
def test_one_line_for_what_cannot_be(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        occlusion(explained_networks.network(), explained_networks.PICTURES, **options)
    assert "\n" not in str(raised.value)
