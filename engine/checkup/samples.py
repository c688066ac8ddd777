"""What the faults of a check-up look like on one image, each beside a healthy channel of the same layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..images import ImageBatches, Images, displayable
from ..structure.filters import Filters, filters
from .findings import Checkup, Finding

if TYPE_CHECKING:
    from ..model import Model
    from ..session import Session

_MOST_CHANNELS = 4  # of a finding
MOST_FINDINGS = 24


@dataclass(frozen=True)
class Cell:
    """One channel."""

    channel: int
    values: np.ndarray = field(repr=False)  # [H, W] its answers to the image
    filter: np.ndarray | None = field(repr=False)  # [kh, kw, 3] or [kh, kw] of a first layer


@dataclass(frozen=True)
class Sample:
    """Channels with a fault, and the nearest without."""

    finding: Finding
    cells: tuple[Cell, ...]  # the first of the finding's channels
    healthy: Cell | None  # None: no other channel answers this image


@dataclass(frozen=True)
class Samples:
    """What a sheet shows: the first image that can be read, and the first MOST_FINDINGS findings on it."""

    image: str
    picture: np.ndarray  # [H, W, 3] uint8
    rows: tuple[Sample, ...]


def samples(model: Model, found: Checkup, images: Images, *, session: Session | None = None) -> Samples:
    """Answers of the channels that `checkup` found, and of healthy neighbours, to the first image.

    Raises InputError when no image can be read.
    """
    session = session or model.session()
    paths, batch = next(iter(ImageBatches(images, model, 1)))
    shown = found.findings[:MOST_FINDINGS]
    tensors = list(dict.fromkeys(finding.tensor for finding in shown))
    values = session.run(batch, tensors) if tensors else {}
    maps = {name: _maps(session.batching.per_image(name, value, 1)) for name, value in values.items()}
    firsts = {first.layer: filters(model, first.layer) for first in found.first_layers}
    rows = tuple(_sample(finding, found, maps[finding.tensor], firsts.get(finding.layer)) for finding in shown)
    return Samples(str(paths[0]), displayable(batch, model.spec), rows)


def _maps(value: np.ndarray) -> np.ndarray:  # [1, C, H, W] or [1, C] -> [C, H, W]
    return value[0].astype(np.float32).reshape(value.shape[1], *(value.shape[2:] or (1, 1)))


def _sample(finding: Finding, found: Checkup, maps: np.ndarray, first: Filters | None) -> Sample:
    faulty = {channel for other in found.findings if other.layer == finding.layer for channel in other.channels}
    neighbour = _neighbour(finding.channels[0], faulty, maps)
    cells = [_cell(channel, maps, first) for channel in finding.channels[:_MOST_CHANNELS]]
    return Sample(finding, tuple(cells), None if neighbour is None else _cell(neighbour, maps, first))


def _neighbour(channel: int, faulty: set[int], maps: np.ndarray) -> int | None:
    """The nearest channel without a fault that answers the image."""
    with np.errstate(invalid="ignore"):
        reach = np.ptp(maps.reshape(len(maps), -1), axis=1)
    others = [other for other in range(len(maps)) if other not in faulty and (reach[other] > 0 or maps[0].size == 1)]
    return min(others, key=lambda other: abs(other - channel), default=None)


def _cell(channel: int, maps: np.ndarray, first: Filters | None) -> Cell:
    return Cell(channel, maps[channel], None if first is None else _filter(first, channel))


def _filter(first: Filters, channel: int) -> np.ndarray:
    planes: Sequence[np.ndarray] | np.ndarray = first.values[:, 0] if first.colours is None else first.colours
    return planes[channel]
