"""`onnxray formats`: which files can be read, what of them, and who says that it is right."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ...importers.errors import InputError
from ...importers.support import format_called
from ...importers.support import formats as all_formats
from ..console import table_console

if TYPE_CHECKING:
    from ...importers.support import FormatSupport


_COLUMNS = ("format", "endings", "what is read", "layers", "refused by name", "certified by", "tried on")


def formats(
    name: Annotated[
        str | None, typer.Argument(metavar="FORMAT", help="One only: its name, or the ending of its files.")
    ] = None,
    layers: Annotated[bool, typer.Option("--layers", help="List every layer or operator that is translated.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    md: Annotated[bool, typer.Option("--md", help="Print the Markdown table of the README.")] = False,
) -> None:
    """Which model files can be read: versions, layers, what is refused, and who certifies a conversion.

    Files are told by their content, whatever they are called. What only Netron can show, `onnxray view` shows.
    """
    if layers + json_ + md > 1:
        raise InputError("--layers, --json and --md exclude each other: choose one")
    rows = all_formats() if name is None else [format_called(name)]
    if json_:
        print(json.dumps([row.to_json() for row in rows], indent=1))
    elif md:
        print("\n".join(markdown(rows)))
    elif layers:
        _print_layers(rows)
    else:
        _print_table(rows)


def markdown(rows: Sequence[FormatSupport]) -> list[str]:
    """The table as the README has it, line by line."""
    lines = [f"| {' | '.join(_COLUMNS)} |", "|---" * len(_COLUMNS) + "|"]
    for row in rows:
        words = row.words
        title = f"[{words.title}](docs/{words.page or row.name}.md)"
        endings = " ".join(f"`{suffix}`" for suffix in row.suffixes)
        witness = words.witness + (f" (`pip install {words.install}`)" if words.install else "")
        cells = (title, endings, words.reads, _tens(row), words.refuses, witness, words.tried)
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _tens(row: FormatSupport) -> str:
    """How many layers, in tens: a table in a file need not change with each."""
    tens = len(row.layers) // 10 * 10
    return f"{tens}+" if tens else str(len(row.layers) or "any")


def _print_table(rows: Sequence[FormatSupport]) -> None:
    from rich.table import Table

    table = Table(*_COLUMNS, show_lines=True)
    for row in rows:
        words = row.words
        witness = words.witness + (f"; pip install {words.install}" if words.install else "")
        cells = (words.reads, str(len(row.layers) or "any"), words.refuses, witness, words.tried)
        table.add_row(words.title, " ".join(row.suffixes), *(cell.replace("`", "") for cell in cells))
    table_console().print(table)
    if len(rows) > 1:
        print("`onnxray view` shows other files that Netron knows, without numbers. --layers lists what is translated.")


def _print_layers(rows: Sequence[FormatSupport]) -> None:
    for row in rows:
        listed = ", ".join(row.layers) or "no table of ours decides: any operator that onnx or torch knows"
        print(f"{row.words.title} ({len(row.layers) or 'any'}): {listed}")
