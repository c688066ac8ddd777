"""Guided backpropagation against loops over a tiny network, against captum, and where captum cannot, a replica."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import gradient_peers
import numpy as np
import pytest
import tiny_models
import torch
import torchvision_networks as networks
from gradient_peers import NETWORKS, RELATIVE, SCALE, relative
from model_specs import load_model
from onnxray.engine.images import prepare
from onnxray.engine.methods.guided_backprop import guided_backprop
from onnxray.engine.methods.saliency import saliency
from onnxray.engine.model import Model
from onnxray.engine.targets import Channel
from onnxray.importers.errors import InputError
from tolerances import assert_close

Shared = Callable[[str], Path]

PICTURES = np.random.default_rng(0).integers(0, 256, (5, 8, 8), dtype=np.uint8)
TWO_RELUS = """
<ir_version: 8, opset_import: ["" : 17]>
two (float[N, 1, 8, 8] image) => (float[N, 3] scores)
<float[4, 1, 3, 3] conv_w, float[4, 4, 3, 3] deep_w, float[3, 4] fc>
{
    conv = Conv <pads = [1, 1, 1, 1]> (image, conv_w)
    first = Relu (conv)
    deep = Conv <pads = [1, 1, 1, 1]> (first, deep_w)
    maps = Relu (deep)
    mean = GlobalAveragePool (maps)
    flat = Flatten (mean)
    scores = Gemm <transB = 1> (flat, fc)
}
"""


def network(text: str = TWO_RELUS) -> Model:
    model = Model(tiny_models.model(text), Path("two.onnx"))
    model.spec = model.spec.override("test", mean=(90.0,), scale=(1 / 64,), channel_order="GREY", resize="stretch")
    return model


def transposed(signal: np.ndarray, kernel: np.ndarray) -> np.ndarray:  # [N, O, H, W], [O, I, 3, 3] -> [N, I, H, W]
    """A convolution with a border of one, run backwards, place by place."""
    images, _, height, width = signal.shape
    found = np.zeros((images, kernel.shape[1], height + 2, width + 2))
    for image, out, y, x in np.ndindex(signal.shape):
        found[image, :, y : y + 3, x : x + 3] += signal[image, out, y, x] * kernel[out]
    return found[:, :, 1:-1, 1:-1]


def replica(model: Model, target: int, active: bool) -> np.ndarray:  # [N, 1, 8, 8]
    """R_l = (f_l > 0) * (R_(l+1) > 0) * R_(l+1), figure 1 of the paper; without (f_l > 0) the deconvnet's."""
    batch = np.concatenate([prepare(picture, model.spec, (1, 1, 8, 8)) for picture in PICTURES])
    values = model.session().run(batch, ["first", "maps"])
    back = np.broadcast_to(model.graph.weight("fc")[target][:, None, None] / 64, values["maps"].shape)
    for layer, kernel in (("maps", "deep_w"), ("first", "conv_w")):
        back = np.where(((values[layer] > 0) | (not active)) & (back > 0), back, 0)
        back = transposed(back, model.graph.weight(kernel))
    return back


@pytest.mark.parametrize("target", [0, 1, 2])
def test_the_equation_in_loops(target: int) -> None:
    model = network()
    found = guided_backprop(model, PICTURES, target=target)
    expected = replica(model, target, active=True)
    assert found.raw is not None and found.signed and found.raw.any()
    assert_close(found.raw, expected.astype(np.float32))
    assert_close(found.maps, expected[:, 0].astype(np.float32) / 64)  # one grey level is 1/64 of the input
    assert np.abs(found.raw - replica(model, target, active=False)).max() > 1e-3


@pytest.mark.parametrize("name", ["squeezenet1_1", "vgg11_bn"])
def test_against_captum(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """On a copy whose ReLUs do not work in place, which captum's hooks cannot bear."""
    networks.torchvision_models()
    from captum.attr import GuidedBackprop

    peer = gradient_peers.peer(name, tmp_path_factory.getbasetemp())
    module = deepcopy(peer.module)
    for layer in module.modules():
        if isinstance(layer, torch.nn.ReLU):
            layer.inplace = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # captum's, that it sets hooks
        expected = GuidedBackprop(module).attribute(peer.inputs.requires_grad_(), target=3)
    assert relative(guided_backprop(peer.model, peer.pictures, target=3).raw, expected) <= RELATIVE


@pytest.mark.parametrize("name", NETWORKS)
def test_against_a_replica(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Captum hooks nn.ReLU modules alone: it misses functional ReLUs, ReLU6 and GELU, and fails where one module is
    used twice (ResNet)."""
    peer = gradient_peers.peer(name, tmp_path_factory.getbasetemp())
    expected = gradient_peers.rectified_gradient(peer.module, peer.inputs, 3, "guided")
    found = guided_backprop(peer.model, peer.pictures, target=3)
    assert relative(found.raw, expected) <= RELATIVE
    levels = expected * torch.tensor(SCALE)[:, None, None]
    assert relative(found.maps, levels.sum(1)) <= RELATIVE


def test_in_a_photo_it_draws_lines_where_plain_gradients_are_noise(shared: Shared) -> None:
    """Strong where the picture has edges, as the plain gradient is not (correlations of 0.3 and -0.05)."""
    model = load_model(shared, "models/derived/squeezenet1.1.onnx")
    photo = shared("data/skimage_images/coffee.png")
    ours, plain = guided_backprop(model, photo), saliency(model, photo)
    grey = ours.pictures[0].mean(-1)
    edges = np.hypot(*np.gradient(grey))
    guided = np.corrcoef(edges.ravel(), np.abs(ours.maps[0]).ravel())[0, 1]
    assert guided > 0.2 > 2 * np.corrcoef(edges.ravel(), plain.maps[0].ravel())[0, 1]


def test_batches_give_what_single_images_give() -> None:
    model = network()
    single = [guided_backprop(model, PICTURES[i : i + 1]).maps for i in range(len(PICTURES))]
    assert_close(guided_backprop(model, PICTURES).maps, np.concatenate(single))


SMOOTH = TWO_RELUS.replace("Relu (conv)", "Tanh (conv)").replace("Relu (deep)", "Sigmoid (deep)")
HALF = TWO_RELUS.replace("Relu (conv)", "Tanh (conv)")


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        (SMOOTH, 0, "guided_backprop expects a network with ReLU, GELU or the like before scores, found Conv, Tanh"),
        (SMOOTH, 0, "saliency and integrated_gradients fit every network"),
        (HALF, Channel("first", 0), "before first, found Conv, Tanh; saliency"),
        (TWO_RELUS, Channel("conv", 0), "before conv, found Conv; saliency"),
        (TWO_RELUS, 3, "the network has no class 3: expected 0 to 2"),
    ],
)
def test_networks_and_targets_that_do_not_fit(text: str, target: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        guided_backprop(network(text), PICTURES, target=target)  # type: ignore[arg-type]


def test_a_rectifier_written_out_as_a_chain_counts() -> None:
    chain = "gate = Sigmoid (deep)  maps = Mul (deep, gate)"  # SiLU
    text = TWO_RELUS.replace("Relu (conv)", "Tanh (conv)").replace("maps = Relu (deep)", chain)
    assert guided_backprop(network(text), PICTURES, target=0).maps.any()
