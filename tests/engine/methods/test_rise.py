"""RISE against its equations in loops; its masks against the paper's recipe, place by place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny_models
from cam_peers import PICTURES, inputs, tiny
from model_specs import load_model
from onnxray.engine.methods.attribution import Stop
from onnxray.engine.methods.rise import random_masks, rise
from onnxray.engine.model import Model
from onnxray.engine.targets import ClassProbability
from onnxray.importers.errors import InputError
from tolerances import assert_close

FEW = {"samples": 70, "grid": 3, "share": 0.4}


def test_the_masks() -> None:
    """Binary cells, linearly in between, shifted by less than a cell; as many seen as said; the same for a seed."""
    masks = np.stack(list(random_masks(3000, 4, 0.3, (21, 30), seed=5)))
    assert masks.shape == (3000, 21, 30) and masks.min() == 0 and masks.max() == 1
    np.testing.assert_allclose(masks.mean((0, 1, 2)), 0.3, atol=0.01)
    np.testing.assert_allclose(masks.mean(0), 0.3, atol=0.05)  # everywhere alike
    assert np.abs(np.diff(masks, axis=1)).max() <= 1 / 6 + 1e-6  # cells of 6 x 8 pixels
    assert np.abs(np.diff(masks, axis=2)).max() <= 1 / 8 + 1e-6
    np.testing.assert_array_equal(masks[:9], np.stack(list(random_masks(9, 4, 0.3, (21, 30), seed=5))))
    assert len({mask.tobytes() for mask in masks}) > 2900


def test_the_equations_in_loops() -> None:
    """E[score | pixel is seen] over the masks that were drawn."""
    model = tiny()
    masks = list(random_masks(70, 3, 0.4, (8, 8), seed=2))
    sums, seen = np.zeros((5, 8, 8)), np.zeros((8, 8))
    for mask in masks:
        scores = model.session().run((inputs(model) * mask).astype(np.float32), ["logits"])["logits"][:, 1]
        for image in range(5):
            sums[image] += scores[image] * mask
        seen += mask
    found = rise(model, PICTURES, target=1, seed=2, **FEW)  # type: ignore[arg-type]
    assert found.raw is not None and found.settings == {**FEW, "seed": 2}
    assert_close(found.raw, (sums / seen).astype(np.float32))
    assert_close(found.maps, found.raw - found.raw.min((1, 2), keepdims=True))


def test_a_score_that_no_mask_changes_shows_nothing() -> None:
    model = tiny()
    weights = next(tensor for tensor in model.proto.graph.initializer if tensor.name == "fc")
    weights.raw_data = bytes(len(weights.raw_data))
    constant = type(model)(model.proto, model.path)
    constant.spec = model.spec
    assert rise(constant, PICTURES, target=1, **FEW).maps.max() < 1e-6  # type: ignore[arg-type]


def test_batches_give_what_single_images_give_and_seeds_count() -> None:
    model = tiny()
    single = [rise(model, PICTURES[i : i + 1], target=1, **FEW).maps for i in range(len(PICTURES))]  # type: ignore[arg-type]
    found = rise(model, PICTURES, target=1, **FEW)  # type: ignore[arg-type]
    assert_close(found.maps, np.concatenate(single))
    assert np.abs(rise(model, PICTURES, target=1, seed=1, **FEW).maps - found.maps).max() > 1e-3  # type: ignore[arg-type]
    probable = rise(model, PICTURES, target=ClassProbability(1), **FEW)  # type: ignore[arg-type]
    assert probable.raw is not None and 0 < probable.raw.min() <= probable.raw.max() < 1


def test_several_targets_share_the_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    model, wanted = tiny(), [1, "conv:3", ClassProbability(0)]
    alone = [rise(model, PICTURES, target=one, **FEW) for one in wanted]  # type: ignore[arg-type]
    made: list[int] = []
    monkeypatch.setattr(
        "onnxray.engine.methods.rise.random_masks", lambda *options: made.append(1) or random_masks(*options)
    )
    found = rise(model, PICTURES, target=wanted, **FEW)  # type: ignore[arg-type]
    assert len(made) == 1 and found.raw is not None
    for number, expected in enumerate(alone):
        assert_close(found.raw[number :: len(wanted)], expected.raw)


def test_told_to_stop_it_keeps_the_masks_that_were_seen() -> None:
    def progress(done: float, total: int) -> None:
        if done >= 5 * 30 / 70 - 1e-9:  # five images together
            raise Stop

    model = tiny()
    found = rise(model, PICTURES, target=1, progress=progress, **FEW)  # type: ignore[arg-type]
    assert found.stopped == "stopped after 30 of 70 masks"
    assert_close(found.raw, rise(model, PICTURES, target=1, **(FEW | {"samples": 30})).raw)  # type: ignore[arg-type]


def test_points_at_the_cup(shared: Callable[[str], Path]) -> None:
    model = load_model(shared, "models/derived/squeezenet1.1.onnx")
    (heat,) = rise(model, shared("data/skimage_images/coffee.png"), target="espresso", samples=300).maps
    y, x = np.unravel_index(heat.argmax(), heat.shape)
    assert 0.3 <= x / heat.shape[1] <= 0.7 and 0.1 <= y / heat.shape[0] <= 0.6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 0}, "samples expects a whole number of at least 1, found 0"),
        ({"grid": 1}, "grid expects a whole number of at least 2, found 1"),
        ({"share": 1.0}, "share expects a part between 0 and 1, found 1.0"),
    ],
)
def test_bad_options(options: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        rise(tiny(), PICTURES, **options)  # type: ignore[arg-type]


def test_a_network_that_torch_cannot_run(tmp_path: Path) -> None:
    """Forward passes need neither torch nor its certificate: an operator that only onnxruntime knows will do."""
    text = """<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]>
    g (float[N, 1, 8, 8] image) => (float[N, 3] scores) <float[3, 64] w> {
        upper = com.microsoft.Trilu (image)
        flat = Flatten (upper)
        scores = Gemm <transB = 1> (flat, w)
    }"""
    model = Model(tiny_models.model(text), tmp_path / "g.onnx")
    with pytest.raises(InputError, match="no gradients through this network"):
        model.torch()
    found = rise(model, np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8), samples=20)
    assert found.certified and found.certificate.startswith("none needed")
