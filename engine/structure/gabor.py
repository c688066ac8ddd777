"""How well small filters are described by a Gabor function, and how well by a blob: what "oriented" means here.

A filter is fitted with each template of a fixed family; a template's two components (the cosine and the sine phase of
a Gabor function, the two widths of a difference of Gaussians) enter with free weights, so that both families have
the same freedom. The fit is R², the share of the filter's variance about its mean that the best template explains.
(J. Daugman, 1985: two-dimensional Gabor functions as models of simple cells)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np

from ...importers.provenance import SEED

SMALLEST = 3  # pixels a side: in smaller kernels everything looks oriented
_LARGEST = 11  # pixels a side: larger kernels are averaged down to it
_ORIENTATIONS = 16
_CYCLES = 0.2  # cycles in one standard deviation of the envelope, at least: fewer, and a Gabor function is a blob
_NULL = 400  # random filters that say what chance gives
_CHANCE = 0.99  # their quantile
_BATCH = 32  # filters compared with all templates at a time


@dataclass(frozen=True)
class GaborFit:
    """The best Gabor function and the best blob for each of K filters."""

    gabor: np.ndarray  # [K] R² of the best Gabor function
    blob: np.ndarray  # [K] R² of the best difference of Gaussians
    orientation: np.ndarray  # [K] degrees: 0 horizontal bars or edges, 45 rising to the right, 90 vertical
    frequency: np.ndarray  # [K] cycles a pixel
    chance: float  # the Gabor fit that 1 in 100 filters of white noise exceeds; 1: kernel too small to tell

    @property
    def oriented(self) -> np.ndarray:  # [K] bool
        """Better described by a Gabor function than 99 % of random filters are, and than by a blob."""
        return (self.gabor > self.chance) & (self.gabor > self.blob)


def fit(filters: np.ndarray) -> GaborFit:  # [K, C, kh, kw]
    """Fit every filter, seen along its own strongest direction in the space of its C channels."""
    count, channels, *kernel = filters.shape
    if min(kernel) < SMALLEST:
        nothing = np.full(count, np.nan)
        return GaborFit(nothing, nothing, nothing, nothing, 1.0)
    factor = math.ceil(max(kernel) / _LARGEST)
    planes = _principal(_averaged(filters.astype(np.float64), factor))
    gabor, best = _best(planes, *_gabors(planes.shape[1:])[:1])
    blob, _ = _best(planes, _blobs(planes.shape[1:]))
    angle, frequency = _gabors(planes.shape[1:])[1][best].T
    # A wave that runs to the right has vertical bars; rows count downwards, angles upwards.
    bars = (90.0 - np.degrees(angle)) % 180.0
    return GaborFit(gabor, blob, bars, frequency / factor, _chance_level((channels, *planes.shape[1:])))


def _averaged(filters: np.ndarray, factor: int) -> np.ndarray:
    """Means over squares of `factor` pixels a side; what is left over at the edge is dropped."""
    count, channels, height, width = filters.shape
    rows, columns = height // factor, width // factor
    cut = filters[:, :, : rows * factor, : columns * factor]
    return cut.reshape(count, channels, rows, factor, columns, factor).mean(axis=(3, 5))


def _principal(filters: np.ndarray) -> np.ndarray:  # [K, C, kh, kw] -> [K, kh, kw]
    """Each filter along its strongest direction in channel space, without its mean."""
    count, channels, height, width = filters.shape
    flat = filters.reshape(count, channels, -1)
    flat = flat - flat.mean(2, keepdims=True)
    _, strengths, directions = np.linalg.svd(flat, full_matrices=False)
    return (strengths[:, :1] * directions[:, 0]).reshape(count, height, width)


def _best(planes: np.ndarray, templates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # [K, kh, kw], [T, 2, pixels]
    """R² of the best template of each plane, and which it is."""
    flat = planes.reshape(len(planes), -1).astype(templates.dtype)
    variance = np.square(flat).sum(1)
    explained, best = np.zeros(len(flat)), np.zeros(len(flat), np.intp)
    for start in range(0, len(flat), _BATCH):
        part = slice(start, start + _BATCH)
        parts = np.square(flat[part] @ templates.reshape(-1, flat.shape[1]).T).reshape(-1, len(templates), 2).sum(2)
        best[part], explained[part] = parts.argmax(1), parts.max(1, initial=0)
    return explained / np.where(variance > 0, variance, 1), best


@cache
def _gabors(kernel: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:  # [T, 2, pixels], [T, (angle, frequency)]
    side = max(kernel)
    sizes = np.geomspace(side / 6, side, 5)
    frequencies = np.linspace(0.35 / side, 0.4, max(5, side))  # so close that neighbours differ little over a kernel
    angles = np.arange(_ORIENTATIONS) * np.pi / _ORIENTATIONS
    waves = [(s, f) for s, f in product(sizes, frequencies) if s * f >= _CYCLES]
    table = np.array([(a, s, f, e, *c) for a, (s, f), e, c in product(angles, waves, (1, 2), _centres(kernel))])
    angle, size, frequency, aspect, down, right = table.astype(np.float32).T[:, :, None]
    rows, columns = _pixels(kernel)
    along = (columns - right) * np.cos(angle) + (rows - down) * np.sin(angle)
    across = (rows - down) * np.cos(angle) - (columns - right) * np.sin(angle)
    envelope = np.exp(-(along**2 + (across / aspect) ** 2) / (2 * size**2))
    phase = 2 * np.pi * frequency * along
    return _orthonormal(envelope * np.cos(phase), envelope * np.sin(phase)), table[:, [0, 2]]


@cache
def _blobs(kernel: tuple[int, int]) -> np.ndarray:  # [T, 2, pixels]
    sizes = np.geomspace(max(kernel) / 8, max(kernel) / 2, 6)
    size, down, right = np.array([(s, *c) for s, c in product(sizes, _centres(kernel))]).T[:, :, None]
    rows, columns = _pixels(kernel)
    squared = (rows - down) ** 2 + (columns - right) ** 2
    return _orthonormal(np.exp(-squared / (2 * size**2)), np.exp(-squared / (2 * (1.6 * size) ** 2)))


def _centres(kernel: tuple[int, int]) -> list[tuple[float, float]]:
    """Where a template may be centred: the middle, and from 5 pixels a side on a grid about it."""
    reach = [max(side - SMALLEST, 0) / 4 for side in kernel]
    steps = [1 if side <= SMALLEST else 3 if side < 9 else 5 for side in kernel]
    grids = [np.linspace(-r, r, n) if n > 1 else np.zeros(1) for r, n in zip(reach, steps, strict=True)]
    return [(float(down), float(right)) for down, right in product(*grids)]


def _pixels(kernel: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.indices(kernel).reshape(2, 1, -1).astype(np.float32)
    return rows - (kernel[0] - 1) / 2, columns - (kernel[1] - 1) / 2


def _orthonormal(one: np.ndarray, other: np.ndarray) -> np.ndarray:  # twice [T, pixels] -> [T, 2, pixels]
    """Two orthogonal unit vectors without mean that span the same plane."""
    one = one - one.mean(1, keepdims=True)
    one = one / np.linalg.norm(one, axis=1, keepdims=True)
    other = other - other.mean(1, keepdims=True)
    other = other - one * (one * other).sum(1, keepdims=True)
    return np.stack([one, other / np.linalg.norm(other, axis=1, keepdims=True)], 1)


@cache
def _chance_level(shape: tuple[int, ...]) -> float:  # (channels, kh, kw)
    noise = np.random.default_rng(SEED).normal(size=(_NULL, *shape))
    return float(np.quantile(_best(_principal(noise), _gabors(shape[1:])[0])[0], _CHANCE))
