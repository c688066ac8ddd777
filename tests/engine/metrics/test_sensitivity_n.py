"""Sensitivity-n against its definition in loops; on a linear network contributions are perfect."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from explained_networks import LINEAR, PICTURES, inputs, network, values
from onnxray.engine.methods.input_x_gradient import input_x_gradient
from onnxray.engine.methods.integrated_gradients import integrated_gradients
from onnxray.engine.metrics.correlation import pearson, ranks, spearman
from onnxray.engine.metrics.sensitivity_n import sensitivity_n
from onnxray.importers.errors import InputError


def test_the_definition_in_loops() -> None:
    model = network()
    found = input_x_gradient(model, PICTURES)
    result = sensitivity_n(model, found, PICTURES, sizes=[1, 4, 30], samples=20, baseline="blur", seed=3)
    from onnxray.engine.methods.baselines import baseline_inputs

    batch = inputs(model)
    blurred = baseline_inputs(model, batch, "blur", 3)
    for row, image in enumerate(batch):
        logits = values(model, image[None], "logits")[0]
        kind = logits.argmax()
        generator = np.random.default_rng(3)
        for column, size in enumerate((1, 4, 30)):
            sums, drops = [], []
            for _ in range(20):
                subset = generator.choice(6 * 7, size, replace=False, shuffle=False)
                changed, total = image.copy(), 0.0
                for place in subset:
                    y, x = divmod(int(place), 7)
                    changed[:, y, x] = blurred[row, :, y, x]
                    total += float(found.maps[row, y, x])
                sums.append(total)
                drops.append(logits[kind] - values(model, changed[None], "logits")[0, kind])
            expected = np.corrcoef(sums, drops)[0, 1]
            np.testing.assert_allclose(result.correlations[row, column], expected, rtol=1e-4, atol=1e-5)


def test_contributions_of_a_linear_network_are_perfect_and_noise_is_not() -> None:
    model = network(LINEAR)
    found = integrated_gradients(model, PICTURES, target=[0, 2], baseline="black")
    result = sensitivity_n(model, found, PICTURES, target=[0, 2], samples=30)
    assert result.correlations.shape == (6, 6)
    np.testing.assert_allclose(result.correlations, 1, atol=1e-4)
    noise = replace(found, maps=np.random.default_rng(0).random(found.maps.shape, np.float32))
    assert np.abs(sensitivity_n(model, noise, PICTURES, target=[0, 2], samples=30).correlations.mean()) < 0.3


def test_what_does_not_vary_has_no_correlation() -> None:
    model = network()
    found = input_x_gradient(model, PICTURES)
    flat = sensitivity_n(model, replace(found, maps=np.zeros_like(found.maps)), PICTURES, sizes=[2], samples=5)
    assert np.isnan(flat.correlations).all()


def test_correlations_against_scipy() -> None:
    from scipy import stats

    generator = np.random.default_rng(0)
    one, other = generator.integers(0, 9, (2, 8, 8)).astype(float)
    np.testing.assert_allclose(ranks(one), stats.rankdata(one.ravel()))
    np.testing.assert_allclose(spearman(one, other), stats.spearmanr(one.ravel(), other.ravel()).statistic)
    np.testing.assert_allclose(pearson(one.ravel(), other.ravel()), stats.pearsonr(one.ravel(), other.ravel())[0])
    assert np.isnan(spearman(one, np.ones(64)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sizes": [0]}, r"sizes expects numbers of pixels from 1 to 42, found \[0\]"),
        ({"sizes": [43]}, r"found \[43\]"),
        ({"sizes": []}, r"found \[\]"),
        ({"samples": 1}, "samples expects a whole number of at least 2"),
    ],
)
def test_bad_input(options: dict[str, object], message: str) -> None:
    model = network()
    with pytest.raises(InputError, match=message):
        sensitivity_n(model, input_x_gradient(model, PICTURES), PICTURES, **options)  # type: ignore[arg-type]
