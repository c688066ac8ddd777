"""Guided Grad-CAM against Captum's, and against its two factors."""

from __future__ import annotations

import warnings
from copy import deepcopy

import numpy as np
import pytest
import torch
import torchvision_networks as networks
from cam_peers import CLASS, LAYERS, PICTURES, peer, tiny
from gradient_peers import RELATIVE, SCALE, rectified_gradient, relative
from onnxray.engine.methods.grad_cam import grad_cam
from onnxray.engine.methods.guided_backprop import guided_backprop
from onnxray.engine.methods.guided_grad_cam import guided_grad_cam
from onnxray.importers.errors import InputError
from tolerances import assert_close


def test_it_is_the_product() -> None:
    model = tiny()
    found = guided_grad_cam(model, PICTURES, target=1)
    guided, coarse = guided_backprop(model, PICTURES, target=1), grad_cam(model, PICTURES, target=1)
    assert found.raw is not None and guided.raw is not None and found.raw.any()
    assert_close(found.raw, guided.raw * coarse.maps[:, None])
    assert_close(found.maps, guided.maps * coarse.maps)
    assert found.layer == coarse.layer and found.signed


@pytest.mark.parametrize("name", ["squeezenet1_1"])
def test_against_captum(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Captum's guided backpropagation misses functional ReLUs and ReLU6, and fails where one module is used twice or
    works in place: of the networks here only SqueezeNet, copied, is left to it."""
    networks.torchvision_models()
    from captum.attr import GuidedGradCam

    peers = peer(name, tmp_path_factory.getbasetemp())
    module = deepcopy(peers.module)
    for layer in module.modules():
        if isinstance(layer, torch.nn.ReLU):
            layer.inplace = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # captum's, that it sets hooks
        method = GuidedGradCam(module, LAYERS[name](module))
        expected = method.attribute(peers.inputs.requires_grad_(), CLASS, interpolate_mode="bilinear")
    assert relative(guided_grad_cam(peers.model, peers.pictures, target=CLASS).raw, expected) <= RELATIVE


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "mobilenet_v2", "vit_s_16"])
def test_against_a_replica(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Grad-CAM by torch's own autograd at a hooked module, times guided gradients at every kind of activation."""
    peers = peer(name, tmp_path_factory.getbasetemp())
    found = guided_grad_cam(peers.model, peers.pictures, target=CLASS)
    kept: list[torch.Tensor] = []
    hook = LAYERS[name](peers.module).register_forward_hook(lambda module, given, made: kept.append(made))
    score = peers.module(peers.inputs.requires_grad_())[:, CLASS].sum()
    hook.remove()
    (gradient,) = torch.autograd.grad(score, kept[0])
    features = kept[0]
    if name == "vit_s_16":
        features, gradient = (value[:, 1:].unflatten(1, (6, 6)).movedim(-1, 1) for value in (features, gradient))
    coarse = (gradient.mean((2, 3), keepdim=True) * features).sum(1, keepdim=True).relu()
    large = torch.nn.functional.interpolate(coarse, size=peers.inputs.shape[2:], mode="bilinear")
    expected = large * rectified_gradient(peers.module, peers.inputs, CLASS, "guided")
    assert relative(found.raw, expected) <= RELATIVE
    assert relative(found.maps, (expected * torch.tensor(SCALE)[:, None, None]).sum(1)) <= RELATIVE


def test_batches_give_what_single_images_give() -> None:
    model = tiny()
    single = [guided_grad_cam(model, PICTURES[i : i + 1]).maps for i in range(len(PICTURES))]
    assert_close(guided_grad_cam(model, PICTURES).maps, np.concatenate(single))


def test_bad_input() -> None:
    with pytest.raises(InputError, match=r"expected a feature map \[N, C, H, W\] .*, flat is \[1, 4\]"):
        guided_grad_cam(tiny(), PICTURES, layer="flat")
    smooth = tiny().proto
    for node in smooth.graph.node:
        node.op_type = node.op_type.replace("Relu", "Tanh")
    model = type(tiny())(smooth, tiny().path)
    model.spec = tiny().spec
    with pytest.raises(InputError, match="guided_grad_cam expects a network with ReLU, GELU or the like"):
        guided_grad_cam(model, PICTURES)
