"""Recipro-CAM against the network run by torch with all places but one set to 0, and against CAM."""

from __future__ import annotations

import numpy as np
import onnxray
import pytest
import torch
import torchvision_networks as networks
from cam_peers import LAYERS, PICTURES, POOLED, tiny
from gradient_peers import RELATIVE, pictures, relative
from onnxray.engine.images import prepare
from onnxray.engine.methods.cam import cam
from onnxray.engine.methods.recipro_cam import recipro_cam
from onnxray.engine.targets import Channel
from onnxray.importers.errors import InputError
from tolerances import assert_close


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "vit_s_16"])
def test_against_torch_with_a_hook_that_masks(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """One place after the other; a class token stays, and what goes round the layer (of ViT the residual)."""
    file = networks.exported(name, "legacy", tmp_path_factory.getbasetemp(), any_batch=True)
    model = onnxray.load(file, mean=(110.0,), scale=(1 / 55,), resize="stretch", channel_order="RGB")
    tokens = name == "vit_s_16"
    module, images = networks.network(name), pictures(1 if tokens else 2, networks.ARCHITECTURES[name].size)
    batch = torch.tensor(np.concatenate([prepare(p, model.spec, (1, 3, *p.shape[:2])) for p in images]))
    found = recipro_cam(model, images, target=3)
    assert found.raw is not None
    expected = np.zeros(found.raw.shape)
    for y, x in np.ndindex(expected.shape[1:]):
        mask = torch.zeros(expected.shape[1:])
        mask[y, x] = 1
        if tokens:
            mask = torch.cat([torch.ones(1), mask.flatten()])[:, None]
        layer = LAYERS[name](module)
        with torch.no_grad(), layer.register_forward_hook(lambda _, given, made, mask=mask: made * mask):
            expected[:, y, x] = module(batch)[:, 3].numpy()
    assert np.ptp(expected) > 0
    assert relative(found.raw, expected) <= RELATIVE
    assert relative(found.raw - found.raw.mean(), expected - expected.mean()) <= 10 * RELATIVE
    assert found.maps.min() >= 0


def test_behind_global_pooling_it_is_cam() -> None:
    """A place alone has its share of the score, and the bias."""
    model = tiny()
    found, shares = recipro_cam(model, PICTURES, target=1), cam(model, PICTURES, target=1)
    assert found.raw is not None and shares.raw is not None
    assert_close(found.raw, shares.raw + model.graph.weight("bias")[1])
    assert_close(found.scores, shares.scores)


def test_channels_last() -> None:
    mean = "last = Transpose <perm = [0, 2, 3, 1]> (maps) mean = ReduceMean <axes = [1, 2], keepdims = 0> (last)"
    text = POOLED.replace("mean = GlobalAveragePool (maps)", mean).replace("Flatten (mean)", "Identity (mean)")
    found = recipro_cam(tiny(text), PICTURES, target=1, layer="last")
    assert_close(found.maps, recipro_cam(tiny(), PICTURES, target=1).maps)


@pytest.mark.parametrize("size", ["1", "2"])
def test_networks_of_fixed_batch_size(size: str) -> None:
    fixed, free = tiny(POOLED.replace("[N,", f"[{size},")), tiny()
    for layer in (None, "first"):
        expected = recipro_cam(free, PICTURES, target=0, layer=layer)
        assert_close(recipro_cam(fixed, PICTURES, target=0, layer=layer).maps, expected.maps)


def test_batches_give_what_single_images_give() -> None:
    model = tiny()
    single = [recipro_cam(model, PICTURES[i : i + 1]).maps for i in range(len(PICTURES))]
    assert_close(recipro_cam(model, PICTURES).maps, np.concatenate(single))


def test_bad_input() -> None:
    with pytest.raises(InputError, match=r"expected a feature map \[N, C, H, W\] .*, flat is \[1, 4\]"):
        recipro_cam(tiny(), PICTURES, layer="flat")
    with pytest.raises(InputError, match="first does not depend on maps: choose a layer before first"):
        recipro_cam(tiny(), PICTURES, target=Channel("first", 1), layer="maps")
