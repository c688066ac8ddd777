"""image_grid: many small planes (filters, feature maps, patches) as one picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw

from . import colormaps
from .lettering import MUTED, fitting, font

Normalise = Literal["each", "shared"]

_WIDTH = 960  # pixels: what a grid is enlarged to at most, when no factor is given
_PLANE = 64  # pixels: what one plane is enlarged to at most
_CAPTION, _LINE = 11, 14  # pixels: height of a caption's letters, and from line to line


def image_grid(
    planes: np.ndarray,  # [K, H, W] numbers, or [K, H, W, 3] colours (uint8 as they are, others normalised)
    columns: int | None = None,  # None: as near to a square as K allows
    colormap: str = "grey",
    gap: int | None = None,  # pixels between planes; None: a tenth of a plane
    *,
    scale: int | None = None,  # pixels a value, a side; None: enough that a 3x3 filter is seen
    normalise: Normalise = "each",  # over which values the darkest and lightest are found
    zero_centred: bool = False,  # zero is the middle of the range, so that signs can be told apart
    captions: Sequence[str] | None = None,  # one a plane, written below it, of one line or several
    background: tuple[int, int, int] = (255, 255, 255),
) -> Image.Image:
    """Planes row by row, enlarged without smoothing.

    Raises ValueError when `planes` has another rank or `captions` another length.
    """
    colours = paint(np.asarray(planes), colormap, normalise, zero_centred)
    if captions is not None and len(captions) != len(colours):
        raise ValueError(f"expected a caption a plane, found {len(captions)} for {len(colours)} planes")
    lines = max((caption.count("\n") + 1 for caption in captions or ()), default=0)
    layout = _layout(colours.shape, columns, gap, scale, lines)
    picture = Image.new("RGB", layout.size, background)
    for index, plane in enumerate(colours):
        enlarged = np.repeat(np.repeat(plane, layout.scale, 0), layout.scale, 1)
        picture.paste(Image.fromarray(enlarged), layout.corner(index))
    if captions is not None:
        _write_captions(picture, layout, captions)
    return picture


def below_each_other(pictures: Sequence[Image.Image], above: int, below: int = 0, least: int = 1) -> Image.Image:
    """A white sheet of them, with so many free pixels above and below, at least so wide."""
    width = max([least, *(picture.width for picture in pictures)])
    sheet = Image.new("RGB", (width, above + sum(picture.height for picture in pictures) + below), "white")
    for picture in pictures:
        sheet.paste(picture, (0, above))
        above += picture.height
    return sheet


def paint(
    planes: np.ndarray, colormap: str = "grey", normalise: Normalise = "each", zero_centred: bool = False
) -> np.ndarray:  # [K, H, W, 3] uint8
    """The planes' colours, before any enlargement. Arguments as of `image_grid`."""
    if planes.ndim not in (3, 4) or (planes.ndim == 4 and planes.shape[3] != 3):
        raise ValueError(f"expected planes [K, H, W] or [K, H, W, 3], found shape {planes.shape}")
    if planes.ndim == 4 and planes.dtype == np.uint8:
        return planes
    centred = zero_centred or (planes.ndim == 3 and colormap in colormaps.ZERO_CENTRED)
    shared = colormaps.value_range(planes, centred) if normalise == "shared" else None
    painted = np.empty((*planes.shape[:3], 3), np.uint8)
    for index, plane in enumerate(planes):
        low, high = shared or colormaps.value_range(plane, centred)
        painted[index] = _colour(plane, low, high) if plane.ndim == 3 else colormaps.apply(plane, colormap, low, high)
    return painted


def _colour(plane: np.ndarray, low: float, high: float) -> np.ndarray:
    """[H, W, 3] numbers to uint8: one range for the three channels, so that grey stays grey."""
    levels = colormaps.apply(plane.reshape(len(plane), -1), "grey", low, high)[..., 0]
    return levels.reshape(plane.shape)


@dataclass(frozen=True)
class _Layout:
    """Where each plane of a grid stands, in pixels."""

    columns: int
    rows: int
    plane: tuple[int, int]  # width, height after enlargement
    gap: int
    scale: int
    caption: int  # height left below each plane

    @property
    def size(self) -> tuple[int, int]:
        width, height = self.plane
        cell = height + self.caption
        return self.columns * (width + self.gap) + self.gap, self.rows * (cell + self.gap) + self.gap

    def corner(self, index: int) -> tuple[int, int]:
        row, column = divmod(index, self.columns)
        width, height = self.plane
        return self.gap + column * (width + self.gap), self.gap + row * (height + self.caption + self.gap)


def _layout(shape: tuple[int, ...], columns: int | None, gap: int | None, scale: int | None, lines: int) -> _Layout:
    count, height, width = shape[:3]
    columns = columns or _squarest(count, height, width)
    if scale is None:
        scale = max(1, min(_PLANE // max(height, width, 1), int(_WIDTH / 1.1) // max(columns * width, 1)))
    plane = (width * scale, height * scale)
    if gap is None:
        gap = max(1, min(round(min(plane) / 10), 8)) if not lines else 8
    caption = lines * _LINE + 2 if lines else 0
    return _Layout(columns, max(1, math.ceil(count / columns)), plane, gap, scale, caption)


def _squarest(count: int, height: int, width: int) -> int:
    """Columns of the grid nearest to a square: full rows where a shape at most twice as wide as high has them."""
    side = max(1, math.ceil(math.sqrt(count * height / max(width, 1))))
    full = [columns for columns in range(side, min(count, round(1.5 * side)) + 1) if count % columns == 0]
    return min(full[0] if full else side, max(count, 1))


def _write_captions(picture: Image.Image, layout: _Layout, captions: Sequence[str]) -> None:
    draw = ImageDraw.Draw(picture)
    letters = font(_CAPTION)
    width, height = layout.plane
    for index, caption in enumerate(captions):
        x, y = layout.corner(index)
        for line, text in enumerate(caption.split("\n")):
            shown = fitting(text, letters, width + layout.gap - 2)
            draw.text((x, y + height + 2 + line * _LINE), shown, fill=MUTED, font=letters)
