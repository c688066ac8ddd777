"""Peers of the gradient methods: real architectures as a file and as the torch module it was exported from, both in
float64, because in float32 rounding moves values across the kinks of ReLU."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import onnxray
import torch
import torchvision_networks as networks
from onnxray.engine.images import prepare
from onnxray.engine.model import Model
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from onnxray.engine.gradient.certificate import BridgeCertificate

MEAN, SCALE = (120.0, 110.0, 100.0), (1 / 60, 1 / 55, 1 / 50)
RELATIVE = 1e-4  # the largest difference of two maps, as a share of the largest value
_OWN = {"vgg11_bn": lambda: _vgg11_bn(), "vit": lambda: _vit()}
_OWN_SIDE = 64  # pixels
NETWORKS = ("resnet18", "squeezenet1_1", "googlenet", "densenet121", "mobilenet_v2", *_OWN)


@dataclass(frozen=True)
class Peer:
    """The same network twice, and pictures for both."""

    model: Model
    module: nn.Module
    pictures: np.ndarray  # [n, side, side, 3] uint8

    @property
    def inputs(self) -> Tensor:  # [n, 3, side, side] float64
        """The pictures as both take them."""
        return self.prepared(self.pictures)

    def of_float32(self, x: Tensor) -> Tensor:
        """The module of inputs rounded as those of the file are, which a step on the way from one image to another
        needs."""
        return self.module(x.float().double())  # type: ignore[no-any-return]

    def prepared(self, pictures: np.ndarray) -> Tensor:
        """Any pictures as both take them."""
        shape = (1, 3, *self.pictures.shape[1:3])
        return torch.tensor(np.concatenate([prepare(picture, self.model.spec, shape) for picture in pictures])).double()


def peer(name: str, folder: Path, count: int = 2) -> Peer:
    """One of NETWORKS, its file kept in `folder`, with `count` pictures."""
    module = _OWN[name]() if name in _OWN else networks.network(name)
    side = _OWN_SIDE if name in _OWN else networks.ARCHITECTURES[name].size
    file = folder / f"{name}.unfolded.onnx"
    if not file.exists():
        _export(module, side, file)
    model = onnxray.load(file, mean=MEAN, scale=SCALE, channel_order="RGB", size=(side, side))
    return Peer(in_double(model), deepcopy(module).double(), pictures(count, side))


def _export(module: nn.Module, side: int, file: Path) -> None:
    """As `networks.export` does, but batch normalisations stay: folded into convolutions, their rounding in float32
    moves values across kinks, in float64 too."""
    image, axes = torch.zeros(1, 3, side, side), {"image": {0: "batch"}}
    if not any(isinstance(layer, nn.BatchNorm2d) for layer in module.modules()):
        networks.export(module, image, "legacy", file, any_batch=True)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as `networks.export`
        keep = torch.onnx.TrainingMode.PRESERVE
        torch.onnx.export(
            module, (image,), file, input_names=["image"], dynamic_axes=axes, training=keep, dynamo=False, verbose=False
        )


def pictures(count: int, side: int, seed: int = 1) -> np.ndarray:  # [count, side, side, 3] uint8
    """Coarse and fine structure."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(count, 3, side // 8, side // 8, generator=generator)
    fine = torch.randn(count, 3, side, side, generator=generator)
    values = F.interpolate(coarse, size=(side, side), mode="bilinear") + fine / 2
    return np.clip(values.permute(0, 2, 3, 1).numpy() * 55 + 110, 0, 255).astype(np.uint8)


def in_double(model: Model) -> Model:
    """The model, whose gradients are from now on computed in float64, and uncertified: that takes seconds, and has
    tests of its own."""
    model._torch[None, None] = model.torch(precision=torch.float64)
    model._certificate = cast("BridgeCertificate", SimpleNamespace(passed=True, summary=lambda: "not made"))
    return model


def relative(found: np.ndarray | None, expected: Tensor | np.ndarray) -> float:
    """The largest difference, as a share of the largest expected magnitude."""
    assert found is not None
    values = expected.detach().numpy() if isinstance(expected, Tensor) else expected
    assert found.shape == values.shape and np.abs(values).max() > 0
    return float(np.abs(found - values).max() / np.abs(values).max())


def _vgg11_bn() -> nn.Module:
    """VGG-11 with batch normalisation; its dense layers of 120 million weights are one small one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        features = networks.torchvision_models().vgg11_bn(num_classes=1).features
        module = nn.Sequential(features, nn.Flatten(), nn.Linear(512 * (_OWN_SIDE // 32) ** 2, 10))
        for layer in module.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.momentum = 1.0
        module.train()(torch.randn(8, 3, _OWN_SIDE, _OWN_SIDE))
    return module.eval().requires_grad_(False)


def _vit() -> nn.Module:
    """torchvision's vision transformer, small."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = networks.torchvision_models().VisionTransformer(
            image_size=_OWN_SIDE, patch_size=8, num_layers=3, num_heads=4, hidden_dim=64, mlp_dim=128, num_classes=10
        )
        nn.init.normal_(module.heads.head.weight)  # which are 0 at first
    return module.eval().requires_grad_(False)


# --- other gradients at ReLUs: captum hooks modules, and misses functions and modules that are used twice ---

_RECTIFYING = {
    *(F.relu, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_),
    *(F.relu6, F.hardtanh, F.hardtanh_, F.gelu, F.silu),
}


class _Guided(torch.autograd.Function):
    """f'(x) * max(g, 0)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.function = function
        ctx.save_for_backward(x)
        return function(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (x,) = ctx.saved_tensors
        with torch.enable_grad():
            again = x.detach().requires_grad_()
            (slope,) = torch.autograd.grad(ctx.function(again).sum(), again)
        return slope * torch.relu(gradients[0]), None


class _Deconvnet(torch.autograd.Function):
    """max(g, 0)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        return function(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return torch.relu(gradients[0]), None


class Rectified(TorchFunctionMode):
    """Within it every rectifier, module or function, has the gradient of the rule "guided" or "deconvnet"."""

    def __init__(self, rule: str) -> None:
        super().__init__()
        self._function = {"guided": _Guided, "deconvnet": _Deconvnet}[rule]
        self.used = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func not in _RECTIFYING:
            return func(*args, **kwargs)
        self.used += 1
        options = {**kwargs, "inplace": False} if "inplace" in kwargs else kwargs
        return self._function.apply(args[0], lambda x: func(x, *args[1:], **options))


def rectified_gradient(module: nn.Module, inputs: Tensor, target: int, rule: str) -> Tensor:
    """Of one class, by the replica of the rule."""
    x = inputs.clone().requires_grad_()
    with Rectified(rule) as mode:
        score = module(x)[:, target].sum()
        (gradient,) = torch.autograd.grad(score, x)
    assert mode.used
    return gradient
