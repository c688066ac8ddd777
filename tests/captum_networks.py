"""Networks as Captum's DeepLift and LRP want them: a module of its own for each activation, none of them in place.

torchvision's own ResNets call one ReLU at several places, and its GoogLeNet and DenseNet call torch's function: the
first Captum refuses, in the others it silently takes the plain gradient.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import MethodType
from typing import Any

import numpy as np
import onnxray
import torch
import torchvision_networks as networks
from onnxray.engine.images import prepare
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def _vgg11_bn() -> nn.Module:
    """With one small dense layer in place of three large ones."""
    features = networks.torchvision_models().vgg11_bn().features
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))
        module.eval().requires_grad_(False)
        networks._randomise(module)
        networks._settle(module, networks.images("densenet121", 4))
    return module


def _resnet18() -> nn.Module:
    from captum.attr._utils.custom_modules import Addition_Module

    def forward(self: Any, x: Tensor) -> Tensor:
        made = self.bn2(self.conv2(self.middle(self.bn1(self.conv1(x)))))
        result: Tensor = self.end(self.addition(made, x if self.downsample is None else self.downsample(x)))
        return result

    module = copy.deepcopy(networks.network("resnet18"))
    for block in module.modules():
        if type(block).__name__ == "BasicBlock":
            del block.relu
            block.middle, block.end, block.addition = nn.ReLU(), nn.ReLU(), Addition_Module()
            block.forward = MethodType(forward, block)
    return module


def _googlenet() -> nn.Module:
    module = copy.deepcopy(networks.network("googlenet"))
    for layer in module.modules():
        if type(layer).__name__ == "BasicConv2d":
            layer.relu = nn.ReLU()
            layer.forward = MethodType(lambda self, x: self.relu(self.bn(self.conv(x))), layer)
    return module


def _densenet121() -> nn.Module:
    module = copy.deepcopy(networks.network("densenet121"))
    head = [nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), module.classifier]
    return nn.Sequential(module.features, *head)


_NETWORKS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "resnet18": (_resnet18, 64),
    "vgg11_bn": (_vgg11_bn, 64),
    "squeezenet1_1": (lambda: copy.deepcopy(networks.network("squeezenet1_1")), 64),
    "googlenet": (_googlenet, 64),
    "densenet121": (_densenet121, 64),
}


def network(name: str) -> nn.Module:
    """A network that is the caller's own, in evaluation mode."""
    networks.torchvision_models()  # which Captum imports
    module = _NETWORKS[name][0]()
    for layer in module.modules():
        if isinstance(layer, nn.ReLU):
            layer.inplace = False
    return module


class _Copy(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.clone()


def with_pools_apart(module: nn.Module) -> nn.Module:
    """Each MaxPool reads a tensor of its own: DeepLift puts a pool's multipliers in place of all gradients of what it
    reads, and too late for the activation that made that."""
    for parent in list(module.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, nn.MaxPool2d):
                setattr(parent, name, nn.Sequential(_Copy(), layer))
    return module


def pictures(name: str, count: int = 2) -> np.ndarray:  # [count, H, W, 3] uint8
    """Seeded pictures, of coarse and fine structure."""
    size, generator = _NETWORKS[name][1], np.random.default_rng(3)
    coarse = generator.normal(size=(count, size // 8, size // 8, 3)).repeat(8, 1).repeat(8, 2)
    levels = 128 + 45 * (coarse + generator.normal(size=(count, size, size, 3)) / 2)
    return levels.clip(0, 255).astype(np.uint8)


def inputs(model: onnxray.Model, images: np.ndarray) -> Tensor:  # [n, 3, H, W] float64
    """The pictures as the network takes them."""
    return torch.tensor(
        np.concatenate([prepare(picture, model.spec, (1, 3, *picture.shape[:2])) for picture in images])
    ).double()


def exported(module: nn.Module, name: str, folder: Path, *, any_batch: bool = True) -> onnxray.Model:
    """The module as a file, read again."""
    size = _NETWORKS[name][1]
    path = folder / f"{name}.onnx"
    # torch's older exporter changes the weights of some modules that it writes: DenseNet's.
    networks.export(copy.deepcopy(module), torch.zeros(1, 3, size, size), "legacy", path, any_batch)
    return onnxray.load(path, mean=(128.0,), scale=(1 / 64,), resize="stretch", channel_order="RGB")


def without_normalisation(module: nn.Module) -> nn.Module:
    """Each BatchNorm that stands behind a convolution taken into it, in place."""
    for parent in list(module.modules()):
        layers = list(parent.named_children())
        for (name, first), (behind, second) in pairwise(layers):
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                setattr(parent, name, fuse_conv_bn_eval(first, second))
                setattr(parent, behind, nn.Identity())
    return module
