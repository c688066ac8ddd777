"""The report's heat maps: which pixels decide for the class that the network puts first."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
from PIL import Image

from ...engine.methods.attribution import Attribution, CertificateWarning
from ...engine.methods.grad_cam import grad_cam
from ...engine.methods.saliency import saliency
from ...engine.model import Model
from ...engine.render.heatmap import Heat
from ...engine.structure.classifier import find_classifier
from ...importers.errors import InputError
from .section import Section, embed

NOTHING = Section(page={"pixels": None}, data={"pixels": None})
_METHODS: dict[str, Callable[..., Attribution]] = {"Grad-CAM": grad_cam, "Saliency": saliency}
_SHOWN = 6  # images: a gradient costs two to three times as much as a prediction


def section(model: Model, images: Sequence[str], memory: int | None) -> Section:
    """Heat maps of the first images; nothing where the network is no classifier, and why where gradients fail."""
    if find_classifier(model.graph) is None:
        return NOTHING
    if find_spec("torch") is None:
        return _section({}, ["Gradients need torch, which is not installed."], len(images))
    found: dict[str, Attribution] = {}
    failed: list[str] = []
    for name, method in _METHODS.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", CertificateWarning)  # stands on the page
                found[name] = method(model, list(images[:_SHOWN]), memory=memory)
        except (InputError, RuntimeError) as error:  # the rest of the page does not depend on it
            failed.append(f"{name}: {error}")
    return _section(found, list(dict.fromkeys(failed)), len(images))


def _section(found: dict[str, Attribution], failed: list[str], images: int) -> Section:
    results = list(found.values())
    page = {
        "caption": _caption(found, images),
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
    notes = dict.fromkeys(note for result in found.values() for note in result.notes)
    sentences = [f"{name} of {result.layer}: {result.meaning}" for name, result in found.items()] + [
        _capital(note) for note in notes
    ]
    sentences += [f"The first {_SHOWN} of {images} images"] if images > _SHOWN else []
    first = "What speaks for the class that the network puts first, from dark (nothing) to yellow (most, in each map)"
    return " ".join(f"{sentence}." for sentence in (first, *sentences))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _entry(found: dict[str, Attribution], row: int) -> dict[str, Any]:
    first = next(iter(found.values()))
    return {
        "target": first.targets[row],
        "name": first.images[row].rpartition("/")[2],
        "figures": [
            {"method": name, "src": embed(Image.fromarray(_picture(name, result.heats()[row])))}
            for name, result in found.items()
        ],
    }


def _picture(method: str, heat: Heat) -> np.ndarray:  # [H, W, 3] uint8
    """Over the picture where the map is smooth, alone where it is as fine as the picture."""
    return heat.overlay if method == "Grad-CAM" else heat.colours


def _numbers(result: Attribution) -> dict[str, Any]:
    """All but the maps, the pictures, and the predictions, which report.json has already."""
    return {
        name: value
        for name, value in result.to_json().items()
        if name not in ("maps", "pictures", "predictions", "raw")
    }
