"""The letters on pictures that Pillow draws: the typeface of matplotlib's figures, which knows ×, ± and …."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from PIL import ImageFont

_LONGEST = 500  # characters that are measured: Pillow's layout gives up on very many
INK, MUTED = "#1f2430", "#6b7280"  # of every letter in a picture


@cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:  # pixels
    """DejaVu Sans, which comes with matplotlib."""
    import matplotlib

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


def fitting(text: str, letters: ImageFont.FreeTypeFont, width: float) -> str:
    """`text`, shortened with an ellipsis until it is at most `width` pixels long; empty when nothing fits."""
    if len(text) <= _LONGEST and letters.getlength(text) <= width:
        return text
    text = text[:_LONGEST]
    while text and letters.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…" if text else ""
