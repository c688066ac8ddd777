"""LayerCAM against its equations in loops, and against pytorch-grad-cam."""

from __future__ import annotations

import numpy as np
import pytest
from cam_peers import CLASS, LAYERS, PICTURES, peer, peer_map, tiny
from gradient_peers import RELATIVE, relative
from onnxray.engine.methods.layer_cam import layer_cam, place_by_place
from onnxray.importers.errors import InputError
from tolerances import assert_close


def test_the_equations_in_loops() -> None:
    generator = np.random.default_rng(1)
    features, gradients = generator.normal(size=(2, 2, 3, 4, 5))
    features, gradients = np.abs(features), gradients * 10
    expected = np.zeros((2, 4, 5))
    for image in range(2):
        for channel in range(3):
            for y, x in np.ndindex(4, 5):
                weight = max(gradients[image, channel, y, x], 0)
                expected[image, y, x] += weight * features[image, channel, y, x]
    expected[expected < 0] = 0
    assert expected.any()
    np.testing.assert_allclose(place_by_place(features, gradients), expected, rtol=1e-5)


@pytest.mark.parametrize("name", LAYERS)
def test_against_pytorch_grad_cam(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    peers = peer(name, tmp_path_factory.getbasetemp())
    expected = peer_map("LayerCAM", name, peers)
    assert relative(layer_cam(peers.model, peers.pictures, target=CLASS).raw, expected) <= RELATIVE


def test_batches_give_what_single_images_give() -> None:
    model = tiny()
    single = [layer_cam(model, PICTURES[i : i + 1], target=1).maps for i in range(len(PICTURES))]
    found = layer_cam(model, PICTURES, target=1)
    assert_close(found.maps, np.concatenate(single))
    assert found.layer == "maps" and found.maps.max() > 0


def test_a_layer_that_is_no_map() -> None:
    with pytest.raises(InputError, match=r"expected a feature map \[N, C, H, W\] .*, flat is \[1, 4\]"):
        layer_cam(tiny(), PICTURES, layer="flat")
