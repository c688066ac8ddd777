"""`onnxray occlude`: a patch slides over the image: where it costs the score most."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...engine import quantities
from ...engine.methods.occlusion_plan import OcclusionPlan, occlusion_plan
from ...engine.model import Model
from ...importers.errors import InputError
from .. import explanation
from ..attributions import Run, one_run, run_all
from ..console import end_of, table_console
from ..images import MemoryOption
from ..options import takes_model

if TYPE_CHECKING:
    from rich.console import Console

_NUMBERS_WIDTH, _SHORTEST_NAME = 60, 12  # columns of the plan beside the layer's name, and of that at least
_EXTENT = re.compile(r"(\d+)(?:x(\d+))?")


@takes_model
def occlude(
    model: Model,
    images: Annotated[
        list[str] | None,
        typer.Argument(metavar="IMAGES", help="Image files, folders, globs, or .npy and .npz arrays."),
    ] = None,
    patch: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PIXELS",
            help="What is covered: 16, or rows x columns: 24x16; again to compare. [default: 16; of a layer a 14th]",
        ),
    ] = None,
    stride: Annotated[
        str | None,
        typer.Option(
            metavar="PIXELS", help="From one position to the next, likewise. [default: 8; of a layer half a 14th]"
        ),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(help="Cover this feature map, a tensor or node, not the image; pixels are its places then."),
    ] = None,
    fill: Annotated[
        str | None,
        typer.Option(
            help="What covers: zero, black, mean, blur, noise, a colour #rrggbb, or the same moved: shift:2. "
            "Of a layer zero, mean, shift:2."
        ),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(help="What is explained, as of explain; again for more, which cost little."),
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Print what would be computed, layer by layer, and do nothing.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="A .png of all images, or a folder. [default: NAME.occlusion.png]"),
    ] = None,
    save: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Keep the maps: PATH.npz, a .png each, all else in PATH.json.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of the noise.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    memory: MemoryOption = None,
) -> None:
    """Which part of an image the answer needs: a patch covers it, position by position, and the score falls.

    Of each layer only what the patch can change is computed. Ctrl-C keeps what is done by then.
    """
    sizes = [_extent("--patch", text) for text in patch] if patch else [None]
    options: dict[str, Any] = {"layer": layer, "stride": None if stride is None else _extent("--stride", stride)}
    if plan:
        _print_plans([occlusion_plan(model, patch=size, target=target or None, **options) for size in sizes], json_)
        return
    if not images:
        raise InputError("expected an image to cover, found none; --plan needs none")
    explanation.check_outputs(images, output, save)
    results = run_all(
        [_run(size, {**options, "fill": fill, "seed": seed}) for size in sizes],
        "Occlusion by patches of several sizes",
        model,
        images,
        check=False,
        target=target or None,
        memory=memory,
    )
    explanation.publish(results, model, "occlusion", output=output, save=save, json_=json_)


def _run(patch: tuple[int, int] | None, options: dict[str, Any]) -> Run:
    run = one_run("occlusion", {**options, "patch": patch})
    return run if patch is None else replace(run, title=f"patch {patch[0]} x {patch[1]}")


def _extent(option: str, text: str) -> tuple[int, int]:
    found = _EXTENT.fullmatch(text.strip().lower())
    if found is None:
        raise InputError(f"{option} expects pixels, 16, or rows x columns, 24x16; found {text!r}")
    return int(found[1]), int(found[2] or found[1])


# -- the plan ---


def _print_plans(plans: Sequence[OcclusionPlan], json_: bool) -> None:
    if json_:
        found = [plan.to_json() for plan in plans]
        print(json.dumps(found if len(found) > 1 else found[0], indent=1))
        return
    console = table_console()
    for plan in plans:
        _print_plan(plan, console)


def _print_plan(plan: OcclusionPlan, console: Console) -> None:
    from rich import box
    from rich.table import Table

    table = Table("convolution", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("output", "window", "MACs", "of the window", "gain"):
        table.add_column(heading, justify="right", no_wrap=True)
    room = max(console.width - _NUMBERS_WIDTH, _SHORTEST_NAME)
    for layer in plan.layers:
        window = dict.fromkeys(_times(size) for size in (layer.smallest, layer.largest))
        gain = layer.macs / layer.incremental_macs if layer.incremental_macs else 1.0
        numbers = quantities.count(layer.macs), quantities.count(layer.incremental_macs), f"{gain:.1f}"
        table.add_row(end_of(layer.name, room), _times(layer.size), " to ".join(window), *numbers)
    console.print(table)
    patch, stride, grid = (_times(pair) for pair in (plan.patch, plan.stride, plan.grid))
    unit = "pixels" if plan.layer is None else f"places of {plan.layer}"
    console.print(
        f"A patch of {patch} every {stride} {unit}: {grid} = {plan.positions} positions, in {plan.groups} groups "
        "whose windows have one size.",
        soft_wrap=True,
    )
    if plan.layers:
        console.print(
            f"{quantities.count(plan.macs)} multiplications a position, {quantities.count(plan.incremental_macs)} in "
            f"windows: {plan.gain:.2f} times fewer.",
            soft_wrap=True,
        )
    console.print(f"It runs by {plan.by}{f', as {plan.why}' if plan.why else ''}.", soft_wrap=True)


def _times(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]}"
