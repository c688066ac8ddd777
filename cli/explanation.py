"""What `explain` makes: the results of one method, or of several to compare, as tables, files and pictures."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich import box
from rich.table import Table

from ..engine import quantities
from ..engine.methods import ATTRIBUTIONS
from ..engine.render.comparison import Panel, comparison_sheet
from ..engine.results import file_name, saved_files, write_png
from ..importers.errors import InputError
from .attributions import Results
from .console import table_console
from .images import keep_images, warn_assumed, warn_skipped
from .interrupt import INTERRUPTED

if TYPE_CHECKING:
    from PIL import Image
    from rich.console import Console

    from ..engine.methods.attribution import Attribution
    from ..engine.metrics.check import Check, SanityCheck
    from ..engine.model import Model

_SHEET = 24  # rows on one sheet at most


def check_outputs(images: Sequence[str], output: Path | None, save: Path | None) -> None:
    """Raise InputError unless pictures and maps can be written there, and no image would be lost."""
    if output is not None and output.suffix and output.suffix.lower() != ".png" and not output.is_dir():
        raise InputError(f"-o expects a .png or a folder, found {output}")
    keep_images(images, [*(saved_files(save) if save is not None else ()), *([output] if output is not None else ())])


def publish(results: Results, model: Model, name: str, *, output: Path | None, save: Path | None, json_: bool) -> None:
    """Write and print all of it; what the reader must be warned of comes on stderr.

    Raises typer.Exit where it was stopped before the end.
    """
    if save is not None:
        _save(results, save)
    if output is not None or not json_:
        written = _draw(results, model.name, output or Path(f"{model.name}.{name}.png"))
    if json_:
        print(json.dumps(plain(results), indent=1))
    else:
        print_tables(results)
        print(written)
    _warn(results.found[0], model)
    if results.stopped:
        print(f"{results.stopped}; the rest is missing", file=sys.stderr)
        raise typer.Exit(INTERRUPTED)


def _warn(found: Attribution, model: Model) -> None:
    if not found.certified:
        print(f"warning: these gradients may not be the network's own: {found.certificate}", file=sys.stderr)
    warn_skipped(found.skipped, len(set(found.images)) + len(found.skipped))
    warn_assumed(model.spec)


def print_tables(results: Results) -> None:
    """Scores and notes on stdout."""
    first = results.found[0]
    console = table_console()
    table = Table("image", "explained", box=box.SIMPLE_HEAD, pad_edge=False)
    columns = _columns(results)
    for heading in columns:
        table.add_column(heading, justify="right")
    for row, image in enumerate(first.images):
        table.add_row(Path(image).name, first.targets[row], *(values[row] for values in columns.values()))
    console.print(table)
    for result, title in zip(results.found, results.titles, strict=True):
        console.print(f"{title} of {result.layer}: {result.meaning}.")
    for methods, note in _by_method(results, [result.notes for result in results.found]):
        console.print(f"Note{_of(methods)}: {note}.")
    if len(results.checks) == 1:
        console.print(_check_table(results.checks[0], results.titles[0]))
    elif results.checks:
        _print_checks(results, console)
    for line in results.left_out:
        console.print(f"Left out: {line}.")
    for methods, text in _by_method(results, [[result.certificate] for result in results.found]):
        console.print(f"Certificate{_of(methods)}: {text}")


def _by_method(results: Results, texts: Sequence[Sequence[str]]) -> list[tuple[list[str], str]]:
    """Each text once, with the methods that say it; with none where all do."""
    distinct = dict.fromkeys(text for of_one in texts for text in of_one)
    pairs = list(zip(results.titles, texts, strict=True))
    said = [([title for title, of_one in pairs if text in of_one], text) for text in distinct]
    return [([] if len(titles) == len(pairs) else titles, text) for titles, text in said]


def _of(methods: Sequence[str]) -> str:
    return f" ({', '.join(methods)})" if methods else ""


def _check_table(check: SanityCheck, title: str) -> Table:
    table = Table(f"check of {title}", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("value", "reference"):
        table.add_column(heading, justify="right")
    table.add_column("good is")
    for row in check.checks:
        numbers = ("–" if value is None else f"{value:.3g}" for value in (row.value, row.reference))
        table.add_row(row.name, *numbers, row.good)
    return table


def _print_checks(results: Results, console: Console) -> None:
    """A row a method, a column a check, and what is good."""
    rows = [{row.name: row for row in check.checks} for check in results.checks]
    names = {name: entry[name].good for entry in rows for name in entry}
    table = Table("check of", box=box.SIMPLE_HEAD, pad_edge=False)
    for number in range(1, len(names) + 1):
        table.add_column(f"({number})", justify="right")
    for title, entry in zip(results.titles, rows, strict=True):
        table.add_row(title, *(_value(entry.get(name)) for name in names))
    console.print(table)
    for number, (name, good) in enumerate(names.items(), 1):
        console.print(f"({number}) {name}; in brackets the reference; good is {good}.")


def _value(row: Check | None) -> str:
    if row is None or row.value is None:
        return "–"
    return f"{row.value:.3g}" if row.reference is None else f"{row.value:.3g} ({row.reference:.3g})"


def plain(results: Results) -> Any:
    """As data for JSON: one result, or a list of several."""
    entries = [result.to_json() for result in results.found]
    for entry, check in zip(entries, results.checks, strict=False):  # there may be no checks
        entry["checks"] = check.to_json()["checks"]
    return entries if len(entries) + len(results.left_out) > 1 else entries[0]


def _columns(results: Results) -> dict[str, list[str]]:
    first = results.found[0]
    columns = {"score": [f"{value:.4g}" for value in first.scores]}
    if first.probabilities is not None:
        columns["probability"] = [quantities.share(float(value)) for value in first.probabilities]
    for result, title in zip(results.found, results.titles, strict=True):
        if result.gap is not None:
            name = "gap" if len(results.found) == 1 else f"gap of {title}"
            columns[name] = [f"{value:.2g}" for value in result.gap]
    return columns


def _save(results: Results, path: Path) -> None:
    """The maps: under `path`, those of several each under PATH.NAME."""
    if len(results.found) == 1:
        results.found[0].save(path)
        return
    stem = saved_files(path)[0].with_suffix("")
    for result, title in zip(results.found, results.titles, strict=True):
        result.save(stem.with_name(f"{stem.name}.{file_name(title)}"))


def _draw(results: Results, network: str, path: Path) -> str:
    """Write one picture, or into a folder one an image; returns what was written."""
    rows = len(results.found[0].images)
    if path.suffix.lower() == ".png":
        write_png(path, _sheet(results, network, range(min(rows, _SHEET))))
        more = f" (the first {_SHEET} of {rows}; -o FOLDER draws all)" if rows > _SHEET else ""
        return f"{path}{more}"
    path.mkdir(parents=True, exist_ok=True)
    for row, image in enumerate(results.found[0].images):
        write_png(path / f"{row + 1:03}_{file_name(Path(image).stem)}.png", _sheet(results, network, [row]))
    return f"{rows} pictures in {path}"


def _sheet(results: Results, network: str, rows: Sequence[int]) -> Image.Image:
    first = results.found[0]
    if len(results.found) == 1:
        return first.rows(rows).sheet(f"{ATTRIBUTIONS[first.method]}: {network}")
    captions = [f"{Path(first.images[row]).name}: {first.targets[row]}" for row in rows]
    title = f"{results.subject}: {network}"
    shared = [note for methods, note in _by_method(results, [result.notes for result in results.found]) if not methods]
    return comparison_sheet(captions, [_panels(results, row) for row in rows], title, "; ".join(shared))


def _panels(results: Results, row: int) -> list[Panel]:
    pairs = zip(results.found, results.titles, strict=True)
    return [_panel(result.rows([row]), title) for result, title in pairs]


def _panel(result: Attribution, title: str) -> Panel:
    (heat,) = result.heats()
    return Panel(heat, f"{title}\n{heat.extent(result.units)}", result.smooth)
