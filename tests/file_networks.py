"""Networks of real files once more, written out in torch by hand and with the file's weights: so that peers, which take
torch modules, see what our methods see. As Captum wants them: a module of its own for each activation, none in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path

import onnxray
import torch
import torchvision_networks as networks
from model_specs import load_model
from onnxray.engine.model import Model
from onnxray.importers.demo_network import demo_network
from torch import Tensor, nn
from torch.nn import functional as F

networks.torchvision_models()  # which Captum imports
from captum.attr._utils.custom_modules import Addition_Module  # noqa: E402


class ReLU6(nn.ReLU):
    """Of nn.ReLU's class, by which Captum knows where to change gradients."""

    def forward(self, x: Tensor) -> Tensor:
        return F.relu6(x)


class Same(nn.Conv2d):
    """A convolution padded to 1 / stride of the size, with the odd one of padding below and to the right."""

    def __init__(self, inside: int, outside: int, side: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inside, outside, side, stride, groups=groups)
        before = (side - stride) // 2
        self.around = (before, side - stride - before) * 2 if side > stride else (0, 0, 0, 0)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, self.around))


class Around(nn.Identity):
    """The input, thinned out and with channels of zeros where sizes change. A module, as Captum's LRP takes relevance
    from module to module: what is moved between two of them, and is read by a third, it multiplies with its values
    twice."""

    def __init__(self, stride: int, more: int) -> None:
        super().__init__()
        self.stride, self.more = stride, more

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.more, self.more))


class Residual(nn.Module):
    """Two convolutions, and the input around them."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        stride = outside // inside
        self.around = Around(stride, (outside - inside) // 2)
        self.conv1, self.relu1 = nn.Conv2d(inside, outside, 3, stride, 1), nn.ReLU()
        self.conv2, self.addition = nn.Conv2d(outside, outside, 3, 1, 1), Addition_Module()
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.conv2(self.relu1(self.conv1(x)))
        return self.relu2(self.addition(made, self.around(x)))


class Fire(nn.Module):
    """Few channels, then many by windows of two sizes."""

    def __init__(self, inside: int, few: int, outside: int) -> None:
        super().__init__()
        self.squeeze = nn.Sequential(nn.Conv2d(inside, few, 1), nn.ReLU())
        self.expand1 = nn.Sequential(nn.Conv2d(few, outside // 2, 1), nn.ReLU())
        self.expand3 = nn.Sequential(nn.Conv2d(few, outside // 2, 3, padding=1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        few = self.squeeze(x)
        return torch.cat([self.expand1(few), self.expand3(few)], 1)


class Inverted(nn.Module):
    """Many channels, each for itself, then few; around them goes the input where its size stays."""

    def __init__(self, inside: int, outside: int, wider: int, side: int, stride: int) -> None:
        super().__init__()
        many = inside * wider
        expand = [Same(inside, many, 1), ReLU6()] if wider > 1 else []
        self.made = nn.Sequential(*expand, Same(many, many, side, stride, groups=many), ReLU6(), Same(many, outside, 1))
        self.addition = Addition_Module() if (inside, stride) == (outside, 1) else None

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.made(x)
        return made if self.addition is None else self.addition(made, x)


def _resnet20() -> nn.Sequential:
    widths = [16] * 4 + [32] * 3 + [64] * 3
    blocks = [Residual(*pair) for pair in pairwise(widths)]
    features = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1), nn.ReLU(), *blocks)
    return nn.Sequential(features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def _squeezenet() -> nn.Sequential:
    def pool() -> nn.Module:
        return nn.MaxPool2d(3, 2, ceil_mode=True)

    features = nn.Sequential(
        *(nn.Conv2d(3, 64, 3, 2), nn.ReLU(), pool(), Fire(64, 16, 128), Fire(128, 16, 128)),
        *(pool(), Fire(128, 32, 256), Fire(256, 32, 256), pool(), Fire(256, 48, 384), Fire(384, 48, 384)),
        *(Fire(384, 64, 512), Fire(512, 64, 512), nn.Conv2d(512, 1000, 1), nn.ReLU()),
    )
    return nn.Sequential(features, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def _efficientnet_lite0() -> nn.Sequential:
    def blocks() -> Iterable[nn.Module]:
        inside = 32
        # Table 1 of arXiv:1905.11946: times the channels, window, stride, channels, blocks.
        for wider, side, stride, outside, count in (
            *((1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3)),
            *((6, 5, 1, 112, 3), (6, 5, 2, 192, 4), (6, 3, 1, 320, 1)),
        ):
            for number in range(count):
                yield Inverted(inside, outside, wider, side, 1 if number else stride)
                inside = outside

    features = nn.Sequential(Same(3, 32, 3, 2), ReLU6(), *blocks(), Same(320, 1280, 1), ReLU6())
    return nn.Sequential(features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 1000))


_NETWORKS: dict[str, tuple[str | None, Callable[[], nn.Sequential]]] = {  # None: the demo network
    "resnet20": ("models/derived/resnet20_cifar10.onnx", _resnet20),
    "squeezenet1.1": ("models/derived/squeezenet1.1.onnx", _squeezenet),
    "efficientnet_lite0": (None, _efficientnet_lite0),
}
NAMES = tuple(_NETWORKS)


def read(shared: Callable[[str], Path], name: str) -> tuple[Model, nn.Sequential]:
    """One of NAMES as read from its file, and as a module of float32, whose [0] makes the last feature map."""
    file, make = _NETWORKS[name]
    model = onnxray.load(demo_network()) if file is None else load_model(shared, file)
    module = make().eval().requires_grad_(False)
    _fill(module, model)
    return model, module


def _fill(module: nn.Module, model: Model) -> None:
    """The layers, which are in the order that they run in, with the weights of the file's nodes."""
    layers = [layer for layer in module.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    nodes = [node for node in model.proto.graph.node if node.op_type in ("Conv", "Gemm")]
    for layer, node in zip(layers, nodes, strict=True):
        for parameter, name in zip((layer.weight, layer.bias), node.input[1:], strict=True):
            value = torch.tensor(model.graph.weight(name))
            assert parameter is not None and parameter.shape == value.shape
            parameter.copy_(value)
