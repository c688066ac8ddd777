"""projection_sheet: what units answer to, beside the parts of the images in which they do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from .heatmap import HEADER, write_header
from .image_grid import below_each_other, image_grid

if TYPE_CHECKING:
    from ..backward.projections import Projections

MOST_UNITS = 16  # on one sheet
_TILE, _GAP = 112, 6  # pixels
_SPREAD = 99.5  # percentile of magnitudes that becomes black or white
_COARSE = 4  # pixels a pixel from which they are drawn as squares


def projection_sheet(found: Projections, title: str, units: Sequence[int] | None = None) -> Image.Image:
    """A row a unit: the parts of its images, and under each what the unit answers to there.

    A unit run back is drawn as colours around mid-grey, each on its own scale; both are cut to what the place can see.
    """
    shown = list(dict.fromkeys(found.units if units is None else units))[:MOST_UNITS]
    rows = [[_Cell.of(found, row, Path(found.images[row]).name) for row in _rows(found, unit)] for unit in shown]
    return _sheet(
        rows, title, f"{found.layer}: parts of images, and what the unit answers to in them, each on its own scale"
    )


def evolution_sheet(states: Sequence[Projections], names: Sequence[str], title: str) -> Image.Image:
    """A row a unit, a column a state of the network: where the unit is strongest, and what it answers to there."""
    units = list(dict.fromkeys(unit for found in states for unit in found.units))[:MOST_UNITS]
    rows = [
        [
            _Cell.of(found, row, name) if (row := next(iter(_rows(found, unit)), None)) is not None else None
            for found, name in zip(states, names, strict=True)
        ]
        for unit in units
    ]
    return _sheet(
        rows, title, f"{states[-1].layer}: the part where the unit is strongest, and what it answers to there"
    )


def _rows(found: Projections, unit: int) -> list[int]:
    return [row for row, other in enumerate(found.units) if other == unit]


@dataclass(frozen=True)
class _Cell:
    patch: np.ndarray  # [_TILE, _TILE, 3] uint8
    answer: np.ndarray
    words: str

    @classmethod
    def of(cls, found: Projections, row: int, name: str) -> _Cell:
        part = _part(found, row)
        patch = _tile(found.pictures[found.picture_of[row]][part])
        return cls(
            patch,
            _tile(_colours(found.maps[row][:, *part])),
            f"{found.units[row]}: {found.activations[row]:.3g}\n{name}",
        )


def _sheet(rows: Sequence[Sequence[_Cell | None]], title: str, subtitle: str) -> Image.Image:
    columns = max((len(row) for row in rows), default=1)
    grids = [_grid(row, columns) for row in rows]
    sheet = below_each_other(grids, HEADER, least=3 * _TILE)
    write_header(sheet, title, subtitle)
    return sheet


def _grid(row: Sequence[_Cell | None], columns: int) -> Image.Image:
    """The patches, and under them the answers."""
    white = np.full((_TILE, _TILE, 3), 255, np.uint8)
    blank = _Cell(white, white, "")
    cells = [cell or blank for cell in [*row, *[None] * (columns - len(row))]]
    planes = np.stack([*(cell.patch for cell in cells), *(cell.answer for cell in cells)])
    captions = [*(cell.words for cell in cells), *[""] * len(cells)]
    return image_grid(planes, columns=columns, gap=_GAP, scale=1, captions=captions)


def _part(found: Projections, row: int) -> tuple[slice, slice]:
    top, left, bottom, right = found.boxes[row]
    return slice(top, bottom), slice(left, right)


def _colours(planes: np.ndarray) -> np.ndarray:  # [C, H, W] -> [H, W, 3] uint8
    """Zero is mid-grey; nearly the largest magnitudes are black and white."""
    magnitudes = np.abs(planes[planes != 0])
    most = np.percentile(magnitudes, _SPREAD) if magnitudes.size else 1.0
    levels = np.clip(127.5 * (1 + np.moveaxis(planes, 0, -1) / most), 0, 255).astype(np.uint8)
    return np.broadcast_to(levels, (*levels.shape[:2], 3))


def _tile(pixels: np.ndarray) -> np.ndarray:  # [h, w, 3] uint8 -> [_TILE, _TILE, 3]
    """As large as fits, in the middle."""
    height, width = pixels.shape[:2]
    scale = _TILE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    way = Image.Resampling.NEAREST if scale > _COARSE else Image.Resampling.BICUBIC
    tile = Image.new("RGB", (_TILE, _TILE), "white")
    picture = Image.fromarray(np.ascontiguousarray(pixels)).resize(size, way)
    tile.paste(picture, ((_TILE - size[0]) // 2, (_TILE - size[1]) // 2))
    return np.asarray(tile)
