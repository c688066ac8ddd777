"""The check-up's sheet: a row a fault: its channels on an image, and a healthy neighbour."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from . import colormaps
from .image_grid import Normalise, below_each_other, paint
from .lettering import INK, MUTED, fitting, font

if TYPE_CHECKING:
    from ..checkup.findings import Checkup
    from ..checkup.samples import Cell, Sample, Samples

_SIDE = 112  # pixels of a map or filter
_GAP, _LINE = 12, 16
_PICTURE = 160  # pixels, the longer side of the image
_NARROWEST = 720
_LEAST = 1e-30  # the range of a map of zeros beside no healthy one


def checkup_sheet(found: Checkup, samples: Samples) -> Image.Image:
    """The image at the top; each fault's channels below it, the healthy one last; or the word that there is none.

    A map's colours go from 0, or what is below, to its largest value, or the healthy map's where that is larger.
    """
    head = _GAP + _PICTURE + _GAP
    width = max((_width(sample) for sample in samples.rows), default=0)
    rows = [_row(sample, max(width, _NARROWEST)) for sample in samples.rows]
    sheet = below_each_other(rows, head, least=_NARROWEST)
    _header(sheet, found, samples)
    return sheet


def _header(sheet: Image.Image, found: Checkup, samples: Samples) -> None:
    picture = Image.fromarray(samples.picture)
    factor = _PICTURE / max(picture.size)
    picture = picture.resize((max(1, round(picture.width * factor)), max(1, round(picture.height * factor))))
    sheet.paste(picture, (_GAP, _GAP))
    draw, left = ImageDraw.Draw(sheet), 2 * _GAP + picture.width
    lines = [
        f"{found.images} images, {found.units} units, {found.filters} filters",
        f"maps of {Path(samples.image).name}",
    ]
    if found.healthy:
        lines.append("nothing to show: no fault was found")
    else:
        lines.append(f"{len(samples.rows)} of {len(found.findings)} findings; a filter stands before its map")
        lines.append("colours of a map: from 0 to its largest value, or the healthy map's if that is larger")
    room = sheet.width - left - _GAP
    title = font(18, bold=True)
    draw.text((left, _GAP), fitting(f"Check-up of {found.model}", title, room), fill=INK, font=title)
    for place, line in enumerate(lines):
        draw.text((left, _GAP + 30 + 18 * place), fitting(line, font(12), room), fill=MUTED, font=font(12))


def _cells(sample: Sample) -> list[Cell]:
    return [*sample.cells, *([] if sample.healthy is None else [sample.healthy])]


def _width(sample: Sample) -> int:
    """Pixels that a row takes."""
    filters = sum(cell.filter is not None for cell in _cells(sample))
    return 3 * _GAP + len(_cells(sample)) * (_SIDE + _GAP) + filters * (_SIDE + 2)


def _row(sample: Sample, width: int) -> Image.Image:
    finding, cells = sample.finding, _cells(sample)
    row = Image.new("RGB", (width, 4 * _LINE + _SIDE + _GAP), "white")
    draw = ImageDraw.Draw(row)
    draw.line((_GAP, 0, width - _GAP, 0), fill="#d1d5db")
    count = f"{len(finding.channels)} channels" if len(finding.channels) > 1 else f"channel {finding.channels[0]}"
    limit = "" if finding.kind == "not finite" else f", limit {finding.threshold:.4g}"
    text = f"{finding.kind}: {finding.layer}, {count}; {finding.number:.4g}{limit}"
    draw.text((_GAP, 5), fitting(text, font(13, bold=True), width - 2 * _GAP), fill=INK, font=font(13, bold=True))
    reach, left = _extent(sample.healthy)[1], _GAP
    for place, (cell, filter_) in enumerate(zip(cells, _filters(cells, finding.kind), strict=True)):
        if healthy := place == len(sample.cells):
            left += _GAP
        left = _place(row, cell, f"{'healthy' if healthy else 'channel'} {cell.channel}", left, reach, filter_)
    return row


def _filters(cells: Sequence[Cell], kind: str) -> Sequence[np.ndarray | None]:  # [h, w, 3] uint8 each
    """The filters' colours; in one range where strength is the fault, so that a weak one is grey beside a strong."""
    filters = [cell.filter for cell in cells if cell.filter is not None]
    if len(filters) < len(cells):
        return [None] * len(cells)
    normalise: Normalise = "shared" if kind in ("dead", "contrast") else "each"
    return list(paint(np.stack(filters), normalise=normalise, zero_centred=True))


def _extent(cell: Cell | None) -> tuple[float, float]:
    """Smallest and largest finite value of a map; NaN where there is none."""
    finite = np.empty(0) if cell is None else cell.values[np.isfinite(cell.values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (np.nan, np.nan)


def _place(row: Image.Image, cell: Cell, name: str, left: int, reach: float, filter_: np.ndarray | None) -> int:
    """Draw a channel at `left`; where the next begins."""
    start, top = left, 2 * _LINE - 4
    if filter_ is not None:
        row.paste(_enlarged(filter_), (left, top))
        left += _SIDE + 2
    low, high = _extent(cell)
    darkest, lightest = np.fmin(low, 0.0), np.fmax(high, reach)
    colours = colormaps.apply(cell.values, "inferno", float(darkest), float(np.fmax(lightest, darkest + _LEAST)))
    row.paste(_enlarged(colours), (left, top))
    extent = "not finite" if np.isnan(low) else f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
    for line, text in enumerate((name, extent)):
        shown = fitting(text, font(11), left + _SIDE - start)
        ImageDraw.Draw(row).text((start, top + _SIDE + 2 + 14 * line), shown, fill=MUTED, font=font(11))
    return left + _SIDE + _GAP


def _enlarged(colours: np.ndarray) -> Image.Image:  # [h, w, 3] uint8
    """A square of _SIDE pixels without smoothing; what is not square is centred."""
    height, width = colours.shape[:2]
    factor = _SIDE / max(height, width, 1)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    inner = Image.fromarray(colours).resize(size, Image.Resampling.NEAREST)
    square = Image.new("RGB", (_SIDE, _SIDE), "#f3f4f6")
    square.paste(inner, ((_SIDE - size[0]) // 2, (_SIDE - size[1]) // 2))
    return square
