"""Histograms: many as one picture, and one as a line of text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from .figures import new_figure, to_picture
from .lettering import INK, MUTED

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BLOCKS = " ▁▂▃▄▅▆▇█"
_PANEL, _NOTE = (280, 150), 20  # pixels
_TITLE = 36  # characters a panel's title may have
_BAR, _LINE = "#3b6ea5", "#d5d9e0"


@dataclass(frozen=True)
class Histogram:
    """Counts of values in equally wide bins from `low` to `high`."""

    counts: np.ndarray  # [bins] int64
    low: float
    high: float

    @property
    def edges(self) -> np.ndarray:  # [bins + 1]
        """Where the bins begin and end."""
        return np.linspace(self.low, self.high, len(self.counts) + 1)


def histograms(
    panels: Sequence[tuple[str, Histogram]],  # title, histogram
    *,
    columns: int = 4,
    log: bool = False,  # count on a logarithmic axis, on which rare values are seen
) -> Image.Image:
    """Histograms side by side, each over its own range; a dashed line marks zero."""
    columns = max(1, min(columns, len(panels)))
    rows = max(1, math.ceil(len(panels) / columns))
    width, height = columns * _PANEL[0], rows * _PANEL[1] + (_NOTE if log else 0)
    figure = new_figure(width, height)
    margin, above, below = 16, 30, 30 + (_NOTE if log else 0)
    figure.subplots_adjust(
        left=margin / width, right=1 - margin / width, top=1 - above / height, bottom=below / height, hspace=0.75
    )
    for place, (title, found) in enumerate(panels):
        _draw(figure.add_subplot(rows, columns, place + 1), found, title, log)
    if log:
        note = "the number of values is on a log scale; dashed: zero"
        figure.text(margin / width, 10 / height, note, fontsize=7.5, color=MUTED, va="center")
    return to_picture(figure)


def _draw(axes: Axes, found: Histogram, title: str, log: bool) -> None:
    axes.stairs(found.counts, found.edges, fill=True, color=_BAR)
    if log and found.counts.any():
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.5)
    axes.set_yticks([])
    axes.minorticks_off()
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(_LINE)
    if found.low < 0 < found.high:
        axes.axvline(0, color=MUTED, linewidth=0.7, linestyle=(0, (3, 3)))
    axes.set_xlim(found.low, found.high)
    _ticks(axes)
    axes.set_title(_short(title), loc="left", fontsize=8.5, color=INK, parse_math=False)


def _ticks(axes: Axes) -> None:
    axes.locator_params(axis="x", nbins=4)
    axes.ticklabel_format(axis="x", scilimits=(-3, 4), useMathText=True)
    axes.xaxis.get_offset_text().set(fontsize=7, color=MUTED)
    axes.tick_params(axis="x", colors=MUTED, labelsize=8, length=2)


def _short(title: str) -> str:
    """The end of a long name: what tells layers apart stands there."""
    return title if len(title) <= _TITLE else "…" + title[-_TITLE + 1 :]


def sparkline(counts: np.ndarray, width: int = 16) -> str:
    """A histogram as a line of blocks; a bin with anything in it never looks empty."""
    counts = np.asarray(counts, np.float64)
    edges = np.linspace(0, len(counts), width + 1).round().astype(int)
    sums = np.array([counts[first:end].sum() for first, end in pairwise(edges)])
    if not sums.any():
        return " " * width
    levels = np.ceil(sums / sums.max() * (len(_BLOCKS) - 1)).astype(int)
    return "".join(_BLOCKS[level] for level in levels)
