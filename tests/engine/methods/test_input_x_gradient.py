"""Input times gradient against loops over a tiny network, and against captum on real architectures."""

from __future__ import annotations

from pathlib import Path

import gradient_peers
import numpy as np
import pytest
import tiny_models
import torchvision_networks as networks
from gradient_peers import NETWORKS, RELATIVE, relative
from onnxray.engine.images import prepare
from onnxray.engine.methods.input_x_gradient import input_x_gradient
from onnxray.engine.model import Model
from onnxray.importers.errors import InputError
from tolerances import assert_close

PICTURES = np.random.default_rng(0).integers(0, 256, (5, 8, 8), dtype=np.uint8)


def network() -> Model:
    model = Model(tiny_models.model(), Path("tiny.onnx"))
    model.spec = model.spec.override("test", mean=(90.0,), scale=(1 / 64,), channel_order="GREY", resize="stretch")
    return model


def replica(model: Model, target: int) -> np.ndarray:  # [N, 1, 8, 8]
    """x * dS/dx by hand: back through the dense layer, the maxima, the ReLU and the convolution."""
    batch = np.concatenate([prepare(picture, model.spec, (1, 1, 8, 8)) for picture in PICTURES])
    found = model.session().run(batch, ["relu1"])["relu1"]
    fc, kernel = model.graph.weight("fc_w")[target].reshape(2, 4, 4), model.graph.weight("conv1_w")
    gradient = np.zeros((len(batch), 1, 10, 10))  # with a border of one
    for image, channel, y, x in np.ndindex(len(batch), 2, 4, 4):
        window = found[image, channel, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2]
        v, u = np.unravel_index(window.argmax(), (2, 2))
        if window[v, u] > 0:
            top, left = 2 * y + v, 2 * x + u
            gradient[image, :, top : top + 3, left : left + 3] += fc[channel, y, x] * kernel[channel]
    return batch * gradient[:, :, 1:9, 1:9]


@pytest.mark.parametrize("target", [0, 1, 2])
def test_the_equation_in_loops(target: int) -> None:
    model = network()
    found = input_x_gradient(model, PICTURES, target=target)
    expected = replica(model, target)
    assert found.raw is not None and found.signed and found.gap is None
    assert_close(found.raw, expected.astype(np.float32))
    assert_close(found.maps, expected.sum(1).astype(np.float32))
    assert (found.maps < 0).any() and (found.maps > 0).any()


@pytest.mark.parametrize("name", NETWORKS)
def test_against_captum(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    networks.torchvision_models()
    from captum.attr import InputXGradient

    peer = gradient_peers.peer(name, tmp_path_factory.getbasetemp())
    expected = InputXGradient(peer.module).attribute(peer.inputs.requires_grad_(), target=3)
    found = input_x_gradient(peer.model, peer.pictures, target=3)
    assert relative(found.raw, expected) <= RELATIVE
    assert relative(found.maps, expected.sum(1)) <= RELATIVE


def test_batches_give_what_single_images_give() -> None:
    model = network()
    single = [input_x_gradient(model, PICTURES[i : i + 1]).maps for i in range(len(PICTURES))]
    assert_close(input_x_gradient(model, PICTURES).maps, np.concatenate(single))


def test_of_no_such_class() -> None:
    with pytest.raises(InputError, match="the network has no class 3: expected 0 to 2"):
        input_x_gradient(network(), PICTURES, target=3)
