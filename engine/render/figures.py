"""matplotlib figures without pyplot: nothing global is touched, nothing is shown, every picture looks alike."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 100


def new_figure(width: int, height: int) -> Figure:
    """An empty white figure of this size in pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def to_picture(figure: Figure) -> Image.Image:
    """The figure as RGB pixels."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    return Image.open(buffer).convert("RGB")
