"""`onnxray weights`: statistics and histograms of every weight, filters as pictures, weights as .npy files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from ...engine import quantities
from ...engine.model import Model
from ...engine.render.filter_sheet import filter_sheet, kinds_text
from ...engine.render.histogram import Histogram, histograms, sparkline
from ...engine.results import file_name, write_png, write_text
from ...engine.structure.filters import FilterKinds, all_filters, filter_kinds, filters, first_layer
from ...engine.structure.weights import WeightRow, WeightStatistics, export_weights, weight_statistics
from ..console import end_of, table_console
from ..options import ModelFile, takes_model_file

# Column -> the width from which it is shown.
_COLUMNS = {
    **dict.fromkeys(("weight", "shape", "min", "max", "dead"), 0),
    "zeros": 64,
    "std": 72,
    "norm": 90,
    "histogram": 100,
    "mean": 112,
    "same": 112,
    "dtype": 124,
    "layer": 140,
}
_ORDER = (
    "weight",
    "layer",
    "shape",
    "dtype",
    "min",
    "max",
    "mean",
    "std",
    "zeros",
    "dead",
    "same",
    "norm",
    "histogram",
)
_TEXTS = {"weight", "layer", "shape", "dtype", "histogram"}
_LEGEND = (
    ("dead", "filters whose largest weight is below 0.001 of the tensor's"),
    ("same", "filters within 1 % of an earlier one"),
    ("norm", "spectral norm: the largest singular value of the matrix [out, in × kernel]"),
)
_PIPED_WIDTH = 170  # columns where the output is no terminal and nobody says how wide it is
_SHORTEST_NAME = 12
_BARS = 14  # characters of a histogram


@takes_model_file
def weights(
    file: ModelFile,
    layer: Annotated[
        str | None, typer.Option(help="Only these: the name of a node, of a tensor it makes, or of any stored tensor.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Write pictures of filters and histograms.")
    ] = None,
    export: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write every weight as .npy, with an index.json.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Also biases, scales and other vectors.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Filters as pictures, statistics and histograms of every weight."""
    model = file.load(weights_alone=True)
    found = weight_statistics(model, layer)
    kinds = _kinds(model, layer)
    rows = found.rows if every or layer is not None else tuple(row for row in found.rows if len(row.shape) > 1)
    written = []
    if output is not None:
        pictures = _draw(model, layer, rows, kinds, output)
        write_text(output / "weights.json", json.dumps(_plain(found, kinds), indent=1))
        written.append(f"{pictures} pictures and weights.json in {output}")
    if export is not None:
        written.append(f"{len(export_weights(model, export, layer))} arrays and index.json in {export}")
    if json_:
        print(json.dumps(_plain(found, kinds), indent=1))
        return
    _print(found, rows, kinds, written)


def _kinds(model: Model, layer: str | None) -> FilterKinds | None:
    """What the first layer's filters are, unless another layer was asked for."""
    if layer is None and first_layer(model) is None:
        return None
    return filter_kinds(filters(model, layer))


def _plain(found: WeightStatistics, kinds: FilterKinds | None) -> dict[str, object]:
    return {**found.to_json(), "first_layer": None if kinds is None else kinds.to_json()}


def _draw(model: Model, layer: str | None, rows: Sequence[WeightRow], kinds: FilterKinds | None, folder: Path) -> int:
    """Write a picture a layer with filters and one of the histograms; returns how many pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    sheets = all_filters(model, layer) if any(row.filters for row in rows) else iter((filters(model, layer),))
    count = 0
    for count, each in enumerate(sheets, 1):
        own = kinds if kinds is not None and each.channels else None
        write_png(folder / f"{count:03d}_{file_name(each.weight)}.png", filter_sheet(each, own))
    if rows:
        panels = [(row.name, Histogram(row.histogram, *_bounds(row))) for row in rows]
        write_png(folder / "histograms.png", histograms(panels, log=True))
    return count + bool(rows)


def _bounds(row: WeightRow) -> tuple[float, float]:
    low, high = row.min or 0.0, row.max or 0.0
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _print(
    found: WeightStatistics, rows: Sequence[WeightRow], kinds: FilterKinds | None, written: Sequence[str]
) -> None:
    console = table_console(_PIPED_WIDTH)
    console.print(Text(found.model, "bold"))
    shown = [name for name in _ORDER if _COLUMNS[name] <= console.width]
    console.print(_table([_cells(row) for row in rows], shown, console.width))
    facts = Table.grid(padding=(0, 2, 0, 0))
    for name, text in _facts(found, rows, kinds, shown):
        facts.add_row(Text(name, "bold"), Text(text))
    for text in written:
        facts.add_row(Text("written", "bold"), Text(text))
    console.print(facts)


def _cells(row: WeightRow) -> dict[str, str]:
    return {
        "weight": row.name,
        "layer": row.layer + (f" and {len(row.layers) - 1} more" if len(row.layers) > 1 else ""),
        "shape": quantities.shape(row.shape) or "scalar",
        "dtype": row.dtype,
        **{name: _number(getattr(row, name)) for name in ("min", "max", "mean", "std")},
        "zeros": quantities.share(row.zeros) if row.zeros else "–",
        "dead": _count(row, len(row.dead)),
        "same": _count(row, len(row.duplicates)),
        "norm": "" if row.spectral_norm is None else f"{row.spectral_norm:.3g}",
        "histogram": sparkline(row.histogram, _BARS),
    }


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _count(row: WeightRow, number: int) -> str:
    return "" if row.filters is None else str(number) if number else "–"


def _table(cells: Sequence[dict[str, str]], shown: Sequence[str], width: int) -> Table:
    widths = {name: max([len(name), *(len(row[name]) for row in cells)]) for name in shown}
    names = [name for name in ("weight", "layer") if name in shown]
    room = width - sum(size for name, size in widths.items() if name not in names) - 2 * (len(shown) - 1)
    for name in names:  # what the weights' names leave is for the layers'
        others = _SHORTEST_NAME * (len(names) - names.index(name) - 1)
        widths[name] = max(min(widths[name], max(room - others, room // 2 if others else room)), _SHORTEST_NAME)
        room -= widths[name]
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for name in shown:
        justify: Literal["left", "right"] = "left" if name in _TEXTS else "right"
        table.add_column(name, justify=justify, no_wrap=True)
    for row in cells:
        table.add_row(*(end_of(row[name], widths[name]) for name in shown))
    return table


def _facts(
    found: WeightStatistics, rows: Sequence[WeightRow], kinds: FilterKinds | None, shown: Sequence[str]
) -> list[tuple[str, str]]:
    tensors = f"{len(found.rows)} tensors" if len(found.rows) != 1 else "1 tensor"
    facts = [("values", f"{quantities.count(found.elements)} ({found.elements:,}) in {tensors}")]
    if found.dead or found.duplicates:
        facts.append(("filters", f"{found.dead} dead, {found.duplicates} like an earlier one of their layer"))
    if broken := sum(row.not_finite for row in found.rows):
        facts.append(("not finite", f"{broken} values are NaN or infinite; left out of the numbers"))
    if kinds is not None:
        facts.append(("first layer", f"{kinds.layer}: {kinds_text(kinds)}"))
    if any(row.filters for row in rows):
        facts += [(name, text) for name, text in _LEGEND if name in shown]
    hidden = Counter(row.role for row in found.rows if row not in rows)
    if hidden:
        listed = ", ".join(f"{count} {role}" for role, count in hidden.most_common())
        facts.append(("not shown", f"vectors: {listed}; --all shows them"))
    return facts
