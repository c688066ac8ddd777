"""Small networks of kinds that torchvision lacks, tens of channels wide, in plain torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def conv(inputs: int, outputs: int, kernel: int = 3, **options: int) -> nn.Sequential:
    """Convolution that keeps the size, batch normalisation, ReLU."""
    layers = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, **options), nn.BatchNorm2d(outputs)
    return nn.Sequential(*layers, nn.ReLU())


class ZFNet(nn.Sequential):
    """Zeiler and Fergus 2013: overlapping pools, each followed by local response normalisation."""

    def __init__(self) -> None:
        def norm() -> nn.Module:
            return nn.LocalResponseNorm(5, alpha=0.5, beta=0.75, k=2.0)  # alpha: so large that it is seen

        pool = nn.MaxPool2d(3, 2, 1)
        super().__init__(
            *(nn.Conv2d(3, 24, 7, 2, padding=1), nn.ReLU(), pool, norm()),
            *(nn.Conv2d(24, 32, 5, 2), nn.ReLU(), pool, norm()),
            *(nn.Conv2d(32, 48, 3, padding=1), nn.ReLU(), nn.Conv2d(48, 32, 3, padding=1), nn.ReLU()),
            *(nn.MaxPool2d(3, 2), nn.Flatten(), nn.LazyLinear(64), nn.ReLU(), nn.Dropout(), nn.Linear(64, 10)),
        )
        self(torch.zeros(1, 3, 96, 96))  # now the first dense layer knows its inputs


class SegNet(nn.Module):
    """Badrinarayanan 2015: the decoder unpools with the encoder's pooling indices."""

    def __init__(self, widths: tuple[int, ...] = (12, 16, 24)) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(conv(i, o) for i, o in zip((3, *widths), widths, strict=False))
        self.decoders = nn.ModuleList(conv(o, i) for i, o in zip((8, *widths), widths, strict=False))
        self.pool, self.unpool = nn.MaxPool2d(2, 2, return_indices=True), nn.MaxUnpool2d(2, 2)
        self.classifier = nn.Conv2d(8, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        switches = []
        for encoder in self.encoders:
            x, indices = self.pool(encoder(x))
            switches.append(indices)
        for decoder, indices in zip(reversed(self.decoders), reversed(switches), strict=True):
            x = decoder(self.unpool(x, indices))
        return self.classifier(x)


class DeconvNet(nn.Module):
    """Noh 2015: as SegNet, but through a dense bottleneck, and the decoder is made of transposed convolutions."""

    def __init__(self, widths: tuple[int, ...] = (12, 16, 24)) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(conv(i, o) for i, o in zip((3, *widths), widths, strict=False))
        self.decoders = nn.ModuleList(self.deconv(o, i) for i, o in zip((8, *widths), widths, strict=False))
        self.pool, self.unpool = nn.MaxPool2d(2, 2, return_indices=True), nn.MaxUnpool2d(2, 2)
        self.dense = nn.Sequential(nn.Conv2d(widths[-1], 32, 7), nn.ReLU(), nn.ConvTranspose2d(32, widths[-1], 7))
        self.classifier = nn.Conv2d(8, 5, 1)

    @staticmethod
    def deconv(inputs: int, outputs: int) -> nn.Sequential:
        return nn.Sequential(nn.ConvTranspose2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        switches = []
        for encoder in self.encoders:
            x, indices = self.pool(encoder(x))
            switches.append(indices)
        x = self.dense(x).relu()
        for decoder, indices in zip(reversed(self.decoders), reversed(switches), strict=True):
            x = decoder(self.unpool(x, indices))
        return self.classifier(x)


class UNet(nn.Module):
    """Ronneberger 2015: two ways up, by transposed convolution and by bilinear interpolation."""

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        self.down = nn.ModuleList([conv(3, width), conv(width, 2 * width), conv(2 * width, 4 * width)])
        self.pool = nn.MaxPool2d(2)
        self.learned = nn.ConvTranspose2d(4 * width, 2 * width, 2, 2)
        self.fixed = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        self.up = nn.ModuleList([conv(4 * width, 2 * width), conv(3 * width, width)])
        self.classifier = nn.Conv2d(width, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        top = self.down[0](x)
        middle = self.down[1](self.pool(top))
        bottom = self.down[2](self.pool(middle))
        middle = self.up[0](torch.cat([middle, self.learned(bottom)], 1))
        top = self.up[1](torch.cat([top, self.fixed(middle)], 1))
        return self.classifier(top).sigmoid()


class Residual(nn.Module):
    """He 2016: batch normalisation and ReLU before each convolution of a bottleneck."""

    def __init__(self, width: int) -> None:
        super().__init__()
        plan = [(width, width // 2, 1), (width // 2, width // 2, 3), (width // 2, width, 1)]
        layers = [
            nn.Sequential(nn.BatchNorm2d(i), nn.ReLU(inplace=True), nn.Conv2d(i, o, k, padding=k // 2))
            for i, o, k in plan
        ]
        self.body = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Hourglass(nn.Module):
    """One hourglass: down `depth` times and up again, with a branch at every size."""

    def __init__(self, depth: int, width: int) -> None:
        super().__init__()
        self.branch, self.before, self.after = Residual(width), Residual(width), Residual(width)
        self.inner = Hourglass(depth - 1, width) if depth > 1 else Residual(width)
        self.pool, self.up = nn.MaxPool2d(2), nn.Upsample(scale_factor=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.branch(x) + self.up(self.after(self.inner(self.before(self.pool(x)))))


class StackedHourglass(nn.Module):
    """Newell 2016: hourglasses in a row, each giving heat maps that the next one sees."""

    def __init__(self, stacks: int = 2, width: int = 16, joints: int = 6) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv(3, width, 7, stride=2), Residual(width))
        self.hourglasses = nn.ModuleList(Hourglass(3, width) for _ in range(stacks))
        self.features = nn.ModuleList(conv(width, width, 1) for _ in range(stacks))
        self.heads = nn.ModuleList(nn.Conv2d(width, joints, 1) for _ in range(stacks))
        self.back = nn.ModuleList(nn.Conv2d(width + joints, width, 1) for _ in range(stacks - 1))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x, maps = self.stem(x), []
        for index, (hourglass, features, head) in enumerate(
            zip(self.hourglasses, self.features, self.heads, strict=True)
        ):
            seen = features(hourglass(x))
            maps.append(head(seen))
            if index < len(self.back):
                x = x + self.back[index](torch.cat([seen, maps[-1]], 1))
        return tuple(maps)
