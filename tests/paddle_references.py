"""PaddlePaddle's operators by their definitions, in NumPy and slowly: images [N, C, H, W]."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

Pads = Sequence[tuple[int, int]]  # before and behind each side of an image


def windows(image: np.ndarray, kernel: Sequence[int], strides: Sequence[int], apart: Sequence[int]) -> np.ndarray:
    """[N, C, rows, columns, kernel rows, kernel columns]: each window's numbers."""
    reach = [(size - 1) * step + 1 for size, step in zip(kernel, apart, strict=True)]
    all_of_them = np.lib.stride_tricks.sliding_window_view(image, reach, (2, 3))
    return all_of_them[:, :, :: strides[0], :: strides[1], :: apart[0], :: apart[1]]


def padded(image: np.ndarray, pads: Pads, value: float = 0.0) -> np.ndarray:
    """With borders of a value."""
    return np.pad(image, [(0, 0), (0, 0), *pads], constant_values=value)


def same_pads(sides: Sequence[int], kernel: Sequence[int], strides: Sequence[int]) -> list[tuple[int, int]]:
    """So that as many windows as strides fit into each side; the odd one behind."""
    totals = [
        max((math.ceil(side / stride) - 1) * stride + size - side, 0)
        for side, size, stride in zip(sides, kernel, strides, strict=True)
    ]
    return [(total // 2, total - total // 2) for total in totals]


def convolution(
    image: np.ndarray, weight: np.ndarray, pads: Pads, strides: Sequence[int], apart: Sequence[int], groups: int
) -> np.ndarray:
    """Weights [O, C / groups, rows, columns]."""
    found = windows(padded(image, pads), weight.shape[2:], strides, apart)
    parts = zip(np.split(found, groups, 1), np.split(weight, groups), strict=True)
    return np.concatenate([np.einsum("ncijkl,ockl->noij", part, kernel) for part, kernel in parts], 1)


def transposed(
    image: np.ndarray, weight: np.ndarray, pads: Pads, strides: Sequence[int], groups: int, more: Sequence[int]
) -> np.ndarray:
    """Weights [C, O / groups, rows, columns]: each pixel adds a window; `more` rows and columns behind."""
    kernel = weight.shape[2:]
    sides = [(side - 1) * stride + size for side, stride, size in zip(image.shape[2:], strides, kernel, strict=True)]
    outputs = weight.shape[1] * groups
    result = np.zeros((len(image), outputs, *(side + extra for side, extra in zip(sides, more, strict=True))))
    for row, column in itertools.product(*map(range, image.shape[2:])):
        parts = zip(np.split(image[:, :, row, column], groups, 1), np.split(weight, groups), strict=True)
        added = np.concatenate([np.einsum("nc,cokl->nokl", part, held) for part, held in parts], 1)
        top, left = row * strides[0], column * strides[1]
        result[:, :, top : top + kernel[0], left : left + kernel[1]] += added
    (top, bottom), (left, right) = pads
    return result[:, :, top : result.shape[2] - bottom, left : result.shape[3] - right]


def pool(
    image: np.ndarray, kind: str, kernel: Sequence[int], strides: Sequence[int], pads: Pads, ceil: bool, exclusive: bool
) -> np.ndarray:
    """The largest or the mean of each window. `exclusive`: borders do not count; what `ceil` adds never does."""
    counted = padded(
        padded(image, pads, np.nan if exclusive or kind == "max" else 0.0),
        _ceil(image, kernel, strides, pads, ceil),
        np.nan,
    )
    found = windows(counted, kernel, strides, (1, 1))
    return np.nanmax(found, (4, 5)) if kind == "max" else np.nanmean(found, (4, 5))


def _ceil(
    image: np.ndarray, kernel: Sequence[int], strides: Sequence[int], pads: Pads, ceil: bool
) -> list[tuple[int, int]]:
    """What is missing behind for a last window."""
    sides = [side + sum(pair) for side, pair in zip(image.shape[2:], pads, strict=True)]
    missing = [-(side - size) % stride for side, size, stride in zip(sides, kernel, strides, strict=True)]
    return [(0, each if ceil else 0) for each in missing]


def adaptive(image: np.ndarray, kind: str, counts: Sequence[int]) -> np.ndarray:
    """So many windows a side, as even as they get."""
    ends = [
        [(at * side // count, math.ceil((at + 1) * side / count)) for at in range(count)]
        for side, count in zip(image.shape[2:], counts, strict=True)
    ]
    reduce = np.max if kind == "max" else np.mean
    rows = [[reduce(image[:, :, a:b, c:d], (2, 3)) for c, d in ends[1]] for a, b in ends[0]]
    return np.moveaxis(np.array(rows), (0, 1), (2, 3))


def resize(image: np.ndarray, sizes: Sequence[int], mode: str, where: str, ratios: Sequence[float]) -> np.ndarray:
    """`where`: corners, half or start; `ratios`: how many pixels of the input one of the result moves by."""
    rows, columns = (
        _weights(side, size, mode, where, ratio)
        for side, size, ratio in zip(image.shape[2:], sizes, ratios, strict=True)
    )
    result: np.ndarray = rows @ image @ columns.T
    return result


def _weights(side: int, size: int, mode: str, where: str, ratio: float) -> np.ndarray:
    """[size, side]: what each pixel of the result takes of the input's."""
    result = np.zeros((size, side))
    for at in range(size):
        if where == "corners":
            place = at * (side - 1) / (size - 1) if size > 1 else 0.0
        else:
            place = (at + 0.5) * ratio - 0.5 if where == "half" else at * ratio
        for source, share in _taps(place, mode, where):
            result[at, min(max(source, 0), side - 1)] += share
    return result


def _taps(place: float, mode: str, where: str) -> list[tuple[int, float]]:
    if mode == "nearest":
        return [(math.floor(place + (0.5 if where == "corners" else 0)), 1.0)]
    if mode == "bilinear":
        place = max(place, 0)
    first = math.floor(place)
    behind = place - first
    if mode == "bilinear":
        return [(first, 1 - behind), (first + 1, behind)]
    return [(first + step, _cubic(abs(behind - step))) for step in range(-1, 3)]


def _cubic(distance: float, bend: float = -0.75) -> float:
    if distance <= 1:
        return (bend + 2) * distance**3 - (bend + 3) * distance**2 + 1
    return bend * distance**3 - 5 * bend * distance**2 + 8 * bend * distance - 4 * bend if distance < 2 else 0.0
