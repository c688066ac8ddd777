"""The report's heat maps: which pixels decide for the class that the network puts first."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from PIL import Image

from ...engine.methods import ATTRIBUTIONS, attribution_method
from ...engine.methods.attribution import Attribution, CertificateWarning
from ...engine.model import Model
from ...engine.render.heatmap import Heat
from ...engine.structure.classifier import find_classifier
from ...importers.errors import InputError
from .section import Section, embed

NOTHING = Section(page={"pixels": None}, data={"pixels": None})
# One gradient each, and each another view: places, slopes, shapes, shares. `explain --method all` has the others.
_METHODS = ("grad_cam", "saliency", "guided_backprop", "lrp")
_SHOWN = 6  # images: a gradient costs two to three times as much as a prediction


def section(model: Model, images: Sequence[str], memory: int | None) -> Section:
    """Heat maps of the first images; nothing where the network is no classifier, and why where gradients fail."""
    if find_classifier(model.graph) is None:
        return NOTHING
    if find_spec("torch") is None:
        return _section({}, ["Gradients need torch, which is not installed."], len(images))
    found: dict[str, Attribution] = {}
    failed: list[str] = []
    for method in _METHODS:
        name = ATTRIBUTIONS[method]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", CertificateWarning)  # stands on the page
                found[name] = attribution_method(method)(model, list(images[:_SHOWN]), memory=memory)
        except (InputError, RuntimeError) as error:  # the rest of the page does not depend on it
            failed.append(f"{name}: {error}")
    return _section(found, list(dict.fromkeys(failed)), len(images))


def _section(found: dict[str, Attribution], failed: list[str], images: int) -> Section:
    results = list(found.values())
    page = {
        "caption": _caption(found, images),
        "methods": _methods(found),
        "images": [_entry(found, row) for row in range(len(results[0].images))] if results else [],
        "failed": failed,
        "certificate": results[0].certificate if results else "",
        "certified": all(result.certified for result in results),
    }
    data = {name: _numbers(result) for name, result in found.items()} | {"failed": failed}
    return Section({"pixels": page}, {"pixels": data})


def _caption(found: dict[str, Attribution], images: int) -> str:
    if not found:
        return "There are no heat maps of this network."
    kept = f" The first {_SHOWN} of {images} images." if images > _SHOWN else ""
    return (
        "What speaks for the class that the network puts first: from dark (nothing) to yellow (most), or from blue "
        f"(against, or darker) to red (for, or brighter), each map on its own scale.{kept}"
    )


def _methods(found: dict[str, Attribution]) -> list[dict[str, str]]:
    """What each map shows, and what must be known of it alone."""
    shared = set.intersection(*(set(result.notes) for result in found.values())) if found else set()
    own = {
        name: [_capital(note) + "." for note in result.notes if note not in shared] for name, result in found.items()
    }
    return [
        {"name": name, "layer": result.layer, "meaning": " ".join([f"{result.meaning}.", *own[name]])}
        for name, result in found.items()
    ] + [{"name": "All", "layer": "", "meaning": f"{note}."} for note in sorted(shared)]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _entry(found: dict[str, Attribution], row: int) -> dict[str, Any]:
    first = next(iter(found.values()))
    return {
        "target": first.targets[row],
        "name": first.images[row].rpartition("/")[2],
        "figures": [_figure(name, result.rows([row]).heats()[0], result) for name, result in found.items()],
    }


def _figure(method: str, heat: Heat, result: Attribution) -> dict[str, str]:
    """Over the picture where the map is smooth, alone where it is as fine as the picture."""
    picture = embed(Image.fromarray(heat.overlay if result.smooth else heat.colours))
    return {"method": method, "src": picture, "extent": heat.extent(result.units)}


def _numbers(result: Attribution) -> dict[str, Any]:
    """All but the maps, the pictures, and the predictions, which report.json has already."""
    return {
        name: value
        for name, value in result.to_json().items()
        if name not in ("maps", "pictures", "predictions", "raw")
    }
