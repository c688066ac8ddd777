"""The report's weights: filters of a few layers as pictures, and the statistics of every stored tensor."""

from __future__ import annotations

from typing import Any

from ...engine import quantities
from ...engine.model import Model
from ...engine.render.filter_sheet import filter_grid, kinds_text
from ...engine.render.histogram import sparkline
from ...engine.results import plain
from ...engine.structure.filters import Filters, filter_kinds, filters, first_layer
from ...engine.structure.weights import WeightRow, WeightStatistics, weight_statistics
from .section import Cell, Section, embed

_COLUMNS = ("Tensor", "Shape", "Type", "Min", "Max", "Mean", "Std", "Zeros", "Dead", "Repeated", "Norm", "Distribution")
_LISTED = 100  # dead and duplicate filters whose numbers report.json holds, a tensor


def section(model: Model) -> Section:
    """Filters of the first layer that sees the image, of the next with a spatial kernel and of the last one."""
    statistics = weight_statistics(model)
    figures = [_figure(found) for found in _shown(model, statistics)]
    page = {
        "weights_caption": _caption(statistics),
        "weight_figures": figures,
        "weight_columns": _COLUMNS,
        "weight_rows": [_row(row) for row in statistics.rows],
    }
    return Section(page, {"weights": [_numbers(row) for row in statistics.rows]})


def _shown(model: Model, statistics: WeightStatistics) -> list[Filters]:
    first = first_layer(model)
    spatial = [
        row.name
        for row in statistics.rows
        if row.role == "weight" and row.filters and max(row.shape[2:], default=1) > 1
    ]
    deeper = [name for name in spatial if first is None or name != first.name]
    names = ([first.name] if first else []) + deeper[:1] + deeper[1:][-1:]
    return [filters(model, name) for name in names]


def _figure(found: Filters) -> dict[str, str]:
    grid = filter_grid(found)
    shape = quantities.shape(found.values.shape)
    return {
        "src": embed(grid.picture),
        "alt": f"filters of {found.layer}",
        "layer": found.layer,
        "caption": f"{shape}: {grid.note}{_kinds(found)}",
    }


def _kinds(found: Filters) -> str:
    kinds = filter_kinds(found)
    return "" if kinds is None else f" {kinds_text(kinds).capitalize()}."


def _caption(statistics: WeightStatistics) -> str:
    if not statistics.rows:
        return "The file holds no weights."
    values = f"{quantities.count(statistics.elements)} values in {len(statistics.rows)} tensors"
    dead, repeated = statistics.dead, statistics.duplicates
    return f"{values}; {_filters(dead)} dead, {_filters(repeated)} the same as another of the layer."


def _filters(number: int) -> str:
    return {0: "no filter is", 1: "1 filter is"}.get(number, f"{number} filters are")


def _numbers(row: WeightRow) -> dict[str, Any]:
    """The row for report.json: a network of millions of dead filters must not fill it with their numbers."""
    counts = {"dead_filters": len(row.dead), "duplicate_filters": len(row.duplicates)}
    return {**plain(row), **counts, "dead": row.dead[:_LISTED], "duplicates": row.duplicates[:_LISTED]}


def _row(row: WeightRow) -> list[Cell]:
    return [
        Cell(row.name, row.name),
        Cell(quantities.shape(row.shape), row.elements),
        Cell(row.dtype, row.dtype),
        *[_number(value) for value in (row.min, row.max, row.mean, row.std)],
        Cell(quantities.share(row.zeros), row.zeros),
        _count(row, len(row.dead)),
        _count(row, len(row.duplicates)),
        _number(row.spectral_norm),
        Cell(sparkline(row.histogram), 0),
    ]


def _number(value: float | None) -> Cell:
    return Cell("–", -1e30) if value is None else Cell(f"{value:.3g}", value)


def _count(row: WeightRow, value: int) -> Cell:
    return Cell("–", -1) if row.filters is None else Cell(str(value), value)
