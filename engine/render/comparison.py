"""comparison: several maps of the same pictures side by side: methods, layers or targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from .heatmap import FOOTER, HEADER, SIDE, Heat, write_header, write_legend
from .image_grid import below_each_other, image_grid

_COLUMNS = 6
_GAP = 8
_LEGENDS = (("0", "most; every map on its own scale"), ("against", "for; every map on its own scale"))


@dataclass(frozen=True)
class Panel:
    """One map and what stands below it."""

    heat: Heat
    caption: str
    over: bool  # the picture, in grey, or alone

    @property
    def pixels(self) -> np.ndarray:  # [H, W, 3] uint8
        return self.heat.overlay if self.over else self.heat.colours


def comparison_sheet(
    captions: Sequence[str],  # one a picture
    panels: Sequence[Sequence[Panel]],  # of each picture, which its first panel knows
    title: str,
    subtitle: str,
) -> Image.Image:
    """Each picture with its maps behind it, in as many rows as it takes; then the next picture."""
    grids = [_grid(caption, row) for caption, row in zip(captions, panels, strict=True)]
    kinds = sorted({panel.heat.signed for row in panels for panel in row})
    sheet = below_each_other(grids, HEADER, FOOTER * len(kinds))
    write_header(sheet, title, subtitle)
    for place, signed in enumerate(reversed(kinds), 1):
        low, high = _LEGENDS[signed]
        write_legend(sheet, signed, (low, high), sheet.height - place * FOOTER)
    return sheet


def _grid(caption: str, panels: Sequence[Panel]) -> Image.Image:
    planes = np.stack([panels[0].heat.picture, *(panel.pixels for panel in panels)])
    scale = max(1, round(SIDE / max(planes.shape[1:3])))
    words = [caption, *(panel.caption for panel in panels)]
    return image_grid(planes, columns=min(_COLUMNS, len(planes)), gap=_GAP, scale=scale, captions=words)
