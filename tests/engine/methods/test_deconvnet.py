"""The deconvnet against loops over a tiny network, against captum, and where captum cannot, a replica."""

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
from onnxray.engine.methods.deconvnet import deconvnet
from onnxray.engine.model import Model
from onnxray.engine.targets import Channel, Layer, Neuron
from onnxray.importers.errors import InputError
from tolerances import assert_close

Shared = Callable[[str], Path]

PICTURES = np.random.default_rng(0).integers(0, 256, (5, 8, 8), dtype=np.uint8)
POOLED = """
<ir_version: 8, opset_import: ["" : 17]>
pooled (float[N, 1, 8, 8] image) => (float[N, 3] scores)
<float[4, 1, 3, 3] conv_w, float[4, 4, 3, 3] deep_w, float[3, 4] fc>
{
    conv = Conv <pads = [1, 1, 1, 1]> (image, conv_w)
    first = Relu (conv)
    pool = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (first)
    deep = Conv <pads = [1, 1, 1, 1]> (pool, deep_w)
    maps = Relu (deep)
    mean = GlobalAveragePool (maps)
    flat = Flatten (mean)
    scores = Gemm <transB = 1> (flat, fc)
}
"""


def network(text: str = POOLED) -> Model:
    model = Model(tiny_models.model(text), Path("pooled.onnx"))
    model.spec = model.spec.override("test", mean=(90.0,), scale=(1 / 64,), channel_order="GREY", resize="stretch")
    return model


def values(model: Model) -> dict[str, np.ndarray]:
    batch = np.concatenate([prepare(picture, model.spec, (1, 1, 8, 8)) for picture in PICTURES])
    return dict(model.session().run(batch, ["first", "maps"]))


def filtered(signal: np.ndarray, kernel: np.ndarray) -> np.ndarray:  # [O, H, W], [O, I, 3, 3] -> [I, H, W]
    """The layer's filters transposed, place by place."""
    _, height, width = signal.shape
    found = np.zeros((kernel.shape[1], height + 2, width + 2))
    for out, y, x in np.ndindex(signal.shape):
        found[:, y : y + 3, x : x + 3] += signal[out, y, x] * kernel[out]
    return found[:, 1:-1, 1:-1]


def unpooled(signal: np.ndarray, before: np.ndarray) -> np.ndarray:  # [C, 4, 4], [C, 8, 8] -> [C, 8, 8]
    """Each value where the maximum was: the switches."""
    found = np.zeros(before.shape)
    for channel, y, x in np.ndindex(signal.shape):
        window = before[channel, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2]
        v, u = np.unravel_index(window.argmax(), (2, 2))
        found[channel, 2 * y + v, 2 * x + u] = signal[channel, y, x]
    return found


def backwards(model: Model, first: np.ndarray, signal: np.ndarray) -> np.ndarray:  # [1, 8, 8]
    """From a signal at `maps`: rectify, filter, unpool, rectify, filter (section 2.1 of the paper)."""
    below = filtered(np.maximum(signal, 0), model.graph.weight("deep_w"))
    return filtered(np.maximum(unpooled(below, first), 0), model.graph.weight("conv_w"))


def test_one_unit_in_loops_all_others_zeroed() -> None:
    model = network()
    before = values(model)
    found = deconvnet(model, PICTURES, target=Channel("maps", 2), unit="strongest")
    assert found.raw is not None and found.signed
    for image, (first, maps) in enumerate(zip(before["first"], before["maps"], strict=True)):
        alone = np.zeros(maps.shape)
        y, x = np.unravel_index(maps[2].argmax(), maps[2].shape)
        alone[2, y, x] = 1
        assert_close(found.raw[image], backwards(model, first, alone).astype(np.float32))
        assert_close(found.scores[image], maps[2].max())
        one = deconvnet(model, PICTURES[image], target=Neuron("maps", 2, int(y), int(x)))
        assert_close(found.maps[image], one.maps[0])
    assert found.targets == ("maps, channel 2, its strongest place",) * 5
    assert found.settings == {"unit": "strongest"}


@pytest.mark.parametrize("target", [0, 1, 2])
def test_a_class_in_loops(target: int) -> None:
    model = network()
    before = values(model)
    found = deconvnet(model, PICTURES, target=target)
    signal = np.broadcast_to(model.graph.weight("fc")[target][:, None, None] / 16, (4, 4, 4))
    expected = np.stack([backwards(model, first, signal) for first in before["first"]]).astype(np.float32)
    assert found.raw is not None and found.raw.any()
    assert_close(found.raw, expected)
    assert_close(found.maps, expected[:, 0] / 64)  # one grey level is 1/64 of the input


@pytest.mark.parametrize("name", ["squeezenet1_1", "vgg11_bn"])
def test_against_captum(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """On a copy whose ReLUs do not work in place, which captum's hooks cannot bear."""
    networks.torchvision_models()
    from captum.attr import Deconvolution

    peer = gradient_peers.peer(name, tmp_path_factory.getbasetemp())
    module = deepcopy(peer.module)
    for layer in module.modules():
        if isinstance(layer, torch.nn.ReLU):
            layer.inplace = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # captum's, that it sets hooks
        expected = Deconvolution(module).attribute(peer.inputs.requires_grad_(), target=3)
    assert relative(deconvnet(peer.model, peer.pictures, target=3).raw, expected) <= RELATIVE


@pytest.mark.parametrize("name", NETWORKS)
def test_against_a_replica(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Captum hooks nn.ReLU modules alone: it misses functional ReLUs, ReLU6 and GELU, and fails where one module is
    used twice (ResNet)."""
    peer = gradient_peers.peer(name, tmp_path_factory.getbasetemp())
    expected = gradient_peers.rectified_gradient(peer.module, peer.inputs, 3, "deconvnet")
    found = deconvnet(peer.model, peer.pictures, target=3)
    assert relative(found.raw, expected) <= RELATIVE
    levels = expected * torch.tensor(SCALE)[:, None, None]
    assert relative(found.maps, levels.sum(1)) <= RELATIVE


def test_the_strongest_place_lights_up_only_what_it_sees(shared: Shared) -> None:
    """Nothing outside the unit's receptive field, of at most 63 pixels at this layer, and that is not empty."""
    model = load_model(shared, "models/derived/squeezenet1.1.onnx")
    target = Channel("/features/features.4/expand3x3/Conv", 5)
    photo = shared("data/skimage_images/chelsea.png")
    (found,) = deconvnet(model, photo, target=target, unit="strongest").maps
    (everywhere,) = deconvnet(model, photo, target=target).maps
    rows, columns = np.nonzero(found)
    assert 0 < np.ptp(rows) < 63 and 0 < np.ptp(columns) < 63
    rows, columns = np.nonzero(everywhere)
    assert np.ptp(rows) > 200 and np.ptp(columns) > 200


def test_without_switches_every_image_has_the_same_map_which_is_said() -> None:
    assert not any("switches" in note for note in deconvnet(network(), PICTURES, target=0).notes)
    averaged = deconvnet(network(POOLED.replace("MaxPool", "AveragePool")), PICTURES, target=0)
    assert any("nothing before scores takes maxima" in note for note in averaged.notes) and averaged.maps.any()
    assert_close(averaged.maps, np.repeat(averaged.maps[:1], len(PICTURES), 0))


def test_batches_give_what_single_images_give() -> None:
    model, target = network(), [None, Channel("deep", 1)]
    single = [deconvnet(model, PICTURES[i : i + 1], target=target).maps for i in range(len(PICTURES))]
    assert_close(deconvnet(model, PICTURES, target=target).maps, np.concatenate(single))


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"unit": "one"}, "unit expects all or strongest, found 'one'"),
        ({"unit": "strongest"}, "unit 'strongest' expects a channel as target, LAYER:17, say; found the first class"),
        ({"unit": "strongest", "target": Layer("maps")}, "LAYER:17, say; found maps, mean square"),
        ({"target": Channel("conv", 0)}, "deconvnet expects a network with ReLU, GELU or the like before conv, found"),
        ({"target": 3}, "the network has no class 3: expected 0 to 2"),
    ],
)
def test_errors(keywords: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        deconvnet(network(), PICTURES, **keywords)  # type: ignore[arg-type]
