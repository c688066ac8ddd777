"""`onnxray explain`: which pixels a network's answer depends on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from ...engine.methods import ATTRIBUTIONS
from ...engine.model import Model
from ...importers.errors import InputError
from .. import explanation, exporting
from ..attributions import ALL, one_run, run_all, runs_of_layers, several_runs, takes_method_options
from ..images import MemoryOption
from ..options import takes_model


@takes_model
@takes_method_options
def explain(
    model: Model,
    images: Annotated[
        list[str] | None,
        typer.Argument(metavar="IMAGES", help="Image files, folders, globs, or .npy and .npz arrays."),
    ] = None,
    method: Annotated[str, typer.Option(help=f"{', '.join(ATTRIBUTIONS)}; all: a sheet with every one.")] = "grad_cam",
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="What is explained: a class by number or name, or LAYER, LAYER:CHANNEL, LAYER:CHANNEL:Y:X; again for "
            "more. Default: each image's own first class."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="A .png of all images, or a folder. [default: NAME.METHOD.png]"),
    ] = None,
    compare_methods: Annotated[
        str | None, typer.Option(metavar="A,B,…", help="One sheet with these methods side by side.")
    ] = None,
    compare_layers: Annotated[
        str | None, typer.Option(metavar="A,B,…", help="One sheet with the CAM of --method at each of these layers.")
    ] = None,
    save: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Keep the maps: PATH.npz, a .png each, all else in PATH.json.")
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Test the maps: do they find what the score depends on, do they need the network?"
        ),
    ] = False,
    export: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH.onnx",
            help="Write the network with the heat map of --method as one more output, as ONNX; needs no image.",
        ),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    memory: MemoryOption = None,
    *,
    options: Mapping[str, Any],
) -> None:
    """Which pixels an answer depends on: heat maps, by gradients straight from the model file."""
    if export is not None:
        exporting.export_heat_map(model, method, target or [], options, export)
        return
    if not images:
        raise InputError("expected an image to explain, found none; --export needs none")
    explanation.check_outputs(images, output, save)
    if compare_layers is not None:
        runs = runs_of_layers(method, compare_layers.split(","), options)
        subject = f"{ATTRIBUTIONS[runs[0].method]} at several layers"
    elif compare_methods is not None or method == ALL:
        subject, runs = "Methods", several_runs((compare_methods or method).split(","), options)
    else:
        subject, runs = method, [one_run(method, options)]
    results = run_all(runs, subject, model, images, check=check, target=target or None, memory=memory)
    compared = "methods" if compare_methods else "layers" if compare_layers else method
    explanation.publish(results, model, compared, output=output, save=save, json_=json_)
