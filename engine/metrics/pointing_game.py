"""pointing_game: how often the map's largest value lies on the thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...importers.errors import InputError
from ..images import channels_first, image_input, prepare
from ..methods.attribution import Attribution
from ..results import Result

if TYPE_CHECKING:
    from ..model import Model


@dataclass(frozen=True)
class PointedClass:
    """One target's rows."""

    target: str
    rows: int
    hits: int

    @property
    def share(self) -> float:
        """Of the rows, those that hit."""
        return self.hits / self.rows


@dataclass(frozen=True)
class PointingGame(Result):
    """Hits and misses of every row, counted for each class."""

    method: str
    images: tuple[str, ...]  # [R]
    targets: tuple[str, ...]  # [R]
    points: np.ndarray  # [R, 2] x and y of the largest value, in pixels of the mask
    distances: np.ndarray  # [R] from there to the thing, in the same pixels; infinite for a map that is flat
    classes: tuple[PointedClass, ...]
    accuracy: float  # mean of the classes' shares of hits
    settings: Mapping[str, Any]


def pointing_game(
    model: Model,
    found: Attribution,
    masks: Sequence[np.ndarray],  # [R] each [h, w] of the picture's own size, not 0 where the thing is
    *,
    tolerance: float = 15,  # pixels of the picture
) -> PointingGame:
    """A row hits when the largest value of its map, brought back to the picture's own size, is on the thing or no
    farther away than the tolerance. A flat map misses. `mask_of_boxes` makes masks of boxes.

    Raises InputError when there is not one mask a row, or one of them is empty.
    Source: Zhang, Lin, Brandt, Shen and Sclaroff 2016, Top-down Neural Attention by Excitation Backprop,
    arXiv:1608.00507, section 4.1.
    """
    if len(masks) != len(found.images):
        raise InputError(f"expected a mask for each of {len(found.images)} rows, found {len(masks)}")
    for row, mask in enumerate(masks):
        if mask.ndim != 2 or not mask.any():
            raise InputError(f"expected masks [h, w] that are not empty, found {list(mask.shape)} for row {row + 1}")
    points = np.array([_point(values, mask.shape, model) for values, mask in zip(found.maps, masks, strict=True)])
    flat = np.ptp(found.maps.reshape(len(masks), -1), axis=1) == 0
    apart = [_distance(point, mask) for point, mask in zip(points, masks, strict=True)]
    distances = np.where(flat, np.inf, apart)
    hits = distances <= tolerance
    counted = []
    for target in dict.fromkeys(found.targets):
        its_own = hits[[entry == target for entry in found.targets]]
        counted.append(PointedClass(target, len(its_own), int(its_own.sum())))
    accuracy = float(np.mean([entry.share for entry in counted]))
    return PointingGame(
        found.method, found.images, found.targets, points, distances, tuple(counted), accuracy, {"tolerance": tolerance}
    )


def mask_of_boxes(boxes: Sequence[Sequence[float]], size: tuple[int, int]) -> np.ndarray:  # [h, w] bool
    """Where a picture of that height and width is inside a box: left, top, right, bottom in its pixels."""
    y, x = np.arange(size[0])[:, None] + 0.5, np.arange(size[1]) + 0.5
    inside = [(left <= x) & (x <= right) & (top <= y) & (y <= bottom) for left, top, right, bottom in boxes]
    return np.logical_or.reduce(inside, axis=0) if inside else np.zeros(size, bool)


def _point(values: np.ndarray, size: tuple[int, ...], model: Model) -> tuple[float, float]:
    """x and y, in a picture of that size, of the largest value of a map of the network's input."""
    spec = replace(model.spec, mean=(0.0,), scale=(1.0,), mean_image=None)
    place = np.unravel_index(values.argmax(), values.shape)
    # A picture of its own columns' and rows' numbers is resized and cropped as the picture was.
    rows, columns = np.indices(size, np.float32)
    shape = image_input(model)[1]
    x, y = (channels_first(prepare(plane, spec, shape), spec)[0, 0][place] for plane in (columns, rows))
    return float(x), float(y)


def _distance(point: np.ndarray, mask: np.ndarray) -> float:
    """From a point to the nearest pixel of the mask; 0 inside of one."""
    rows, columns = np.nonzero(mask)
    beside, above = (np.maximum(np.abs(apart) - 0.5, 0) for apart in (columns - point[0], rows - point[1]))
    return float(np.hypot(beside, above).min())
