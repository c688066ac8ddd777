"""The report's images: each as the network sees it, its top classes, and feature maps of a few layers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ...engine.images import find_images, read_image
from ...engine.methods.activations import Activations, LayerActivation, activations
from ...engine.methods.predict import Predictions, predict
from ...engine.model import Model
from ...engine.render.image_grid import image_grid
from ...engine.render.layer_card import MOST_CELLS, shrunk, strip
from ...engine.session import Session
from ...engine.structure.classifier import find_classifier
from ...importers.errors import InputError
from ..images import assumptions
from .section import Section, embed

NOTHING = Section(page={"images": [], "skipped": []}, data={"predictions": None, "activations": []})
_PLANES = 16  # channels drawn a layer
_COLUMNS = 8
_PLANE, _LONE_PLANE = 52, 208  # pixels: side of one drawn channel at most, of many and of one


def section(model: Model, session: Session, images: Sequence[str | Path], top: int, shown: int) -> Section:
    """Predictions of all images; pictures and feature maps of the first `shown` that can be read.

    Raises InputError when none can, or the network takes no images.
    """
    paths = find_images([str(path) for path in images])
    classes = (
        predict(model, [str(path) for path in paths], top, session=session) if find_classifier(model.graph) else None
    )
    seen, skipped = _look(model, session, paths, shown, top)
    if not seen:
        raise InputError(f"none of the {len(paths)} images can be read: {skipped[0]['name']} ({skipped[0]['reason']})")
    if classes is not None:
        skipped = [{"name": Path(path).name, "reason": reason} for path, reason in classes.skipped]
    page = {
        "images": [_entry(found) for found in seen],
        "images_caption": _caption(seen[0], len(paths), len(seen)),
        "assumed": assumptions(model.spec),
        "skipped": skipped,
    }
    return Section(
        page,
        {"predictions": _predictions(classes), "activations": [_numbers(found) for found in seen], "skipped": skipped},
    )


def _look(
    model: Model, session: Session, paths: Sequence[Path], shown: int, top: int
) -> tuple[list[Activations], list[dict[str, str]]]:
    seen: list[Activations] = []
    skipped: list[dict[str, str]] = []
    for path in paths:
        if len(seen) == shown:
            break
        try:
            read_image(path)
        except InputError as error:
            skipped.append({"name": path.name, "reason": str(error)})
        else:  # what goes wrong from here on is not the picture's fault
            seen.append(activations(model, path, top=top, session=session))
    return seen, skipped


def _caption(first: Activations, total: int, shown: int) -> str:
    all_predicted = "; the JSON file beside this page has the predictions of all" if first.predictions else ""
    more = f" The first {shown} of {total} images{all_predicted}." if total > shown else ""
    note = f" {first.predictions.note[0].upper()}{first.predictions.note[1:]}." if first.predictions else ""
    return (
        f"Each image as the network receives it.{note} Feature maps: {first.rule}; "
        f"of each layer the {_PLANES} channels with the largest mean magnitude, from dark (low) to yellow (high).{more}"
    )


def _entry(found: Activations) -> dict[str, Any]:
    return {
        "name": Path(found.image).name,
        "src": embed(Image.fromarray(found.picture)),
        "classes": [] if found.predictions is None else _classes(found.predictions),
        "maps": [_feature_maps(layer) for layer in found.layers],
    }


def _classes(predictions: Predictions) -> list[dict[str, str]]:
    entries = []
    for rank, index in enumerate(predictions.indices[0]):
        probability = float(predictions.probabilities[0, rank])
        logit = "" if predictions.logits is None else f"logit {predictions.logits[0, rank]:.2f}"
        label = predictions.labels[0][rank] or f"class {index}"
        share = f"{100 * probability:.1f}"
        entries.append({"label": label, "probability": f"{share} %", "share": share, "logit": logit})
    return entries


def _feature_maps(layer: LayerActivation) -> dict[str, str]:
    shape = "×".join(map(str, layer.values.shape))
    caption = f"{shape}, {100 * layer.zeros:.0f} % zeros, mean {layer.mean:.3g}, largest {layer.max:.3g}"
    if layer.values.ndim != 3 and layer.values.size > MOST_CELLS:
        caption += f"; the first {MOST_CELLS} values"
    picture, columns = _picture(layer.values)
    return {
        "layer": layer.node or layer.tensor,
        "caption": caption,
        "src": embed(picture),
        "columns": str(columns),
    }


def _picture(values: np.ndarray) -> tuple[Image.Image, int]:  # values: [C, H, W] or [C]
    """The most active channels of a layer in so many columns; a dense layer as cells."""
    if values.ndim != 3:
        return strip(values.reshape(-1)), _COLUMNS
    strength = np.abs(values).reshape(len(values), -1).mean(1)
    chosen = np.sort(np.argsort(-strength, kind="stable")[:_PLANES])
    columns = min(_COLUMNS, len(chosen))
    side = min(_PLANE * _COLUMNS // columns, _LONE_PLANE)
    planes = np.stack([shrunk(plane, side) for plane in values[chosen].astype(np.float32)])
    scale = max(1, side // max(planes.shape[1:]))
    return image_grid(planes, columns=columns, colormap="viridis", scale=scale, gap=3), columns


def _predictions(classes: Predictions | None) -> dict[str, Any] | None:
    return None if classes is None else classes.to_json()


def _numbers(found: Activations) -> dict[str, Any]:
    """Statistics of each layer, without the maps themselves."""
    skip = {"values"}
    return {
        "image": found.image,
        "rule": found.rule,
        "layers": [{name: value for name, value in vars(layer).items() if name not in skip} for layer in found.layers],
    }
