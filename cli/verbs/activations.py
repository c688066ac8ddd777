"""`onnxray activations`: feature maps of an image, with statistics and the top classes."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image
from rich import box
from rich.table import Table

from ...engine import quantities
from ...engine.images import ImageBatches, find_images
from ...engine.methods.activations import Activations, LayerActivation, find_tensors
from ...engine.methods.activations import activations as layer_answers
from ...engine.model import Model
from ...engine.render.layer_card import MOST_CELLS, Card, layer_card
from ...engine.render.surface import surface as landscape
from ...engine.results import file_name, write_png
from ...engine.session import Session
from ...importers.errors import InputError
from ..console import end_of, table_console
from ..images import ImagesArgument, MemoryOption, ProvidersOption, progress_bar, warn_assumed, warn_skipped
from ..options import takes_model
from .predict import print_classes

_ACTIVE = 3  # most active channels in the table
_NUMBERS_WIDTH, _SHORTEST_NAME = 76, 12  # columns of the table beside the tensor's name, and of that at least
_NAMED = 3  # tensors in a message
_TITLE = 84  # characters


@takes_model
def activations(
    model: Model,
    images: ImagesArgument,
    layer: Annotated[
        list[str] | None,
        typer.Option(help="Tensor or node, * for any part of a name; again for more. Default: a few, by a rule."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Write pictures, JSON and arrays there.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many classes.")] = 5,
    surface: Annotated[
        int | None, typer.Option(metavar="CHANNEL", help="Also draw this channel's map as a landscape.")
    ] = None,
    colormap: Annotated[str, typer.Option(help="viridis, grey, inferno, turbo or diverging.")] = "viridis",
    maps: Annotated[int, typer.Option(min=1, help="Maps in a picture; of more, the most active.")] = 64,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    zarr: Annotated[
        Path | None, typer.Option(metavar="OUT.zarr", help="Any number of images: keep their activations here.")
    ] = None,
    memory: MemoryOption = None,
    provider: ProvidersOption = None,
) -> None:
    """Feature maps of an image, with statistics and the top classes."""
    session = model.session(providers=provider, memory=memory)
    if zarr is not None:
        _stream(session, images, layer, zarr)
        warn_assumed(model.spec)
        return
    found = layer_answers(model, _only(images), layer, top=top, session=session)
    if output is not None:
        written = _write(found, output, _Look(colormap, maps, surface))
    if json_:
        print(json.dumps(found.to_json(), indent=1))
    else:
        _print(found)
        if output is not None:
            print(f"{written} pictures, activations.json and activations.npz in {output}")
    warn_assumed(model.spec)


def _only(images: list[str]) -> str:
    paths = find_images(images)
    if len(paths) != 1:
        raise InputError(f"expected one image, found {len(paths)}; --zarr OUT.zarr takes many")
    return str(paths[0])


def _stream(session: Session, images: list[str], layer: list[str] | None, path: Path) -> None:
    tensors = None if layer is None else find_tensors(session.model.graph, layer, session.tensors)
    batches = ImageBatches(images, session.model)
    try:
        with progress_bar("activations") as progress:
            stream = session.stream(batches, tensors, path, progress)
    except KeyboardInterrupt:
        print(f"stopped; the same command goes on where {path} ends", file=sys.stderr)
        raise
    print(f"{len(stream.tensors)} tensors of {len(stream.images)} images in {path}")
    if stream.left_out:
        names = ", ".join(stream.left_out[:_NAMED])
        more = ", …" if len(stream.left_out) > _NAMED else ""
        print(f"left out, being the same for every image: {names}{more}")
    warn_skipped(stream.skipped, len(batches))


def _print(found: Activations) -> None:
    console = table_console()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("tensor", no_wrap=True)
    room = max(console.width - _NUMBERS_WIDTH, _SHORTEST_NAME)
    table.add_column("shape", no_wrap=True)
    for name in ("mean", "std", "min", "max", "zeros"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("most active", no_wrap=True)
    for layer in found.layers:
        numbers = (f"{value:.3g}" for value in (layer.mean, layer.std, layer.min, layer.max))
        active = " ".join(str(channel) for channel in layer.most_active[:_ACTIVE])
        shape = quantities.shape(layer.values.shape)
        table.add_row(end_of(layer.tensor, room), shape, *numbers, quantities.share(layer.zeros), active)
    console.print(table)
    console.print(f"Layers: {found.rule}.")
    if found.predictions is not None:
        print_classes(console, found.predictions)


@dataclass(frozen=True)
class _Look:
    """How the pictures are drawn."""

    colormap: str
    maps: int  # at most, in one picture
    surface: int | None  # channel


def _write(found: Activations, folder: Path, look: _Look) -> int:
    """Write everything into `folder`; returns the number of pictures."""
    pictures = {}
    for number, layer in enumerate(found.layers, 1):
        name = f"{number:02}_{file_name(layer.tensor)}"
        pictures[f"{name}.png"] = _card(found, layer, look)
        if look.surface is not None and layer.values.ndim == 3:
            pictures[f"{name}_surface_{look.surface}.png"] = _landscape(layer, look.surface, look.colormap)
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        write_png(folder / name, picture)
    found.save(folder / "activations")
    return len(pictures)


def _card(found: Activations, layer: LayerActivation, look: _Look) -> Image.Image:
    statistics = (
        ("mean", f"{layer.mean:.4g}"),
        ("standard deviation", f"{layer.std:.4g}"),
        ("smallest", f"{layer.min:.4g}"),
        ("largest", f"{layer.max:.4g}"),
        ("zeros", quantities.share(layer.zeros)),
        ("silent channels", quantities.share(layer.silent)),
    )
    channels = layer.most_active[: look.maps] if layer.values.ndim == 3 and len(layer.values) > look.maps else None
    subtitle = f"{layer.op}, {quantities.shape(layer.values.shape)}"
    title = layer.tensor if len(layer.tensor) <= _TITLE else f"…{layer.tensor[-_TITLE:]}"
    card = Card(title, subtitle, statistics, layer.histogram, layer.edges, found.picture, _note(layer, channels))
    return layer_card(layer.values, card, channels, look.colormap)


def _note(layer: LayerActivation, channels: list[int] | None) -> str:
    if layer.values.ndim < 2:
        first = f"the first {MOST_CELLS} of {layer.values.size} values, " if layer.values.size > MOST_CELLS else ""
        return f"{first}one cell a value, all in one range of colours"
    every = "every map has its own range of colours"
    if channels is None:
        return every if len(layer.values) > 1 else ""
    return f"the {len(channels)} most active of {len(layer.values)} channels; {every}"


def _landscape(layer: LayerActivation, channel: int, colormap: str) -> Image.Image:
    count, *plane = layer.values.shape
    if not 0 <= channel < count or min(plane) < 2:
        found = f"{count} maps of {quantities.shape(tuple(plane))}"
        raise InputError(f"--surface expects a channel with at least 2x2 values, {layer.tensor} has {found}")
    return landscape(layer.values[channel], f"{layer.tensor}, channel {channel}", colormap)
