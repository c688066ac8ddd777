"""`onnxray summary`: the table of layers."""

from __future__ import annotations

import csv
import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from ...engine import quantities
from ...engine.results import plain
from ...engine.structure.receptive_field import ReceptiveField
from ...engine.structure.summary import Layer, Summary, summarize
from ...importers.errors import InputError
from ..console import end_of, table_console
from ..options import ModelFile, takes_model_file
from ..tensor_table import print_tensors

_COLUMNS = ("layer", "op", "output", "parameters", "MACs", "memory", "field / stride / start")
_NUMBERS = {"parameters", "MACs", "memory"}
_SHORTEST_NAME = 10
_NARROW = 110  # below it texts are shortened so that 80 columns hold the table


@takes_model_file
def summary(
    file: ModelFile,
    every: Annotated[
        bool, typer.Option("--all", help="A row a node (of weights alone: a tensor), not only layers.")
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    csv_: Annotated[bool, typer.Option("--csv", help="Print CSV, all columns, plain numbers.")] = False,
    md: Annotated[bool, typer.Option("--md", help="Print a Markdown table.")] = False,
) -> None:
    """Table of layers: shapes, parameters, MACs, memory, receptive fields; of tensors where a file has no layers."""
    if json_ + csv_ + md > 1:
        raise InputError("--json, --csv and --md exclude each other: choose one")
    model = file.load(weights_alone=True)
    if model.is_weights_alone:
        print_tensors(model.tensors(), every, "json" if json_ else "csv" if csv_ else "md" if md else "table")
        return
    found = summarize(model)
    rows = found.rows if every else found.layers
    if json_:
        print(json.dumps(found.to_json() | {"rows": plain(rows)}, indent=1))
    elif csv_:
        csv.writer(sys.stdout, lineterminator="\n").writerows(_csv_rows(rows))
    elif md:
        print("\n".join(_markdown(found, rows, every, model.graph.shape_note)))
    else:
        _print(found, rows, every, model.graph.shape_note)


def _cells(row: Layer, narrow: bool) -> tuple[str, ...]:
    shape = quantities.shape(row.shape)
    field = str(row.receptive_field or ReceptiveField("none"))
    return (
        row.name,
        _short_op(row.op) if narrow else row.op,
        shape.removeprefix("1×") if narrow else shape,
        quantities.count(row.params) if row.params else "–",
        quantities.count(row.macs) if row.macs != 0 else "–",
        quantities.size(row.activation_bytes),
        field.replace(" / ", "/") if narrow else field,
    )


_SHORT = (("Normalization", "Norm"), ("Average", "Avg"), ("Transpose", "T"), ("Global", "Gl"), ("com.microsoft.", ""))


def _short_op(op: str) -> str:
    for long, short in _SHORT:
        op = op.replace(long, short)
    return op


def _print(found: Summary, rows: Sequence[Layer], every: bool, note: str) -> None:
    console = table_console()
    narrow = console.width < _NARROW
    console.print(Text.assemble((found.model, "bold"), "  ", _inputs(found)))
    console.print(_table([_cells(row, narrow) for row in rows], narrow, console.width))
    totals = Table.grid(padding=(0, 2, 0, 0))
    for name, text in _totals(found, every, note):
        totals.add_row(Text(name, "bold"), Text(text))
    console.print(totals)


def _table(cells: Sequence[tuple[str, ...]], narrow: bool, width: int) -> Table:
    headings = ("layer", "op", "output", "params", "MACs", "memory", "field") if narrow else _COLUMNS
    gap = 1 if narrow else 2
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    room = max(width - sum(widths[1:]) - gap * (len(widths) - 1), _SHORTEST_NAME)
    # The box itself puts one space between columns.
    table = Table(box=box.SIMPLE_HEAD, padding=(0, gap - 1, 0, 0), pad_edge=False, show_edge=False)
    for heading, column in zip(headings, _COLUMNS, strict=True):
        justify: Literal["left", "right"] = "right" if column in _NUMBERS else "left"
        table.add_column(heading, justify=justify, no_wrap=True)
    for name, *rest in cells:
        table.add_row(end_of(name, room), *rest)
    return table


def _inputs(found: Summary) -> str:
    """What the numbers are for: every input's shape, and which sizes the file leaves open."""
    texts = []
    for name, shape in found.input_shapes.items():
        assumed = " assumed; fix with --shape" if found.assumed.get(name) else ""
        texts.append(f"input {name} {quantities.shape(shape)}{assumed}")
    return ", ".join(texts)


def _totals(found: Summary, every: bool, note: str) -> Iterator[tuple[str, str]]:
    yield "parameters", _parameters(found)
    yield "MACs", _macs(found)
    peak = found.peak_memory
    held = (
        f"at least {quantities.size(sum(peak.alive.values()))}" if peak.bytes is None else quantities.size(peak.bytes)
    )
    place = f", at {peak.node}" if peak.node else ""
    yield "memory", f"{quantities.size(found.total_activation_bytes)} of activations; {held} at once{place}"
    if found.image_input:
        yield "field", f"size / stride / start in pixels of {found.image_input}; height×width where they differ"
    else:
        yield "field", "no input is an image"
    if found.others and not every:
        yield "not shown", f"{_counted(found.others)}: no parameters, no MACs; --all shows them"
    if note:
        yield "shapes", note


def _parameters(found: Summary) -> str:
    dtypes = " + ".join(
        f"{dtype} ({quantities.count(count)})" if len(found.weight_dtypes) > 1 else dtype
        for dtype, count in found.weight_dtypes.items()
    )
    stored = f", {quantities.size(found.weight_bytes)} of {dtypes}" if dtypes else ""
    zeros = "" if found.sparsity is None else f", {quantities.share(found.sparsity)} zeros"
    norms = f"; and {quantities.count(found.total_statistics)} batch statistics" if found.total_statistics else ""
    return f"{quantities.count(found.total_params)} ({found.total_params:,}){stored}{zeros}{norms}"


def _macs(found: Summary) -> str:
    if found.total_macs is None:
        names = ", ".join(found.unknown_macs[:3]) + (", …" if len(found.unknown_macs) > 3 else "")
        nodes = f"{len(found.unknown_macs)} node{'s' if len(found.unknown_macs) > 1 else ''}"
        return f"at least {quantities.count(found.known_macs)}; not known for {nodes}: {names}"
    return f"{quantities.count(found.total_macs)} ({found.total_macs:,}); {quantities.count(found.total_flops)} FLOPs"


def _counted(others: dict[str, int]) -> str:
    listed = list(others.items())
    texts = [f"{count} {op}" for op, count in listed[:5]]
    rest = sum(count for _, count in listed[5:])
    return ", ".join(texts) + (f" and {rest} more" if rest else "")


def _markdown(found: Summary, rows: Sequence[Layer], every: bool, note: str) -> Iterator[str]:
    yield f"# {found.model}"
    yield ""
    yield _inputs(found)
    yield ""
    yield _line(_COLUMNS)
    yield _line(["---:" if column in _NUMBERS else "---" for column in _COLUMNS])
    yield from (_line(_cells(row, narrow=False)) for row in rows)
    yield ""
    yield from (f"- **{name}**: {text}" for name, text in _totals(found, every, note))


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _csv_rows(rows: Sequence[Layer]) -> Iterator[list[Any]]:
    plain_columns = [field.name for field in dataclasses.fields(Layer) if field.name != "receptive_field"]
    parts = ("kind", "size", "stride", "start")
    yield [*plain_columns, *(f"field_{part}" for part in parts)]
    for row in rows:
        values = [getattr(row, name) for name in plain_columns]
        field = row.receptive_field or ReceptiveField("none")
        yield [_csv_value(value) for value in (*values, *(getattr(field, part) for part in parts))]


def _csv_value(value: Any) -> Any:
    """Shapes and pairs as 1x64x56x56; nothing for what is not known."""
    if isinstance(value, tuple):
        return "x".join("" if part is None else str(part) for part in value)
    return value
