"""layer_card: one layer's answer on one picture: the input, the feature maps, their histogram and statistics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from . import colormaps
from .figures import new_figure, to_picture
from .image_grid import Normalise, image_grid
from .lettering import INK, MUTED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MARGIN, _GUTTER, _HEADER, _SIDE = 28, 36, 78, 240  # pixels
_LAYOUTS = ((1, 1, 440), (3, 3, 300), (8, 4, 256), (math.inf, 8, 112))  # up to n maps: columns, pixels a side at most
_GAP = 8
_MIN_WIDTH = 540  # pixels beside the input, so that titles and notes fit
MOST_CELLS = 4096  # values of a dense layer that are drawn
_STRIP_CELLS, _STRIP_WIDTH, _CELL_HEIGHT, _MAX_CELL = 100, 900, 26, 24  # cells a row; pixels
_STRIP_PITCH = _CELL_HEIGHT + 6


@dataclass(frozen=True)
class Card:
    """What stands beside the maps."""

    title: str
    subtitle: str
    statistics: Sequence[tuple[str, str]]  # name, value
    histogram: np.ndarray  # [bins] counts
    edges: np.ndarray  # [bins + 1]
    picture: np.ndarray  # [H, W, 3] uint8, the network's input
    note: str = ""  # below the maps


def layer_card(
    values: np.ndarray,  # [C, H, W] maps, [C] a dense layer, [H, W] one map; other ranks as maps of the last two axes
    card: Card,
    channels: Sequence[int] | None = None,  # which to show, in this order; None: all
    colormap: str = "viridis",
    normalise: Normalise = "each",  # over which values the darkest and lightest colour are found
) -> Image.Image:
    """The picture of one layer.

    Raises InputError when there is no such colour map.
    """
    maps = _maps_picture(values, channels, colormap, normalise)
    height = max(maps.height + (28 if card.note else 0), _side_height(card))
    size = (2 * _MARGIN + _SIDE + _GUTTER + max(maps.width, _MIN_WIDTH), _HEADER + height + _MARGIN)
    figure = new_figure(*size)
    _header(figure, card)
    _side(figure, card)
    left, top = _MARGIN + _SIDE + _GUTTER, _HEADER
    axes = figure.add_axes(_box(figure, left, top, maps.width, maps.height))
    axes.imshow(np.asarray(maps), interpolation="none", aspect="auto")
    axes.set_axis_off()
    _text(figure, left, top + maps.height + 16, card.note, 9, MUTED)
    if values.ndim < 2:
        for row in range(math.ceil(min(values.size, MOST_CELLS) / _STRIP_CELLS)):
            place = top + row * _STRIP_PITCH + _CELL_HEIGHT // 2
            _text(figure, left - 8, place, str(row * _STRIP_CELLS), 8, MUTED, ha="right")
    return to_picture(figure)


def _maps_picture(
    values: np.ndarray, channels: Sequence[int] | None, colormap: str, normalise: Normalise
) -> Image.Image:
    if not values.size:
        return Image.new("RGB", (1, 1), "white")
    if values.ndim < 2:
        return strip(np.atleast_1d(values), colormap)
    maps = values.reshape(-1, *values.shape[-2:]).astype(np.float32)
    order = list(range(len(maps))) if channels is None or values.ndim != 3 else list(channels)
    columns, side = next((columns, side) for most, columns, side in _LAYOUTS if len(order) <= most)
    small = np.stack([shrunk(maps[channel], side) for channel in order])
    captions = [str(channel) for channel in order] if len(maps) > 1 else None
    scale = max(1, side // max(small.shape[1:]))
    grid = image_grid(
        small, min(columns, len(order)), colormap, _GAP, scale=scale, normalise=normalise, captions=captions
    )
    return grid.crop((_GAP, _GAP, grid.width - _GAP, grid.height))


def shrunk(plane: np.ndarray, side: int) -> np.ndarray:
    """A map of about `side` pixels a side at most, averaged by a whole factor where it is much larger."""
    factor = round(max(plane.shape) / side)
    if factor <= 1:
        return plane
    size = (math.ceil(plane.shape[1] / factor), math.ceil(plane.shape[0] / factor))
    return np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BOX))


def strip(values: np.ndarray, colormap: str = "viridis") -> Image.Image:  # values: [C]
    """A dense layer: a cell a value (of the first MOST_CELLS), row by row, all in one range of colours; signed: blue
    below 0, red above."""
    values = values[:MOST_CELLS]
    signed = bool(values.size and np.nanmin(values) < 0)
    width = min(len(values), _STRIP_CELLS)
    cell = min(_MAX_CELL, _STRIP_WIDTH // width)
    rows = math.ceil(len(values) / width)
    padded = np.full(rows * width, np.nan)
    padded[: len(values)] = values
    colours = colormaps.apply(padded.reshape(rows, width), "diverging" if signed else colormap)
    colours.reshape(-1, 3)[len(values) :] = 255
    enlarged = np.repeat(np.repeat(colours, _CELL_HEIGHT, 0), cell, 1).reshape(rows, _CELL_HEIGHT, width * cell, 3)
    gapped = np.full((rows, _STRIP_PITCH, width * cell, 3), 255, np.uint8)
    gapped[:, :_CELL_HEIGHT] = enlarged
    return Image.fromarray(gapped.reshape(-1, width * cell, 3))


def _header(figure: Figure, card: Card) -> None:
    _text(figure, _MARGIN, 24, card.title, 15, INK, weight="bold")
    _text(figure, _MARGIN, 48, card.subtitle, 10, MUTED)


def _side(figure: Figure, card: Card) -> None:
    """The input, the statistics and the histogram, below each other."""
    height = _picture_height(card)
    axes = figure.add_axes(_box(figure, _MARGIN, _HEADER, _SIDE, height))
    axes.imshow(card.picture, interpolation="antialiased", aspect="auto")
    axes.set_axis_off()
    top = _HEADER + height + 18
    for row, (name, value) in enumerate(card.statistics):
        _text(figure, _MARGIN, top + 19 * row, name, 9.5, MUTED)
        _text(figure, _MARGIN + _SIDE, top + 19 * row, value, 9.5, INK, ha="right")
    _histogram(figure, card, top + 19 * len(card.statistics) + 14)


def _histogram(figure: Figure, card: Card, top: int) -> None:
    axes = figure.add_axes(_box(figure, _MARGIN, top, _SIDE, 96))
    axes.stairs(card.histogram, card.edges, fill=True, color="#3b6ea5")
    axes.set_yscale("log")
    axes.set_ylim(bottom=0.5)
    axes.set_yticks([])
    axes.minorticks_off()
    axes.tick_params(labelsize=8, colors=MUTED, length=3)
    axes.locator_params(axis="x", nbins=5)
    for name, spine in axes.spines.items():
        spine.set_visible(name == "bottom")
        spine.set_color(MUTED)
    _text(figure, _MARGIN, top + 132, "values; their number on a log scale", 8, MUTED)


def _picture_height(card: Card) -> int:
    height, width = card.picture.shape[:2]
    return max(1, round(_SIDE * height / width))


def _side_height(card: Card) -> int:
    return _picture_height(card) + 18 + 19 * len(card.statistics) + 14 + 140


def _box(figure: Figure, left: int, top: int, width: int, height: int) -> tuple[float, float, float, float]:
    """Pixels from the top left as matplotlib's fractions from the bottom left."""
    whole = figure.get_size_inches() * figure.dpi
    return left / whole[0], 1 - (top + height) / whole[1], width / whole[0], height / whole[1]


def _text(
    figure: Figure, left: int, top: int, text: str, size: float, colour: str, ha: str = "left", weight: str = "normal"
) -> None:
    x, y, _, _ = _box(figure, left, top, 0, 0)
    figure.text(x, y, text, fontsize=size, color=colour, ha=ha, va="center", weight=weight, parse_math=False)
