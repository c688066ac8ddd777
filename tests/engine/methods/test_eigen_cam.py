"""Eigen-CAM against power iteration in loops, and against pytorch-grad-cam on features without a mean.

pytorch-grad-cam takes every channel's mean over the places away first, which the paper does not: on features that have
none the two are one, but for the sign, which pytorch-grad-cam leaves to chance.
"""

from __future__ import annotations

import numpy as np
import pytest
from cam_peers import PICTURES, tiny, values
from gradient_peers import relative
from onnxray.engine.methods.eigen_cam import eigen_cam, first_component
from onnxray.importers.errors import InputError
from tolerances import assert_close


def by_power_iteration(planes: np.ndarray) -> np.ndarray:  # [C, h, w] -> [h, w]
    """Along the vector that the products of all places' features with each other draw everything to."""
    channels = len(planes)
    products = np.zeros((channels, channels))
    for y, x in np.ndindex(planes.shape[1:]):
        products += np.outer(planes[:, y, x], planes[:, y, x])
    vector = np.ones(channels)
    for _ in range(500):
        vector = products @ vector
        vector /= np.linalg.norm(vector)
    found = np.array([[planes[:, y, x] @ vector for x in range(planes.shape[2])] for y in range(planes.shape[1])])
    return found if found.sum() >= 0 else -found


def test_the_first_component_in_loops() -> None:
    for planes in np.random.default_rng(0).random((3, 6, 4, 5)) - 0.2:
        np.testing.assert_allclose(first_component(planes), by_power_iteration(planes), rtol=1e-7, atol=1e-9)


def test_of_a_network() -> None:
    model = tiny()
    expected = np.stack([by_power_iteration(planes) for planes in values(model, "maps")[0].astype(np.float64)])
    found = eigen_cam(model, PICTURES)
    assert found.raw is not None and found.layer == "maps"
    assert_close(found.raw, expected.astype(np.float32))
    assert (found.raw >= -1e-5).all() and found.maps.max() > 0  # of features after a ReLU
    assert any("the same for every target" in note for note in found.notes)
    np.testing.assert_array_equal(found.maps, eigen_cam(model, PICTURES, target=1).maps)


def test_against_pytorch_grad_cam() -> None:
    import torchvision_networks as networks

    networks.torchvision_models()
    from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection

    features = np.random.default_rng(2).normal(size=(4, 20, 7, 7))
    features -= features.mean((2, 3), keepdims=True)
    for ours, theirs in zip(map(first_component, features), get_2d_projection(features), strict=True):
        assert min(relative(ours, theirs), relative(-ours, theirs)) <= 1e-4


def test_batches_give_what_single_images_give() -> None:
    model = tiny()
    single = [eigen_cam(model, PICTURES[i : i + 1]).maps for i in range(len(PICTURES))]
    assert_close(eigen_cam(model, PICTURES).maps, np.concatenate(single))


def test_a_layer_that_is_no_map() -> None:
    with pytest.raises(InputError, match=r"expected a feature map \[N, C, H, W\] .*, flat is \[1, 4\]"):
        eigen_cam(tiny(), PICTURES, layer="flat")
