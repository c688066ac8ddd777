"""The sanity check: every line is what its metric says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from explained_networks import LINEAR, PICTURES, edge_detector, network
from model_specs import load_model
from onnxray.engine.methods.grad_cam import grad_cam
from onnxray.engine.methods.integrated_gradients import integrated_gradients
from onnxray.engine.methods.saliency import saliency
from onnxray.engine.metrics.check import sanity_check
from onnxray.engine.metrics.insertion_deletion import insertion_deletion
from onnxray.engine.metrics.max_sensitivity import max_sensitivity
from onnxray.engine.metrics.randomisation import randomisation
from onnxray.importers.errors import InputError

Shared = Callable[[str], Path]

FORGOTTEN = "rank correlation, random from the output to"


def test_the_lines_are_the_metrics_own() -> None:
    model, seen = network(), []
    found = saliency(model, PICTURES, target=[0, 2])
    progress = lambda *counts: seen.append(counts)  # noqa: E731
    result = sanity_check(model, found, PICTURES, saliency, target=[0, 2], steps=7, samples=3, progress=progress)
    lines = {check.name: check for check in result.checks}
    curves = insertion_deletion(model, found, PICTURES, target=[0, 2], steps=7)
    assert lines["deletion AUC"].value == pytest.approx(curves.deletion_auc.mean())
    assert lines["insertion AUC"].value == pytest.approx(curves.insertion_auc.mean())
    changed = max_sensitivity(model, PICTURES, saliency, target=[0, 2], samples=3).sensitivity
    assert lines["max-sensitivity"].value == pytest.approx(changed.mean())
    layers = randomisation(model, PICTURES, saliency, target=[0, 2]).layers
    for name, layer in zip(
        (f"{FORGOTTEN} logits", f"{FORGOTTEN} conv2", "rank correlation, every layer random"), layers, strict=True
    ):
        assert layer.cascading is not None
        assert lines[name].value == pytest.approx(layer.cascading.largest.mean())
    assert len(lines) == 6 and seen == [(done, 6) for done in range(1, 7)]


def test_completeness_where_a_method_promises_it() -> None:
    model = network(LINEAR)
    found = integrated_gradients(model, PICTURES)
    first = sanity_check(model, found, PICTURES, integrated_gradients, steps=3, samples=1).checks[0]
    assert first.name == "completeness gap" and first.value is not None and first.value < 1e-5


def test_a_method_that_ignores_the_network_is_caught() -> None:
    model = network()
    found = edge_detector(model, PICTURES)
    checks = sanity_check(model, found, PICTURES, edge_detector, steps=3, samples=1).checks
    assert [check.value for check in checks[-3:]] == pytest.approx([1, 1, 1])
    assert [check.reference for check in checks[-3:]] == [1, 1, 1]


def test_flat_maps_have_no_correlation(tmp_path: Path) -> None:
    """Black images: the map of the true network is flat already."""
    model, black = network(LINEAR), np.zeros_like(PICTURES)

    def nothing(*arguments: object, **options: object) -> object:
        found = saliency(*arguments, **options)  # type: ignore[arg-type]
        found.maps[:] = 0
        return found

    result = sanity_check(model, nothing(model, black), black, nothing, steps=2, samples=1)  # type: ignore[arg-type]
    assert [check.value for check in result.checks[-1:]] == [None]
    result.save(tmp_path / "check")
    assert json.loads((tmp_path / "check.json").read_text())["checks"][-1]["value"] is None


def test_grad_cam_of_a_photo_passes(shared: Shared) -> None:
    model = load_model(shared, "models/derived/squeezenet1.1.onnx")
    photo = shared("data/skimage_images/coffee.png")
    found = grad_cam(model, photo)
    checks = {check.name: check for check in sanity_check(model, found, photo, grad_cam, steps=20, samples=4).checks}
    deletion, insertion = checks["deletion AUC"], checks["insertion AUC"]
    assert deletion.value < deletion.reference / 2 and insertion.value > 2 * insertion.reference  # type: ignore[operator]
    assert checks["max-sensitivity"].value < 0.5  # type: ignore[operator]
    assert checks["rank correlation, every layer random"].value < 0.5  # type: ignore[operator]


@pytest.mark.parametrize("options", [{"steps": 0}, {"samples": 0}])
def test_bad_input(options: dict[str, int]) -> None:
    model = network()
    with pytest.raises(InputError, match="expects a whole number of at least 1"):
        sanity_check(model, saliency(model, PICTURES), PICTURES, saliency, **options)
