"""What `onnxray summary` prints of weights without their network: a table of tensors."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Literal

from rich import box
from rich.table import Table
from rich.text import Text

from ..engine import quantities
from ..engine.results import plain
from ..engine.structure.tensor_table import StoredTensor, TensorTable
from .console import end_of, table_console

Form = Literal["table", "json", "csv", "md"]
_COLUMNS = ("tensor", "shape", "type", "parameters", "memory")
_TEXTS = 3  # columns on the left
_SHORTEST_NAME = 12


def print_tensors(found: TensorTable, every: bool, form: Form) -> None:
    """Those of two and more axes, or every one of them."""
    rows = [row for row in found.rows if every or len(row.shape) > 1]
    if form == "json":
        totals = {"parameters": found.parameters, "elements": found.elements, "bytes": found.bytes}
        print(json.dumps({**found.to_json(), **totals, "rows": plain(rows)}, indent=1))
    elif form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(("name", "shape", "dtype", "elements", "bytes", "parameter"))
        writer.writerows(_numbers(row) for row in rows)
    elif form == "md":
        print("\n".join(_markdown(found, rows)))
    else:
        _print(found, rows)


def _numbers(row: StoredTensor) -> tuple[object, ...]:
    return (row.name, "x".join(map(str, row.shape)), row.dtype, row.elements, row.bytes, row.parameter)


def _cells(row: StoredTensor) -> tuple[str, ...]:
    parameters = quantities.count(row.elements) if row.parameter else "–"
    return (row.name, quantities.shape(row.shape) or "scalar", row.dtype, parameters, quantities.size(row.bytes))


def _print(found: TensorTable, rows: Sequence[StoredTensor]) -> None:
    console = table_console()
    console.print(Text.assemble((found.model, "bold"), "  weights without a network"))
    cells = [_cells(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(_COLUMNS, *cells, strict=True)]
    room = max(console.width - sum(widths[1:]) - 2 * (len(_COLUMNS) - 1), _SHORTEST_NAME)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for index, heading in enumerate(_COLUMNS):
        table.add_column(heading, justify="left" if index < _TEXTS else "right", no_wrap=True)
    for name, *rest in cells:
        table.add_row(end_of(name, room), *rest)
    console.print(table)
    totals = Table.grid(padding=(0, 2, 0, 0))
    for name, text in _totals(found, rows):
        totals.add_row(Text(name, "bold"), Text(text))
    console.print(totals)


def _totals(found: TensorTable, rows: Sequence[StoredTensor]) -> Iterator[tuple[str, str]]:
    others = found.elements - found.parameters
    statistics = f"; and {quantities.count(others)} statistics and integers" if others else ""
    yield "parameters", f"{quantities.count(found.parameters)} ({found.parameters:,}){statistics}"
    yield "memory", f"{quantities.size(found.bytes)} in {len(found.rows)} tensors"
    yield "looks like", found.family or "no family of networks that is known by names or shapes"
    hidden = len(found.rows) - len(rows)
    if hidden:
        yield "not shown", f"{hidden} vectors and numbers; --all shows them"
    yield "go on", "--arch package.module:factory names their network; without it: onnxray weights"


def _markdown(found: TensorTable, rows: Sequence[StoredTensor]) -> Iterator[str]:
    yield f"# {found.model}"
    yield ""
    yield _line(_COLUMNS)
    yield _line(["---" if index < _TEXTS else "---:" for index in range(len(_COLUMNS))])
    yield from (_line(_cells(row)) for row in rows)
    yield ""
    yield from (f"- **{name}**: {text}" for name, text in _totals(found, rows))


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
