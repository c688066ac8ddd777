"""`onnxray explain`: which pixels a network's answer depends on."""

from __future__ import annotations

import dataclasses
import inspect
import io
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from PIL import Image
from rich import box
from rich.table import Table

from ...engine import quantities
from ...engine.methods import ATTRIBUTIONS, attribution_method
from ...engine.methods.attribution import Attribution, CertificateWarning
from ...engine.model import Model
from ...engine.results import file_name, saved_files, write_bytes
from ...importers.errors import InputError, nearest_names
from ..console import table_console
from ..images import ImagesArgument, MemoryOption, keep_images, progress_bar, warn_assumed, warn_skipped
from ..options import takes_model

_SHEET = 24  # rows on one sheet at most


@takes_model
def explain(
    model: Model,
    images: ImagesArgument,
    method: Annotated[str, typer.Option(help=f"One of {', '.join(ATTRIBUTIONS)}.")] = "grad_cam",
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="What is explained: a class by number or name, or LAYER, LAYER:CHANNEL, LAYER:CHANNEL:Y:X; again for "
            "more. Default: each image's own first class."
        ),
    ] = None,
    layer: Annotated[
        str | None, typer.Option(help="CAMs: feature map, a tensor or node. Default: the last one.")
    ] = None,
    signed: Annotated[
        bool, typer.Option("--signed", help="saliency: whether the pixel should be brighter or darker.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="A .png of all images, or a folder. [default: NAME.METHOD.png]"),
    ] = None,
    save: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Keep the maps: PATH.npz, a .png each, all else in PATH.json.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    memory: MemoryOption = None,
) -> None:
    """Which pixels an answer depends on: heat maps, by gradients straight from the model file."""
    run = _method(method, layer=layer, signed=signed or None)
    if output is not None and output.suffix and output.suffix.lower() != ".png" and not output.is_dir():
        raise InputError(f"-o expects a .png or a folder, found {output}")
    keep_images(images, [*(saved_files(save) if save is not None else ()), *([output] if output is not None else ())])
    with warnings.catch_warnings(), progress_bar(method) as progress:
        warnings.simplefilter("ignore", CertificateWarning)  # said below, in one line
        found = run(model, images, target=target or None, memory=memory, progress=progress)
    if save is not None:
        found.save(save)
    if output is not None or not json_:
        written = _write(found, model.name, output or Path(f"{model.name}.{method}.png"))
    if json_:
        print(json.dumps(found.to_json(), indent=1))
    else:
        _print(found)
        print(written)
    if not found.certified:
        print(f"warning: these gradients may not be the network's own: {found.certificate}", file=sys.stderr)
    warn_skipped(found.skipped, len(set(found.images)) + len(found.skipped))
    warn_assumed(model.spec)


def _method(name: str, **options: Any) -> Callable[..., Attribution]:
    """The method's function with the options that were given (not None).

    Raises InputError when there is no such method, or it takes no such option.
    """
    name = name.replace("-", "_").lower()
    if name not in ATTRIBUTIONS:
        raise InputError(f"no method {name!r}; {nearest_names(name, ATTRIBUTIONS)}")
    function = attribution_method(name)
    given = {option: value for option, value in options.items() if value is not None}
    foreign = [option for option in given if option not in inspect.signature(function).parameters]
    if foreign:
        raise InputError(f"{name} has no option --{foreign[0]}")
    return lambda *arguments, **more: function(*arguments, **given, **more)


def _print(found: Attribution) -> None:
    console = table_console()
    table = Table("image", "explained", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("score", justify="right")
    more = {}
    if found.probabilities is not None:
        more["probability"] = [quantities.share(float(value)) for value in found.probabilities]
    if found.gap is not None:
        more["gap"] = [f"{value:.2g}" for value in found.gap]
    for heading in more:
        table.add_column(heading, justify="right")
    for row, image in enumerate(found.images):
        rest = (values[row] for values in more.values())
        table.add_row(Path(image).name, found.targets[row], f"{found.scores[row]:.4g}", *rest)
    console.print(table)
    console.print(f"{ATTRIBUTIONS[found.method]} of {found.layer}: {found.meaning}.")
    for note in found.notes:
        console.print(f"Note: {note}.")
    console.print(f"Certificate: {found.certificate}")


def _write(found: Attribution, network: str, path: Path) -> str:
    """Write the pictures; returns what was written."""
    title = f"{ATTRIBUTIONS[found.method]}: {network}"
    if path.suffix.lower() == ".png":
        shown = _rows(found, slice(_SHEET))
        _save(shown.sheet(title), path)
        rest = len(found.images) - _SHEET
        return f"{path}" + (f" (the first {_SHEET} of {len(found.images)}; -o FOLDER draws all)" if rest > 0 else "")
    path.mkdir(parents=True, exist_ok=True)
    for row, image in enumerate(found.images):
        _save(_rows(found, slice(row, row + 1)).sheet(title), path / f"{row + 1:03}_{file_name(Path(image).stem)}.png")
    return f"{len(found.images)} pictures in {path}"


def _rows(found: Attribution, part: slice) -> Attribution:
    """The same for some of the images."""
    of_rows = ("images", "pictures", "maps", "raw", "targets", "scores", "probabilities", "gap")
    held = {name: getattr(found, name) for name in of_rows}
    return dataclasses.replace(found, **{name: value[part] for name, value in held.items() if value is not None})


def _save(picture: Image.Image, path: Path) -> None:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    write_bytes(path, buffer.getvalue())
