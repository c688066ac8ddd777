"""`onnxray checkup`: what is wrong with a trained convolutional network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...engine import quantities
from ...engine.checkup.checkup import LEAST_IMAGES
from ...engine.checkup.checkup import checkup as check_up
from ...engine.checkup.findings import KINDS, Checkup, Finding
from ...engine.checkup.samples import samples
from ...engine.model import Model
from ...engine.render.checkup_sheet import checkup_sheet
from ...engine.results import write_png
from ...importers.errors import InputError
from ..console import end_of, table_console
from ..images import MemoryOption, keep_images, progress_bar, warn_assumed, warn_skipped
from ..options import takes_model

if TYPE_CHECKING:
    from rich.console import Console

_NUMBERS_WIDTH, _SHORTEST_NAME = 64, 12  # columns of the table beside the layer's name, and of that at least
_LISTED = 6  # channels of a finding in the table
_BEYOND = {"dead": "≤", "always on": "<"}  # a number is a fault when it is that to the threshold; else ">"


@takes_model
def checkup(
    model: Model,
    images: Annotated[
        list[str] | None,
        typer.Option(metavar="IMAGES", help="An image, folder or glob; may be given several times."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A .png: every fault beside a healthy channel.")
    ] = None,
    layer: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Only these layers; * for any part; again for more.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    memory: MemoryOption = None,
) -> None:
    """Dead, stuck and duplicate filters, aliasing and blocked contrast: what is wrong with a trained network."""
    if not images:
        raise InputError("expected --images with a folder of images such as the network is made for, found none")
    if output is not None:
        if output.suffix.lower() != ".png":
            raise InputError(f"-o expects a .png, found {output}")
        keep_images(images, [output])
    session = model.session(memory=memory)
    with progress_bar("checkup") as progress:
        found = check_up(model, images, layer or None, session=session, progress=progress)
    if output is not None:
        write_png(output, checkup_sheet(found, samples(model, found, images, session=session)))
    if json_:
        print(json.dumps(found.to_json(), indent=1))
    else:
        _print(found, output, some=bool(layer))
    warn_skipped(found.skipped, found.images + len(found.skipped))
    warn_assumed(model.spec)


def _print(found: Checkup, output: Path | None, some: bool) -> None:
    console = table_console()
    seen = f"{_of(found.units, 'unit')} and {_of(found.filters, 'filter')}, {_of(found.images, 'image')}"
    if found.healthy:
        where = " in these layers" if some else ""
        console.print(f"{found.model} is healthy{where}: {seen}.", soft_wrap=True)
    else:
        _print_findings(found.findings, console)
        faulty = {(finding.layer, channel) for finding in found.findings for channel in finding.faulty}
        faults = _of(len(faulty), "channel")
        console.print(f"{faults} with a fault; looked at {seen}.", soft_wrap=True)
        for kind in KINDS:
            if any(finding.kind == kind for finding in found.findings):
                console.print(f"{kind}: {KINDS[kind]}", soft_wrap=True)
    if any(finding.kind == "dead" for finding in found.findings):
        share = quantities.share(found.rarest)
        console.print(f"What no image woke may still answer up to {share} of such images (95 % confidence).")
    if not found.units and not found.not_judged:
        console.print("No activation function behind a convolution was found: only filters were judged.")
    if found.not_judged:
        console.print(
            f"Not judged: {len(found.not_judged)} layers of one value an image, which need {LEAST_IMAGES} images.",
            soft_wrap=True,
        )
    if output is not None:
        console.print(str(output), soft_wrap=True)


def _print_findings(findings: tuple[Finding, ...], console: Console) -> None:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("layer", "channels", "found"):
        table.add_column(heading, no_wrap=True)
    for heading in ("number", "threshold"):
        table.add_column(heading, justify="right", no_wrap=True)
    room = max(console.width - _NUMBERS_WIDTH, _SHORTEST_NAME)
    for finding in findings:
        threshold = f"{_BEYOND.get(finding.kind, '>')} {finding.threshold:.5g}"
        numbers = f"{finding.number:.5g}", "" if finding.kind == "not finite" else threshold
        table.add_row(end_of(finding.layer, room), _channels(finding.channels), finding.kind, *numbers)
    console.print(table)


def _channels(channels: tuple[int, ...]) -> str:
    listed = " ".join(str(channel) for channel in channels[:_LISTED])
    return listed if len(channels) <= _LISTED else f"{listed} … ({len(channels)})"


def _of(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
