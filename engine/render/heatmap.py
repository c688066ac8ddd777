"""heatmap: a map of how much each pixel matters, alone and laid over the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image, ImageDraw

from . import colormaps
from .image_grid import image_grid
from .lettering import INK, MUTED, fitting, font

SIDE = 224  # pixels: smaller pictures are enlarged to about this
_GAP = 8
HEADER, FOOTER, _BAR = 50, 26, (120, 10)
_CLEAR, _COVERED = 0.1, 0.5  # strengths up to and from which the picture shows through fully and least
_OPACITY = 0.65  # there


@dataclass(frozen=True)
class Heat:
    """One map beside the picture it belongs to."""

    picture: np.ndarray  # [H, W, 3] uint8
    values: np.ndarray  # [H, W] numbers
    signed: bool = False  # whether values below 0 are as strong as those above
    percentile: float = 99.5  # of the magnitudes; it and all above get the last colour
    colormap: str = ""  # "": diverging for signed maps, inferno for others

    @cached_property
    def limit(self) -> float:
        """The magnitude from which on values have the last colour; 0 where all are 0."""
        magnitudes = np.abs(self._finite)
        return float(np.percentile(magnitudes, self.percentile)) or float(magnitudes.max())

    @cached_property
    def strength(self) -> np.ndarray:  # [H, W] in 0..1, or -1..1 of a signed map
        return np.clip(self._finite / (self.limit or 1.0), -1.0 if self.signed else 0.0, 1.0)

    @property
    def _finite(self) -> np.ndarray:  # what is not counts as 0
        return np.nan_to_num(np.asarray(self.values, np.float64), posinf=0, neginf=0)

    def extent(self, units: str) -> str:
        """The range of the colours: "0 to 3.2 score"."""
        ends = f"-{self.limit:.2g} to {self.limit:.2g}" if self.signed else f"0 to {self.limit:.2g}"
        return f"{ends} {units}".rstrip()

    @property
    def colours(self) -> np.ndarray:  # [H, W, 3] uint8
        """The map alone."""
        name = self.colormap or ("diverging" if self.signed else "inferno")
        return colormaps.apply(self.strength, name, -1 if self.signed else 0, 1)

    @property
    def overlay(self) -> np.ndarray:  # [H, W, 3] uint8
        """The map over the picture in grey, so that all colour is the map's; it shows through where the map is weak."""
        share = np.clip((np.abs(self.strength) - _CLEAR) / (_COVERED - _CLEAR), 0, 1)[..., None] * _OPACITY
        grey = self.picture.mean(-1, keepdims=True)
        return np.rint(grey * (1 - share) + self.colours * share).astype(np.uint8)


def heat_sheet(
    heats: Sequence[Heat],
    captions: Sequence[Sequence[str]],  # three an image, below its picture, its map and its overlay
    title: str,
    subtitle: str,
    legend: tuple[str, str, str],  # what the first and last colour mean, and a word on the scale
) -> Image.Image:
    """A row an image: the picture as the network sees it, the map, and the map over the picture."""
    planes = np.stack([plane for heat in heats for plane in (heat.picture, heat.colours, heat.overlay)])
    scale = max(1, round(SIDE / max(planes.shape[1:3])))
    words = [text for row in captions for text in row]
    grid = image_grid(planes, columns=3, gap=_GAP, scale=scale, captions=words)
    sheet = Image.new("RGB", (grid.width, HEADER + grid.height + FOOTER), "white")
    sheet.paste(grid, (0, HEADER))
    write_header(sheet, title, subtitle)
    low, high, note = legend
    write_legend(sheet, heats[0].signed, (low, f"{high}; {note}"), sheet.height - FOOTER, heats[0].colormap)
    return sheet


def write_header(sheet: Image.Image, title: str, subtitle: str) -> None:
    """Two lines at the top of a sheet."""
    draw = ImageDraw.Draw(sheet)
    for text, top, letters, colour in ((title, 8, font(15, bold=True), INK), (subtitle, 30, font(11), MUTED)):
        draw.text((_GAP, top), fitting(text, letters, sheet.width - 2 * _GAP), fill=colour, font=letters)


def write_legend(sheet: Image.Image, signed: bool, ends: tuple[str, str], top: int, colormap: str = "") -> None:
    """The colours from first to last, with their meaning on both sides, `FOOTER` pixels high."""
    draw, letters = ImageDraw.Draw(sheet), font(11)
    low, high = ends
    draw.text((_GAP, top + 4), low, fill=MUTED, font=letters)
    left = _GAP + round(letters.getlength(low)) + 6
    ramp = Heat(np.zeros((1, 1, 3), np.uint8), _ramp(signed), signed, colormap=colormap).colours
    sheet.paste(Image.fromarray(ramp).resize(_BAR, Image.Resampling.BILINEAR), (left, top + 7))
    room = sheet.width - left - _BAR[0] - 6 - _GAP
    draw.text((left + _BAR[0] + 6, top + 4), fitting(high, letters, room), fill=MUTED, font=letters)


def _ramp(signed: bool) -> np.ndarray:  # [1, 256]
    return np.linspace(-1 if signed else 0, 1, 256)[None]
