"""SINet (Park 2019, "extreme lightweight portrait segmentation"), with the names that its published weights have."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

# Kernel and pooling of the two branches of each block.
_LEVEL2 = (((3, 1), (5, 1)), ((3, 1), (3, 1)))
_LEVEL3 = (
    ((3, 1), (5, 1)),
    ((3, 1), (3, 1)),
    ((5, 1), (3, 2)),
    ((5, 2), (3, 4)),
    ((3, 1), (3, 1)),
    ((5, 1), (5, 1)),
    ((3, 2), (3, 4)),
    ((3, 1), (5, 2)),
)


class _Wrapped(nn.Module):
    """A convolution, and what else has a name beside it."""

    def __init__(self, conv: nn.Module, channels: int = 0) -> None:
        super().__init__()
        self.conv = conv
        if channels:
            self.bn, self.act = nn.BatchNorm2d(channels, eps=1e-3), nn.PReLU(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return self.act(self.bn(x)) if hasattr(self, "act") else x


class _NormAct(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn, self.act = nn.BatchNorm2d(channels, eps=1e-3), nn.PReLU(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(x))


class _Excite(nn.Module):
    """Squeeze and excitation, without a sigmoid."""

    def __init__(self, *sizes: int) -> None:
        super().__init__()
        pairs = itertools.pairwise(sizes)
        self.dense = nn.Sequential(*(layer for a, b in pairs for layer in (nn.Linear(a, b), nn.PReLU(b))))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.dense(x.mean((2, 3))).view(x.shape[0], -1, 1, 1)


def _down(inputs: int, outputs: int, *squeeze: int) -> _Wrapped:
    depthwise = nn.Conv2d(inputs, inputs, 3, 2, 1, groups=inputs, bias=False)
    pointwise = nn.Conv2d(inputs, outputs, 1, bias=False)
    return _Wrapped(nn.Sequential(depthwise, _Excite(*squeeze), pointwise), outputs)


class _Branch(nn.Module):
    """Spatial squeeze: pooled, convolved, and back to its size."""

    def __init__(self, channels: int, kernel: int, pool: int) -> None:
        super().__init__()
        conv = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels, bias=False)
        self.conv = nn.Sequential(conv, nn.BatchNorm2d(channels, eps=1e-3))
        self.act_conv1x1 = nn.Sequential(nn.PReLU(channels), nn.Conv2d(channels, channels, 1, bias=False))
        self.bn, self.pool = nn.BatchNorm2d(channels, eps=1e-3), pool

    def forward(self, x: Tensor) -> Tensor:
        if self.pool > 1:
            x = nn.functional.avg_pool2d(x, self.pool)
        x = self.act_conv1x1(self.conv(x))
        return self.bn(_up(x, self.pool) if self.pool > 1 else x)


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, branches: tuple[tuple[int, int], tuple[int, int]]) -> None:
        super().__init__()
        half = outputs // 2
        self.c1 = _Wrapped(nn.Conv2d(inputs, half, 1, groups=2, bias=False))
        self.d1, self.d2 = (_Branch(half, *branch) for branch in branches)
        self.BR, self.residual = _NormAct(outputs), inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        inner = self.c1(x)
        inner = inner.unflatten(1, (2, -1)).transpose(1, 2).flatten(1, 2)  # channels of the two groups take turns
        both = torch.cat([self.d1(inner), self.d2(inner)], 1)
        return self.BR(x + both if self.residual else both)


def _blocks(inputs: int, outputs: int, settings: tuple[tuple[tuple[int, int], tuple[int, int]], ...]) -> nn.ModuleList:
    return nn.ModuleList(_Block(outputs if index else inputs, outputs, pair) for index, pair in enumerate(settings))


def _up(x: Tensor, factor: int) -> Tensor:
    return nn.functional.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=True)


class _Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.level1 = _Wrapped(nn.Conv2d(3, 12, 3, 2, 1, bias=False), 12)
        self.level2_0 = _down(12, 16, 12, 12)
        self.level2 = _blocks(16, 48, _LEVEL2)
        self.BR2 = _NormAct(64)
        self.level3_0 = _down(64, 48, 64, 32, 64)
        self.level3 = _blocks(48, 96, _LEVEL3)
        self.BR3 = _NormAct(144)
        self.classifier = _Wrapped(nn.Conv2d(144, 2, 1, bias=False))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first = second = self.level2_0(self.level1(x))
        for block in self.level2:
            second = block(second)
        third = inner = self.level3_0(self.BR2(torch.cat([first, second], 1)))
        for block in self.level3:
            inner = block(inner)
        return second, self.classifier(self.BR3(torch.cat([third, inner], 1)))


class SINet(nn.Module):
    """[N, 3, H, W] -> the shares of background and person, [N, 2, H, W]."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = _Encoder()
        self.bn_3, self.bn_2 = nn.BatchNorm2d(2, eps=1e-3), nn.BatchNorm2d(2, eps=1e-3)
        self.level2_C = _Wrapped(nn.Conv2d(48, 2, 1, bias=False), 2)
        self.classifier = nn.Sequential(nn.Identity(), nn.Conv2d(2, 2, 3, padding=1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        fine, coarse = self.encoder(x)
        coarse = self.bn_3(_up(coarse, 2))
        unsure = 1 - coarse.softmax(1).amax(1, keepdim=True)  # information blocking: details only where it is unsure
        merged = self.bn_2(_up(self.level2_C(fine) * unsure + coarse, 2))
        return self.classifier(_up(merged, 2)).softmax(1)
