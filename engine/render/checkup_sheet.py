"""The check-up's sheet: a row a fault: its channels on an image, and a healthy neighbour."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from . import colormaps
from .image_grid import paint
from .lettering import INK, MUTED, fitting, font

if TYPE_CHECKING:
    from ..checkup.findings import Checkup
    from ..checkup.samples import Cell, Sample, Samples

_SIDE = 112  # pixels of a map or filter
_GAP, _LINE = 12, 16
_PICTURE = 160  # pixels, the longer side of the image
_WIDTH = 5 * (2 * _SIDE + _GAP) + 2 * _GAP  # four channels and a neighbour, each with a filter beside its map


def checkup_sheet(found: Checkup, samples: Samples) -> Image.Image:
    """The image at the top; each fault's channels below it, the healthy one last; or the word that there is none.

    Maps of a row share one width of range, the healthy map's, each from its own smallest value; filters one range.
    """
    head = _GAP + _PICTURE + _GAP
    rows = [_row(sample) for sample in samples.rows]
    sheet = Image.new("RGB", (_WIDTH, head + sum(row.height for row in rows)), "white")
    _header(sheet, found, samples)
    top = head
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height
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
        lines.append("colours of a row's maps: from each map's smallest value, as far as the healthy one reaches")
    room = sheet.width - left - _GAP
    title = font(18, bold=True)
    draw.text((left, _GAP), fitting(f"Check-up of {found.model}", title, room), fill=INK, font=title)
    for place, line in enumerate(lines):
        draw.text((left, _GAP + 30 + 18 * place), fitting(line, font(12), room), fill=MUTED, font=font(12))


def _row(sample: Sample) -> Image.Image:
    finding = sample.finding
    row = Image.new("RGB", (_WIDTH, 4 * _LINE + _SIDE + _GAP), "white")
    draw = ImageDraw.Draw(row)
    draw.line((_GAP, 0, _WIDTH - _GAP, 0), fill="#d1d5db")
    count = f"{len(finding.channels)} channels" if len(finding.channels) > 1 else f"channel {finding.channels[0]}"
    text = f"{finding.kind}: {finding.layer}, {count}; {finding.number:.4g}, limit {finding.threshold:.4g}"
    draw.text((_GAP, 5), fitting(text, font(13, bold=True), _WIDTH - 2 * _GAP), fill=INK, font=font(13, bold=True))
    cells = [*sample.cells, *([] if sample.healthy is None else [sample.healthy])]
    reach, left = _reach(sample), _GAP
    for place, (cell, filter_) in enumerate(zip(cells, _filters(cells), strict=True)):
        if healthy := place == len(sample.cells):
            left += _GAP
        left = _place(row, cell, f"{'healthy' if healthy else 'channel'} {cell.channel}", left, reach, filter_)
    return row


def _filters(cells: Sequence[Cell]) -> Sequence[np.ndarray | None]:  # [h, w, 3] uint8 each
    """The filters' colours in one range, so that a weak one is grey beside a strong one."""
    filters = [cell.filter for cell in cells if cell.filter is not None]
    if len(filters) < len(cells):
        return [None] * len(cells)
    return list(paint(np.stack(filters), normalise="shared", zero_centred=True))


def _reach(sample: Sample) -> float:
    """The width of the row's range of colours."""
    measure = sample.cells if sample.healthy is None else (sample.healthy,)
    finite = [cell.values[np.isfinite(cell.values)] for cell in measure]
    return max((float(np.ptp(values)) for values in finite if values.size), default=0.0) or 1.0


def _place(row: Image.Image, cell: Cell, name: str, left: int, reach: float, filter_: np.ndarray | None) -> int:
    """Draw a channel at `left`; where the next begins."""
    start, top = left, 2 * _LINE - 4
    if filter_ is not None:
        row.paste(_enlarged(filter_), (left, top))
        left += _SIDE + 2
    finite = cell.values[np.isfinite(cell.values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (np.nan, np.nan)
    floor = low if finite.size else 0.0
    row.paste(_enlarged(colormaps.apply(cell.values, "inferno", floor, floor + reach)), (left, top))
    extent = f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}" if finite.size else "not finite"
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
