"""Completeness: gaps by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from explained_networks import LINEAR, PICTURES, inputs, network, values
from onnxray.engine.methods.input_x_gradient import input_x_gradient
from onnxray.engine.methods.integrated_gradients import integrated_gradients
from onnxray.engine.methods.saliency import saliency
from onnxray.engine.metrics.completeness import completeness
from onnxray.importers.errors import InputError


def test_a_method_with_a_gap_of_its_own() -> None:
    model = network()
    found = integrated_gradients(model, PICTURES, steps=3, target=1)
    result = completeness(model, found, PICTURES, target=1)
    assert found.raw is not None
    change = (values(model, inputs(model), "logits") - values(model, inputs(model, PICTURES * 0), "logits"))[:, 1]
    gap = found.raw.sum((1, 2, 3)) - change
    np.testing.assert_allclose(result.change, change, rtol=1e-4)
    np.testing.assert_allclose(result.gap, gap, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(result.share, np.abs(gap / change), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("baseline", ["black", "mean", 200])
def test_against_a_baseline(baseline: str | float) -> None:
    from onnxray.engine.methods.baselines import baseline_inputs

    model = network()
    found = input_x_gradient(model, PICTURES)
    result = completeness(model, found, PICTURES, baseline=baseline)
    kinds = [int(label.split()[-1]) for label in found.targets]
    batch = inputs(model)
    empty = baseline_inputs(model, batch, baseline, 0)
    change = (values(model, batch, "logits") - values(model, empty, "logits"))[range(3), kinds]
    assert found.raw is not None
    np.testing.assert_allclose(result.gap, found.raw.sum((1, 2, 3), dtype=float) - change, rtol=1e-4, atol=1e-4)


def test_a_linear_network_has_no_gap() -> None:
    model = network(LINEAR)
    found = integrated_gradients(model, PICTURES)
    for baseline in (None, "black"):
        assert (completeness(model, found, PICTURES, baseline=baseline).share < 1e-5).all()
    assert (completeness(model, replace(found, raw=None), PICTURES, baseline="black").share < 1e-5).all()


def test_a_score_that_stays_has_no_share() -> None:
    model = network()
    black = np.zeros_like(PICTURES)
    assert np.isnan(completeness(model, input_x_gradient(model, black), black, baseline="black").share).all()


def test_bad_input() -> None:
    model = network()
    with pytest.raises(InputError, match="saliency has no baseline of its own, to which it would add up: name one"):
        completeness(model, saliency(model, PICTURES), PICTURES)
    with pytest.raises(InputError, match="expected values for and against, which can add up; saliency's have no sign"):
        completeness(model, saliency(model, PICTURES), PICTURES, baseline="black")
    with pytest.raises(InputError, match="baseline expects"):
        completeness(model, input_x_gradient(model, PICTURES), PICTURES, baseline="white")
