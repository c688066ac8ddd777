"""Filters as pictures: colours where a layer sees the image, grey planes deeper, a matrix where kernels are 1x1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from . import colormaps
from .image_grid import image_grid
from .lettering import INK, MUTED, fitting, font

if TYPE_CHECKING:
    from ..structure.filters import FilterKinds, Filters

MOST_FILTERS, MOST_CHANNELS = 20, 16  # of a deeper layer, drawn as rows and columns
MOST_PLANES = 256  # filters of one plane each, or of colours
MOST_CELLS = (256, 512)  # outputs and inputs of a matrix
_MARGIN, _TITLE, _TEXT, _NUMBER = 28, 18, 12, 10  # pixels
_MATRIX_WIDTH = 1024  # pixels
_GAP = 8  # pixels
_FIRST_PLANE, _DEEP_PLANE = 64, 42  # pixels a side that a plane is enlarged to at most


@dataclass(frozen=True)
class FilterGrid:
    """A picture of filters and what it shows."""

    picture: Image.Image
    note: str  # what which filters were chosen, how values became colours


def filter_grid(found: Filters) -> FilterGrid:
    """The filters of one layer.

    Zero is mid-grey (white in a matrix). A filter's values are divided by its own largest magnitude; a dead filter is
    flat. What does not fit is left out by a rule that the note states.
    """
    out, inputs, height, width = found.values.shape
    if not found.values.size:
        return FilterGrid(Image.new("RGB", (1, 1), "white"), "no values.")
    values = _shown(found.values, found.living)
    if found.colours is not None:
        colours = _shown(found.colours, found.living)[:MOST_PLANES]
        return FilterGrid(_planes(colours), f"{_first(len(colours), len(values))} in colour, zero is mid-grey.")
    if height * width == 1:
        return _matrix(found.values[:, :, 0, 0])
    if inputs == 1:
        planes = values[:MOST_PLANES, 0]
        return FilterGrid(_planes(planes), f"{_first(len(planes), out)}, one plane each; zero is mid-grey.")
    return _rows(values)


def _shown(values: np.ndarray, living: np.ndarray) -> np.ndarray:
    """NaN, which is painted mid-grey, for the filters that are dead and for what is not finite."""
    return np.where(living[:, None, None, None] & np.isfinite(values), values, np.nan)


def _first(shown: int, count: int) -> str:
    return f"all {count} filters" if shown == count else f"the first {shown} of {count} filters"


def _planes(planes: np.ndarray) -> Image.Image:  # [K, kh, kw] or [K, kh, kw, 3]
    scale = max(1, _FIRST_PLANE // max(planes.shape[1:3]))
    captions = [str(index) for index in range(len(planes))]
    grid = image_grid(planes, gap=_GAP, scale=scale, zero_centred=True, captions=captions)
    return grid.crop((_GAP, _GAP, grid.width - _GAP, grid.height))


def _rows(values: np.ndarray) -> FilterGrid:  # [out, in, kh, kw]
    """A row a filter, a column an input channel: the strongest of both, in the order of their numbers."""
    energy = np.nan_to_num(np.square(values).sum(axis=(2, 3)))
    rows = _strongest(energy.sum(1), MOST_FILTERS)
    columns = _strongest(energy[rows].sum(0), MOST_CHANNELS)
    shown = values[np.ix_(rows, columns)]
    largest = np.nanmax(np.abs(shown), axis=(1, 2, 3), keepdims=True, initial=0)
    planes = (shown / np.where(largest > 0, largest, 1)).reshape(-1, *values.shape[2:])
    scale, gap = max(1, _DEEP_PLANE // max(planes.shape[1:])), 5
    grid = image_grid(planes, columns=len(columns), gap=gap, scale=scale, normalise="shared", zero_centred=True)
    cell = (planes.shape[2] * scale + gap, planes.shape[1] * scale + gap)
    note = (
        f"a row a filter ({_strongest_note(len(rows), len(values))}), a column an input channel "
        f"({_strongest_note(len(columns), values.shape[1])}); zero is mid-grey, each row has its own range."
    )
    return FilterGrid(_labelled(grid, rows, columns, cell, gap), note)


def _strongest(energy: np.ndarray, most: int) -> np.ndarray:
    return np.sort(np.argsort(-energy, kind="stable")[:most])


def _strongest_note(shown: int, count: int) -> str:
    return f"all {count}" if shown == count else f"the {shown} strongest of {count}"


def _labelled(
    grid: Image.Image,
    rows: Sequence[int] | np.ndarray,
    columns: Sequence[int] | np.ndarray,
    cell: tuple[int, int],
    gap: int,
) -> Image.Image:
    """The grid with the numbers of filters at its left and of input channels above."""
    left, top = 40, 20
    picture = Image.new("RGB", (grid.width + left, grid.height + top), "white")
    picture.paste(grid, (left, top))
    draw, letters = ImageDraw.Draw(picture), font(_NUMBER)
    width, height = cell[0] - gap, cell[1] - gap
    for place, index in enumerate(columns):
        x = left + gap + place * cell[0] + width / 2
        draw.text((x, top - 2), str(index), fill=MUTED, font=letters, anchor="md")
    for place, index in enumerate(rows):
        y = top + gap + place * cell[1] + height / 2
        draw.text((left - 4, y), str(index), fill=MUTED, font=letters, anchor="rm")
    return picture


def _matrix(matrix: np.ndarray) -> FilterGrid:  # [out, in]
    """1x1 kernels and dense layers: a row an output, a column an input, blue below zero and red above."""
    rows, columns = MOST_CELLS
    shown = matrix[:rows, :columns]
    reach = float(np.quantile(np.abs(shown[np.isfinite(shown)]), 0.995)) if np.isfinite(shown).any() else 0.0
    colours = colormaps.apply(shown, "diverging", -reach, reach)
    scale = max(1, min(16, _MATRIX_WIDTH // colours.shape[1]))
    enlarged = np.repeat(np.repeat(colours, scale, 0), scale, 1)
    note = (
        f"a row an output ({_first_of(shown.shape[0], len(matrix))}), a column an input "
        f"({_first_of(shown.shape[1], matrix.shape[1])}); blue below zero, red above, full colour at ±{reach:.3g}."
    )
    return FilterGrid(Image.fromarray(enlarged), note)


def _first_of(shown: int, count: int) -> str:
    return f"all {count}" if shown == count else f"the first {shown} of {count}"


def filter_sheet(found: Filters, kinds: FilterKinds | None = None) -> Image.Image:
    """The grid under a heading: layer, shape and, for a first layer, how many filters are grey, coloured, oriented."""
    grid = filter_grid(found)
    lines = [_heading(found), *([kinds_text(kinds)] if kinds else []), grid.note]
    letters, title = font(_TEXT), font(_TITLE, bold=True)
    body = max(grid.picture.width, int(max(letters.getlength(line) for line in lines)) + 1)
    top = _MARGIN + _TITLE + 16 + 20 * len(lines) + 12
    picture = Image.new("RGB", (body + 2 * _MARGIN, top + grid.picture.height + _MARGIN), "white")
    draw = ImageDraw.Draw(picture)
    draw.text((_MARGIN, _MARGIN), fitting(found.layer, title, body), fill=INK, font=title, anchor="lt")
    for place, line in enumerate(lines):
        draw.text((_MARGIN, _MARGIN + _TITLE + 14 + 20 * place), line[0].upper() + line[1:], fill=MUTED, font=letters)
    picture.paste(grid.picture, (_MARGIN, top))
    return picture


def _heading(found: Filters) -> str:
    out, inputs, height, width = found.values.shape
    if height * width == 1:
        return f"{found.op or found.role}, {out} outputs of {inputs} inputs, {found.weight}"
    return f"{found.op or found.role}, {out} filters of {inputs} × {height} × {width}, {found.weight}"


def kinds_text(kinds: FilterKinds) -> str:
    """How many filters are grey, coloured, oriented and dead, in a line."""
    living = int(kinds.living.sum())
    colour = (("grey", kinds.grey), ("coloured", kinds.colour)) if kinds.channels != "GREY" else ()
    counts = (*colour, ("oriented", kinds.oriented))
    told = [f"{name} {100 * int(mask.sum()) / max(living, 1):.0f} %" for name, mask in counts]
    dead = len(kinds.living) - living
    return ", ".join(told) + f" of {living} filters" + (f"; {dead} dead" if dead else "")
