"""write_report: runs the analyses, fills the page, writes it and its report.json."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader

from ...engine import quantities
from ...engine.model import Model
from ...engine.results import plain, write_text
from ...engine.session import Session
from ...engine.structure.drawing.draw import to_svg
from ...engine.structure.summary import summarize
from ...importers.errors import InputError
from . import facts, layers, photos, pixels, weight_figures

Progress = Callable[[str], None]  # told what is being worked on


class Written(NamedTuple):
    """What came of a report."""

    path: Path
    skipped: tuple[tuple[str, str], ...]  # images that could not be read: name, reason


def write_report(
    model: Model,
    images: Sequence[str | Path],  # files, folders, globs; may be empty
    path: str | Path,
    *,
    top: int = 5,
    shown: int = 12,  # images with their feature maps on the page; report.json has the predictions of all
    session: Session | None = None,  # what runs the images; None: one on the best provider
    progress: Progress = lambda stage: None,
) -> Written:
    """One self-contained HTML page about `model` at `path`, and the same numbers as JSON beside it.

    Raises InputError when the images cannot be read; then nothing is written.
    """
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"the report is a .html file, with its numbers as .json beside it; found {path}")
    if not path.parent.is_dir():
        raise InputError(f"expected a folder to write the report into, found none: {path.parent}")
    progress("summary")
    summary = summarize(model)
    progress("weights")
    weights = weight_figures.section(model)
    progress("images")
    session = session or model.session()
    seen = photos.section(model, session, images, top, shown) if images else photos.NOTHING
    progress("heat maps")
    looked_at = [entry["image"] for entry in seen.data["activations"]]
    heat = pixels.section(model, looked_at, session.memory) if looked_at else pixels.NOTHING
    progress("drawing")
    drawing = _drawing(model)
    origin = facts.provenance(model)
    data = {"summary": _summary_data(summary), **weights.data, **seen.data, **heat.data, "provenance": origin}
    page = {
        **_frame(model, path),
        "contents": _contents(bool(images), heat.page["pixels"] is not None),
        "lede": _lede(model),
        "tiles": layers.tiles(model, summary),
        "notes": layers.notes(summary, model.graph.shape_note),
        "graph_svg": drawing,
        "layers_caption": layers.caption(summary),
        "layer_columns": layers.COLUMNS,
        "layer_rows": layers.rows(summary),
        "layer_totals": layers.totals(summary),
        **weights.page,
        **seen.page,
        **heat.page,
        "provenance": facts.as_facts(origin),
    }
    progress("page")
    html = _environment().get_template("template.html").render(page)
    write_text(path.with_suffix(".json"), json.dumps(plain(data), indent=1))
    write_text(path, html)
    return Written(path, tuple((entry["name"], entry["reason"]) for entry in seen.page["skipped"]))


def _environment() -> Environment:
    package = __package__ or ""
    return Environment(loader=PackageLoader(package, ""), autoescape=True, trim_blocks=True, lstrip_blocks=True)


def _frame(model: Model, path: Path) -> dict[str, Any]:
    folder = Path(__file__).parent
    return {
        "title": model.name,
        "version": version("onnxray"),
        "date": date.today().isoformat(),
        "json_name": path.with_suffix(".json").name,
        "style": (folder / "style.css").read_text("utf-8"),
        "script": (folder / "script.js").read_text("utf-8"),
    }


def _contents(has_images: bool, has_heat_maps: bool) -> list[tuple[str, str]]:
    """Anchor and name of the sections that are on the page."""
    sections = [("graph", "Architecture"), ("layers", "Layers"), ("weights", "Weights")]
    sections += [("images", "Images")] if has_images else []
    sections += [("pixels", "Which pixels decide")] if has_heat_maps else []
    return [*sections, ("provenance", "Provenance")]


def _lede(model: Model) -> str:
    takes = " and ".join(f"{name} ({quantities.shape(shape)})" for name, shape in model.input_shapes.items())
    gives = " and ".join(f"{name} ({quantities.shape(model.graph.shape(name))})" for name in model.graph.outputs)
    return f"Takes {takes}, gives {gives}."


def _drawing(model: Model) -> str:
    """The architecture as an SVG element."""
    svg = to_svg(model)
    return svg[svg.index("<svg") :]


def _summary_data(summary: Any) -> dict[str, Any]:
    return {"params": summary.total_params, "macs": summary.total_macs, **plain(summary)}
