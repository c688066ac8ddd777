"""`onnxray report`: one offline HTML page with all of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ...engine.model import Model
from ..images import MemoryOption, ProvidersOption
from ..options import takes_model
from ..report.page import write_report


@takes_model
def report(
    model: Model,
    images: Annotated[
        list[str] | None, typer.Option(metavar="IMAGES", help="An image, folder or glob; may be given several times.")
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The page; default: MODEL.html here.")] = None,
    top: Annotated[int, typer.Option(min=1, help="How many classes an image.")] = 5,
    memory: MemoryOption = None,
    provider: ProvidersOption = None,
    shown: Annotated[int, typer.Option(min=1, help="How many images get feature maps on the page.")] = 12,
) -> None:
    """One offline HTML page: architecture, layers, weights, images, provenance; and report.json beside it."""
    from rich.console import Console

    console = Console(stderr=True)
    with console.status("report") as status:
        written = write_report(
            model,
            images or [],
            output or Path(f"{model.name}.html"),
            top=top,
            shown=shown,
            session=model.session(providers=provider, memory=memory),
            progress=lambda stage: status.update(f"report: {stage}"),
        )
    print(written.path)
    for _, reason in written.skipped:
        print(f"warning: skipped {reason}", file=sys.stderr)
