"""`onnxray deconvnet`: what a layer's units answer to, run back to the pixels by the deconvnet, without torch."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...engine.model import Model, load
from ...engine.render.projection_sheet import MOST_UNITS, evolution_sheet, projection_sheet
from ...engine.results import write_png
from ...importers.errors import InputError
from .. import explanation
from ..images import ImagesArgument, MemoryOption, progress_bar, warn_assumed, warn_skipped
from ..interrupt import INTERRUPTED, interruptible
from ..options import takes_model

if TYPE_CHECKING:
    from ...engine.backward.projections import Projections

_NAMED = 20  # units in a message


@takes_model
def deconvnet(
    model: Model,
    images: ImagesArgument,
    layer: Annotated[str, typer.Option(help="Feature map whose units are run back, a tensor or node.")],
    units: Annotated[
        str, typer.Option(help="top9: those that rise highest; all; or channels by number: 3,17,40.")
    ] = "top9",
    images_per_unit: Annotated[int, typer.Option(min=1, help="In which a unit is strongest.")] = 9,
    checkpoints: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="The same network at an earlier time, oldest first, again for more: a column each, MODEL's the last.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="A .png of 16 units, or a folder for all. [default: NAME.deconvnet.png]"),
    ] = None,
    save: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Keep what is drawn: PATH.npz, and all else in PATH.json.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    memory: MemoryOption = None,
) -> None:
    """What the units of a layer answer to: parts of images beside what the deconvnet makes of the unit there.

    Each unit is shown in the images in which it is strongest. Ctrl-C keeps what is done by then.
    """
    from ...engine.backward.projections import projections

    explanation.check_outputs(images, output, save)
    earlier = [_checkpoint(path, model) for path in checkpoints or ()]
    if earlier and json_:
        raise InputError("--checkpoints draws a sheet: --json has no place for several networks")
    with interruptible() as interrupt, progress_bar("units") as bar:
        found = projections(
            model,
            images,
            layer,
            units=_units(units),
            images_per_unit=images_per_unit,
            memory=memory,
            progress=interrupt.stops(bar),
        )
    if save is not None:
        found.save(save)
    if json_:
        print(json.dumps(found.to_json(), indent=1))
    if earlier and found.units:
        print(_draw_evolution(found, model, earlier, images, memory, output or Path(f"{model.name}.evolution.png")))
    elif output is not None or not json_:
        written = _draw(found, model, output or Path(f"{model.name}.deconvnet.png"))
        print(written, file=sys.stderr if json_ else sys.stdout)
    _say(found, model)
    if found.stopped:
        print(f"{found.stopped}; the rest is missing", file=sys.stderr)
        raise typer.Exit(INTERRUPTED)


def _units(text: str) -> str | list[int]:
    if text in ("top9", "all"):
        return text
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"--units expects top9, all or channels by number, 3,17,40; found {text!r}") from None


def _draw(found: Projections, model: Model, path: Path) -> str:
    """One sheet, or into a folder as many as it takes; returns what was written."""
    units = list(dict.fromkeys(found.units))
    if not units:
        return "no picture: none of these units rises above 0 in these images"
    title = _title(model)
    if path.suffix.lower() == ".png":
        write_png(path, projection_sheet(found, title))
        more = (
            f" (the first {MOST_UNITS} of {len(units)} units; -o FOLDER draws all)" if len(units) > MOST_UNITS else ""
        )
        return f"{path}{more}"
    path.mkdir(parents=True, exist_ok=True)
    sheets = [units[start : start + MOST_UNITS] for start in range(0, len(units), MOST_UNITS)]
    for some in sheets:
        write_png(path / f"units_{some[0]:04}_to_{some[-1]:04}.png", projection_sheet(found, title, some))
    return f"{len(sheets)} sheets in {path}"


def _draw_evolution(
    found: Projections, model: Model, earlier: Sequence[Model], images: list[str], memory: str | None, path: Path
) -> Path:
    """One sheet of the same units in all states of the network."""
    from ...engine.backward.projections import projections

    units = list(dict.fromkeys(found.units))
    states = [projections(one, images, found.layer, units=units, images_per_unit=1, memory=memory) for one in earlier]
    write_png(path, evolution_sheet([*states, found], [*(one.name for one in earlier), model.name], _title(model)))
    return path


def _title(model: Model) -> str:
    return f"What units answer to: {model.name}"


def _checkpoint(path: Path, model: Model) -> Model:
    """Read as the model was, which also says how images enter it."""
    found = load(path, companion=model.companion, **model.options)
    found.spec = model.spec
    return found


def _say(found: Projections, model: Model) -> None:
    if found.silent:
        shown = ", ".join(map(str, found.silent[:_NAMED])) + (" …" if len(found.silent) > _NAMED else "")
        print(f"never above 0 in these images: {len(found.silent)} units, {shown}", file=sys.stderr)
    for note in found.notes:
        print(f"note: {note}", file=sys.stderr)
    warn_skipped(found.skipped, len(found.pictures) + len(found.skipped))
    warn_assumed(model.spec)
