"""surface: one feature map as a landscape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from .colormaps import table
from .figures import new_figure, to_picture
from .lettering import INK, MUTED

if TYPE_CHECKING:
    from matplotlib.colors import ListedColormap

_WIDTH, _HEIGHT = 900, 680  # pixels


def surface(plane: np.ndarray, title: str, colormap: str = "viridis") -> Image.Image:  # plane: [H, W]
    """The map's values as heights; rows run away from the eye, the image's upper edge is at the back.

    Raises ValueError when `plane` has another rank.
    """
    if plane.ndim != 2:
        raise ValueError(f"expected one map [H, W], found shape {plane.shape}")
    figure = new_figure(_WIDTH, _HEIGHT)
    axes: Any = figure.add_axes((0.0, -0.02, 1.0, 0.98), projection="3d")  # an Axes3D, which add_axes does not say
    rows, columns = np.mgrid[: plane.shape[0], : plane.shape[1]]
    axes.plot_surface(
        columns, rows, plane, cmap=_matplotlib_map(colormap), rcount=160, ccount=160, linewidth=0, antialiased=True
    )
    axes.view_init(elev=38, azim=-62)
    axes.invert_yaxis()
    axes.set_box_aspect((plane.shape[1], plane.shape[0], 0.45 * max(plane.shape)), zoom=1.05)
    for axis, label in ((axes.xaxis, "column"), (axes.yaxis, "row"), (axes.zaxis, "value")):
        axis.set_pane_color((1, 1, 1, 0))
        axis.line.set_color(MUTED)
        axis.set_label_text(label, color=MUTED, fontsize=9)
        axis.set_tick_params(labelsize=8, labelcolor=MUTED)
    figure.text(0.04, 0.95, title, fontsize=15, color=INK, weight="bold", va="center", parse_math=False)
    return to_picture(figure)


def _matplotlib_map(name: str) -> ListedColormap:
    from matplotlib.colors import ListedColormap

    return ListedColormap(table(name) / 255)
