"""What the tests of the CAM family share: a tiny network, and pytorch-grad-cam's maps before it scales them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradient_peers
import numpy as np
import tiny_models
import torchvision_networks as networks
from gradient_peers import Peer
from onnxray.engine.images import prepare
from onnxray.engine.model import Model
from torch import Tensor, nn

# Architecture -> the module whose output is the last feature map, or the last tokens that all count.
LAYERS: dict[str, Callable[[Any], nn.Module]] = {
    "resnet18": lambda module: module.layer4,
    "squeezenet1_1": lambda module: module.classifier[2],
    "googlenet": lambda module: module.inception5b,
    "densenet121": lambda module: module[1],
    "mobilenet_v2": lambda module: module.features[18],
    "vit_s_16": lambda module: module.encoder.layers[-1].ln_1,
}
CLASS = 3

PICTURES = np.random.default_rng(0).integers(0, 256, (5, 8, 8), dtype=np.uint8)
POOLED = """
<ir_version: 8, opset_import: ["" : 17]>
pooled (float[N, 1, 8, 8] image) => (float[N, 3] scores)
<float[4, 1, 3, 3] conv_w, float[4, 4, 3, 3] deep_w, float[3, 4] fc, float[3] bias>
{
    conv = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (image, conv_w)
    first = Relu (conv)
    deep = Conv <pads = [1, 1, 1, 1]> (first, deep_w)
    maps = Relu (deep)
    mean = GlobalAveragePool (maps)
    flat = Flatten (mean)
    logits = Gemm <transB = 1> (flat, fc, bias)
    scores = Softmax (logits)
}
"""


def tiny(text: str = POOLED) -> Model:
    """The network of that text, for pictures of 8 x 8."""
    model = Model(tiny_models.model(text), Path("pooled.onnx"))
    model.spec = model.spec.override("test", mean=(128.0,), scale=(1 / 64,), channel_order="GREY", resize="stretch")
    return model


def inputs(model: Model) -> np.ndarray:  # [5, 1, 8, 8]
    """The pictures as the tiny network takes them."""
    return np.concatenate([prepare(picture, model.spec, (1, 1, 8, 8)) for picture in PICTURES])


def values(model: Model, *tensors: str) -> list[np.ndarray]:
    """Of the pictures."""
    found = model.session().run(inputs(model), tensors)
    return [found[name] for name in tensors]


def peer(name: str, folder: Path, count: int = 2) -> Peer:
    """One of LAYERS, with a module in place of every feature map that torchvision makes by a function."""
    found = gradient_peers.peer(name, folder, count)
    if name != "densenet121":
        return found
    head = (nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), found.module.classifier)
    return Peer(found.model, nn.Sequential(found.module.features, *head), found.pictures)


def peer_map(method: str, name: str, peer: Peer) -> np.ndarray:  # [n, h, w]
    """pytorch-grad-cam's map of CLASS."""
    transform = _planes if name == "vit_s_16" else None
    layer = LAYERS[name](peer.module)
    return layer_map(method, peer.module, layer, peer.inputs, [CLASS] * len(peer.pictures), transform)


def layer_map(
    method: str,
    module: nn.Module,
    layer: nn.Module,
    inputs: Tensor,
    classes: Sequence[int],
    transform: Callable[[Tensor], Tensor] | None = None,
) -> np.ndarray:  # [n, h, w]
    """pytorch-grad-cam's map, cut off below 0, before it is scaled to 0..1 and enlarged."""
    networks.torchvision_models()
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    made: list[np.ndarray] = []
    cam = getattr(pytorch_grad_cam, method)(module, [layer], reshape_transform=transform)
    cam.compute_input_gradient = True  # the parameters, frozen, have none
    original = cam.get_cam_image
    cam.get_cam_image = lambda *arguments, **named: made.append(original(*arguments, **named)) or made[-1]
    with cam:
        cam(inputs, [ClassifierOutputTarget(wanted) for wanted in classes])
    return np.maximum(made[0], 0)


def _planes(tokens: Tensor) -> Tensor:  # [N, 1 + h * w, C] -> [N, C, h, w]
    side = round((tokens.shape[1] - 1) ** 0.5)
    return tokens[:, 1:].unflatten(1, (side, side)).movedim(-1, 1)
