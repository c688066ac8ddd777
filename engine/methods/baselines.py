"""Baselines: images that say nothing, which methods compare an image with.

They are pictures, changed in pixels 0..255 and prepared as every picture is, so black is black whatever the network's
mean, scale and channel order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from PIL import Image, ImageFilter

from ...importers.errors import InputError
from ..image_files import as_rgb, pictures, pixel_values
from ..images import displayable, image_input, prepare
from .options import check_choice

if TYPE_CHECKING:
    from ..model import Model

# One of BASELINES, a colour #rrggbb, a grey level 0..255, or a picture [H, W(, 3)].
Baseline: TypeAlias = str | float | np.ndarray

_BLUR = 1 / 20  # standard deviation, as a share of the shorter side: 11 pixels of 224


def _black(picture: np.ndarray, seed: int) -> np.ndarray:
    return np.zeros_like(picture)


def _mean(picture: np.ndarray, seed: int) -> np.ndarray:
    """The image's own mean colour."""
    return np.broadcast_to(picture.mean((0, 1), dtype=np.float32), picture.shape)


def _blur(picture: np.ndarray, seed: int) -> np.ndarray:
    radius = _BLUR * min(picture.shape[:2])
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(radius)))


def _noise(picture: np.ndarray, seed: int) -> np.ndarray:
    """The same for every image."""
    return np.random.default_rng(seed).integers(0, 256, picture.shape, np.uint8)


BASELINES: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {  # picture [H, W, 3] uint8, seed -> picture
    "black": _black,
    "mean": _mean,
    "blur": _blur,
    "noise": _noise,
}


def check_baseline(baseline: Baseline, name: str = "baseline", words: Iterable[str] = BASELINES) -> None:
    """Raise InputError unless the option is one of these words, a colour, a grey level, or one picture."""
    if isinstance(baseline, str):
        if _colour(baseline) is None:
            check_choice(name, baseline, (*words, "a colour #rrggbb"))
    elif isinstance(baseline, np.ndarray):
        _given(baseline)
    elif isinstance(baseline, bool) or not isinstance(baseline, (int, float, np.number)) or not 0 <= baseline <= 255:
        raise InputError(f"{name} expects {', '.join(words)}, a grey level 0..255 or a picture, found {baseline!r}")


def baseline_inputs(
    model: Model,
    batch: np.ndarray,  # the network's input, n images
    baseline: Baseline,  # checked
    seed: int,
) -> np.ndarray:  # as the batch
    """The baseline of each image, as the network takes it."""
    shape = image_input(model)[1]
    changed = (_picture(displayable(image, model.spec), baseline, seed) for image in batch)
    made = [prepare(picture, model.spec, shape) for picture in changed]
    return np.concatenate(made).astype(batch.dtype, copy=False)


def _picture(picture: np.ndarray, baseline: Baseline, seed: int) -> np.ndarray:  # [H, W, 3] in 0..255
    if isinstance(baseline, str):
        colour = _colour(baseline)
        return BASELINES[baseline](picture, seed) if colour is None else np.full(picture.shape, colour, np.float32)
    if isinstance(baseline, np.ndarray):
        return _given(baseline)
    return np.full(picture.shape, baseline, np.float32)


def _colour(text: str) -> list[int] | None:
    """Red, green and blue of #rrggbb, 0..255."""
    return list(bytes.fromhex(text[1:])) if re.fullmatch("#[0-9a-fA-F]{6}", text) else None


def _given(array: np.ndarray) -> np.ndarray:  # [H, W, 3] in 0..255
    several = pictures(pixel_values(array))
    if len(several) != 1:
        raise InputError(f"baseline expects one picture, found {len(several)}")
    return as_rgb(several[0])
