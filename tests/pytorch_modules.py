"""Random small modules of torch, with an input each of them takes: any layer that an image network is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

Shape = tuple[int, ...]  # [C, spatial sizes …]
_CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_MAX = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
_AVERAGE = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
_BATCH = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_INSTANCE = {1: nn.InstanceNorm1d, 2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
_SPREAD = {1: "linear", 2: "bilinear", 3: "trilinear"}
ACTIVATIONS = [
    nn.ReLU(),
    nn.ReLU6(),
    nn.LeakyReLU(0.2),
    nn.ELU(0.7),
    nn.CELU(1.3),
    nn.SELU(),
    nn.GELU(),
    nn.GELU("tanh"),
    nn.SiLU(),
    nn.Mish(),
    nn.Hardswish(),
    nn.Hardsigmoid(),
    nn.Hardtanh(-0.5, 2.0),
    nn.Hardshrink(0.3),
    nn.Softshrink(0.3),
    nn.Tanhshrink(),
    nn.Threshold(0.2, -1.0),
    nn.Sigmoid(),
    nn.LogSigmoid(),
    nn.Tanh(),
    nn.Softplus(2.0, 5.0),
    nn.Softsign(),
    nn.Softmax(1),
    nn.LogSoftmax(1),
    nn.Softmin(1),
    nn.Dropout(0.4),
    nn.Dropout2d(0.4),
    nn.AlphaDropout(0.4),
    nn.Identity(),
]


class Draw:
    """Choices of one seed."""

    def __init__(self, seed: int) -> None:
        self.generator = np.random.default_rng(seed)

    def one(self, choices: Sequence[Any]) -> Any:
        return choices[int(self.generator.integers(len(choices)))]

    def number(self, least: int, most: int) -> int:
        return int(self.generator.integers(least, most + 1))

    def divisor(self, number: int) -> int:
        return int(self.one([n for n in range(1, number + 1) if number % n == 0]))


def convolution(draw: Draw, shape: Shape) -> nn.Module:
    rank, groups = len(shape) - 1, draw.divisor(shape[0])
    kernel, dilation = draw.number(1, 4), draw.number(1, 2)
    mode = draw.one(["zeros", "zeros", "zeros", "reflect", "replicate", "circular"])
    options: dict[str, Any] = {"stride": draw.number(1, 3), "padding": draw.number(0, 2)}
    if draw.number(0, 3) == 0:
        options = {"padding": draw.one(["same", "valid"])}
    outputs = groups * draw.number(1, 3)
    return _CONV[rank](
        shape[0],
        outputs,
        kernel,
        dilation=dilation,
        groups=groups,
        bias=bool(draw.number(0, 1)),
        padding_mode=mode,
        **options,
    )


def transposed(draw: Draw, shape: Shape) -> nn.Module:
    groups, stride = draw.divisor(shape[0]), draw.number(1, 3)
    return _TRANSPOSED[len(shape) - 1](
        shape[0],
        groups * draw.number(1, 3),
        draw.number(1, 4),
        stride,
        padding=draw.number(0, 1),
        output_padding=draw.number(0, stride - 1),
        groups=groups,
        dilation=draw.number(1, 2),
    )


def max_pooling(draw: Draw, shape: Shape) -> nn.Module:
    kernel = draw.number(2, 3)
    return _MAX[len(shape) - 1](
        kernel, draw.number(1, 3), draw.number(0, kernel // 2), draw.number(1, 2), ceil_mode=bool(draw.number(0, 1))
    )


def average_pooling(draw: Draw, shape: Shape) -> nn.Module:
    kernel = draw.number(2, 3)
    return _AVERAGE[len(shape) - 1](
        kernel,
        draw.number(1, 3),
        draw.number(0, kernel // 2),
        ceil_mode=bool(draw.number(0, 1)),
        count_include_pad=bool(draw.number(0, 1)),
    )


def global_pooling(draw: Draw, shape: Shape) -> nn.Module:
    rank = len(shape) - 1
    name = draw.one(["AdaptiveAvgPool", "AdaptiveMaxPool"])
    return getattr(nn, f"{name}{rank}d")(tuple(draw.divisor(side) for side in shape[1:]))


def power_pooling(draw: Draw, shape: Shape) -> nn.Module:
    return (nn.LPPool1d if len(shape) == 2 else nn.LPPool2d)(2, draw.number(2, 3), draw.number(1, 2))


def normalisation(draw: Draw, shape: Shape) -> nn.Module:
    rank = len(shape) - 1
    return draw.one(
        [
            _BATCH[rank](shape[0], eps=draw.one([1e-5, 1e-3])),
            _BATCH[rank](shape[0], affine=False),
            _INSTANCE[rank](shape[0], affine=bool(draw.number(0, 1))),
            nn.GroupNorm(draw.divisor(shape[0]), shape[0]),
            nn.LayerNorm(shape[draw.number(0, rank) :]),
            nn.LocalResponseNorm(draw.number(2, 5)),
            nn.PReLU(draw.one([1, shape[0]])),
        ]
    )


def activation(draw: Draw, shape: Shape) -> nn.Module:
    return draw.one(ACTIVATIONS)


def padding(draw: Draw, shape: Shape) -> nn.Module:
    rank = len(shape) - 1
    name = draw.one(["ZeroPad", "ConstantPad", "ReflectionPad", "ReplicationPad"])
    sides = tuple(draw.number(0, 2) for _ in range(2 * rank))
    return getattr(nn, f"{name}{rank}d")(sides, *((0.5,) if name == "ConstantPad" else ()))


def resizing(draw: Draw, shape: Shape) -> nn.Module:
    mode = draw.one(["nearest", "nearest-exact", _SPREAD[len(shape) - 1], "bicubic" if len(shape) == 3 else "nearest"])
    corners = bool(draw.number(0, 1)) if "nearest" not in mode else None
    if draw.number(0, 1):
        return nn.Upsample(scale_factor=draw.one([2, 3, 1.5]), mode=mode, align_corners=corners)
    return nn.Upsample(size=tuple(draw.number(1, 9) for _ in shape[1:]), mode=mode, align_corners=corners)


def shuffling(draw: Draw, shape: Shape) -> nn.Module:
    if shape[0] % 4 == 0 and draw.number(0, 1):
        return nn.PixelShuffle(2)
    if all(side % 2 == 0 for side in shape[1:]) and draw.number(0, 1):
        return nn.PixelUnshuffle(2)
    return nn.ChannelShuffle(draw.divisor(shape[0]))


class Joined(nn.Module):
    """Two branches of one shape, joined as networks do."""

    def __init__(self, left: nn.Module, right: nn.Module, how: str) -> None:
        super().__init__()
        self.left, self.right, self.how = left, right, how

    def forward(self, x):  # type: ignore[no-untyped-def]
        a, b = self.left(x), self.right(x)
        if self.how == "cat":
            return torch.cat([a, b], 1)
        if self.how == "scale":
            return a * torch.sigmoid(b.mean(dim=2, keepdim=True))
        return {"add": a + b, "mul": a * b, "max": torch.maximum(a, b), "sub": a - b}[self.how]


def joined(draw: Draw, shape: Shape) -> nn.Module:
    sides = [nn.Sequential(activation(draw, shape), normalisation(draw, shape)) for _ in range(2)]
    return Joined(*sides, draw.one(["cat", "scale", "add", "mul", "max", "sub"]))


LAYERS: dict[str, Callable[[Draw, Shape], nn.Module]] = {
    function.__name__: function
    for function in (
        convolution,
        transposed,
        max_pooling,
        average_pooling,
        global_pooling,
        power_pooling,
        normalisation,
        activation,
        padding,
        resizing,
        shuffling,
        joined,
    )
}
_RANKS = {"power_pooling": (1, 2), "shuffling": (2,)}  # others take all


def first_shape(draw: Draw) -> Shape:
    """Channels and one to three sizes."""
    rank = draw.one([1, 2, 2, 2, 2, 3])
    most = {1: 13, 2: 11, 3: 6}[rank]
    return (draw.number(1, 6), *(draw.number(3, most) for _ in range(rank)))


def layer(draw: Draw, shape: Shape) -> nn.Module:
    """Any layer for inputs of this shape; whether it fits is seen when it runs."""
    names = [name for name in LAYERS if len(shape) - 1 in _RANKS.get(name, (1, 2, 3))]
    return LAYERS[draw.one([*names, "convolution"])](draw, shape)


def ending(draw: Draw, shape: Shape) -> list[nn.Module]:
    """Nothing, or how classifiers end."""
    if draw.number(0, 2):
        return []
    return [nn.Flatten(), nn.Linear(int(np.prod(shape)), draw.number(1, 7), bias=bool(draw.number(0, 1)))]
