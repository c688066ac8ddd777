"""`onnxray graph`: the architecture as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...engine.model import Model
from ..options import takes_model


@takes_model
def graph(
    model: Model,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A .svg, .png, .pdf, .dot or .html file. [default: NAME.svg]")
    ] = None,
    expand: Annotated[bool, typer.Option("--expand", help="A box for every node: no blocks, nothing fused.")] = False,
    metric: Annotated[
        str | None,
        typer.Option(help="Shade and size boxes by params, macs, time, receptive_field or activation_bytes."),
    ] = None,
    direction: Annotated[str, typer.Option(help="TB: top to bottom, LR: left to right.")] = "TB",
) -> None:
    """Draw the architecture. Blocks that repeat are drawn once, with their number."""
    from ...engine.structure.drawing.draw import draw

    times = None
    if metric == "time":
        from ...engine.profiling.operators import time_operators

        times = time_operators(model)
    path = output or Path(f"{model.name}.svg")
    draw(model, path, expand=expand, metric=metric, direction=direction, times=times)
    print(path)
