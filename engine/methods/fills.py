"""fills: what covers a patch."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ...importers.errors import InputError
from ..images import channels_first
from .baselines import BASELINES, Baseline, baseline_inputs, check_baseline
from .covered import Cover

if TYPE_CHECKING:
    from ..model import Model

Fill: TypeAlias = Baseline  # or zero, or shift:2

_ZERO, _MEAN, _SHIFT = "zero", "mean", re.compile(r"shift:([1-9]\d{0,3})")
_WORDS = (_ZERO, *BASELINES, "shift:PIXELS")


def check_fill(fill: Fill, layer: str | None) -> None:
    """Raise InputError unless the image, or that layer, can be covered by this."""
    if isinstance(fill, str) and (fill in (_ZERO, _MEAN) or _SHIFT.fullmatch(fill)):
        return
    if layer is not None:
        raise InputError(f"fill of a layer expects zero, mean or shift:PLACES, found {described(fill)!r}")
    check_baseline(fill, "fill", _WORDS)


def described(fill: Fill) -> str | int | float:
    return fill if isinstance(fill, str | int | float) else "a picture"


def covers(model: Model, batch: np.ndarray, layer: str | None, fill: Fill, seed: int) -> Cover:
    """What covers the batch's images, or that layer of theirs."""
    moved = _SHIFT.fullmatch(fill) if isinstance(fill, str) else None
    if moved is not None:
        return lambda row, planes: _shifted(planes, int(moved[1]))
    if isinstance(fill, str) and fill == _ZERO:
        return lambda row, planes: np.zeros_like(planes)
    if layer is not None:  # each channel's mean
        return lambda row, planes: np.broadcast_to(planes.mean((1, 2), keepdims=True), planes.shape)
    made = channels_first(baseline_inputs(model, batch, fill, seed), model.spec)
    return lambda row, planes: made[row]


def _shifted(planes: np.ndarray, places: int) -> np.ndarray:  # [C, H, W]
    """Moved down and right; the first row and column fill what is left."""
    rows, columns = (np.maximum(np.arange(size) - places, 0) for size in planes.shape[1:])
    moved: np.ndarray = planes[:, rows[:, None], columns]
    return moved
