"""Captum's maps of classes, one an image; where Captum 0.9 is wrong, mended."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
import torchvision_networks as networks
from onnxray.engine.gradient.relevance import EPSILON
from onnxray.importers.provenance import SEED
from torch import Tensor, nn

networks.torchvision_models()  # which Captum imports
import captum.attr as captum  # noqa: E402
from captum.attr._core import deep_lift as deep_lift_module  # noqa: E402
from captum.attr._core import lrp as lrp_module  # noqa: E402
from captum.attr._utils.lrp_rules import EpsilonRule  # noqa: E402


def attributed(method: Any, images: Tensor, classes: int | Sequence[int], **options: Any) -> np.ndarray:
    """What a method says; Captum warns that it sets hooks."""
    target = classes if isinstance(classes, int) else list(classes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found: Tensor = method.attribute(images.clone().requires_grad_(), target=target, **options)
    return found.detach().numpy()


def smooth_grad(
    module: Callable[[Tensor], Tensor], images: Tensor, classes: Sequence[int], kind: str, samples: int, noise: float
) -> np.ndarray:
    """With our noise in place of what torch.normal draws. Its spread is one number for all images, so
    each image goes alone."""
    generator = torch.Generator().manual_seed(SEED)
    drawn = [torch.randn(images.shape[1:], generator=generator, dtype=torch.float32) for _ in range(samples)]
    found, tunnel = [], captum.NoiseTunnel(captum.Saliency(module))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "normal", lambda mean, std: std * torch.stack(drawn))
        for image, wanted in zip(images, classes, strict=True):
            options = {"nt_samples": samples, "stdevs": noise * float(image.max() - image.min()), "abs": False}
            found.append(attributed(tunnel, image[None], wanted, nt_type=kind, **options))
    return np.concatenate(found)


def deep_lift(module: nn.Module, images: Tensor, baselines: Tensor, classes: Sequence[int]) -> np.ndarray:
    """Captum is wrong for a MaxPool whose windows overlap, as torch's unpooling keeps one of several values for a
    place, and for one that reads what another module reads or an activation made: the module has its pools apart (see
    `captum_networks.with_pools_apart`). It knows activations by their very class."""
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.functional, "max_unpool2d", _adding_unpool)
        for kind in _rectifiers(module):
            patch.setitem(deep_lift_module.SUPPORTED_NON_LINEAR, kind, deep_lift_module.nonlinear)
        for image, baseline, wanted in zip(images[:, None], baselines[:, None], classes, strict=True):
            found.append(attributed(captum.DeepLift(module), image, wanted, baselines=baseline))
    changes = (module(images) - module(baselines)).detach().numpy()
    change = changes[np.arange(len(changes)), list(classes)]
    raw = np.concatenate(found)
    np.testing.assert_allclose(raw.sum((1, 2, 3)), change, rtol=1e-6)  # Captum, so mended, adds up
    return raw


def _adding_unpool(x: Tensor, places: Tensor, *windows: Any) -> Tensor:
    planes = x.new_zeros(windows[-1]).flatten(2)
    return planes.scatter_add(2, places.flatten(2), x.flatten(2)).reshape(windows[-1])


def lrp(
    module: nn.Module,
    images: Tensor,
    classes: Sequence[int],
    convolution: Callable[[], Any] = lambda: EpsilonRule(EPSILON),
) -> np.ndarray:
    """What is no layer has no epsilon: in Captum's default for MaxPool it takes relevance from small maxima."""
    found = []
    for image, wanted in zip(images, classes, strict=True):  # Captum takes the rules from the modules after each run
        ruled = copy.deepcopy(module).double()
        for layer in ruled.modules():
            if isinstance(layer, nn.Conv2d):
                layer.rule = convolution()
            elif isinstance(layer, (nn.Flatten, nn.Identity, nn.MaxPool2d)):
                layer.rule = EpsilonRule(1e-30)
            elif not list(layer.children()) and not isinstance(layer, (nn.ReLU, nn.Dropout)):
                layer.rule = EpsilonRule(EPSILON)
        with pytest.MonkeyPatch.context() as patch:
            known = lrp_module.SUPPORTED_NON_LINEAR_LAYERS
            patch.setattr(lrp_module, "SUPPORTED_NON_LINEAR_LAYERS", [*known, *_rectifiers(module)])
            found.append(attributed(captum.LRP(ruled), image[None], wanted))
    return np.concatenate(found)


def _rectifiers(module: nn.Module) -> set[type[nn.Module]]:
    return {type(layer) for layer in module.modules() if isinstance(layer, nn.ReLU)}
