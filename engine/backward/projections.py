"""projections: what in an image a layer's units answer to, all of them run back to it together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...importers.errors import InputError
from ..batching import memory_bytes, resident_bytes
from ..images import ImageBatches, Images, channels_first, displayable, image_input
from ..methods.attributing import Progress
from ..methods.attribution import Stop
from ..model import Model
from ..results import Result
from ..structure.places import is_feature_map
from ..structure.receptive_field import receptive_fields
from ..targets.target import tensor_named
from .mirror import Mirror, mirror

TOP = "top9"
ALL = "all"
_TOP = 9
_AT_ONCE = 16  # units that run back together
_COPIES = 40  # of the image's size that a unit takes on the way, roughly: channels of the first layers


@dataclass(frozen=True)
class Projections(Result):
    """One row an image of a unit; a unit's rows follow each other, the strongest first."""

    layer: str
    units: tuple[int, ...]  # channels of the layer
    images: tuple[str, ...]
    activations: np.ndarray  # [P] the unit's strongest value in the image
    places: np.ndarray  # [P, 2] row and column of the layer where it is
    boxes: np.ndarray  # [P, 4] pixels that the place can see: top, left, bottom, right; the last two are behind it
    maps: np.ndarray  # [P, C, H, W] float32: the unit run back, in units of the network's input; RGB where C is 3
    pictures: np.ndarray  # [images, H, W, 3] uint8
    picture_of: tuple[int, ...]  # [P] number of each row's picture
    silent: tuple[int, ...]  # units that never rise above 0, of those asked for
    notes: tuple[str, ...]
    stopped: str  # "": not before the end
    skipped: tuple[tuple[str, str], ...]
    source: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        return super().to_json() | {"maps": {"shape": list(self.maps.shape), "dtype": str(self.maps.dtype)}}


@dataclass(frozen=True)
class _Strongest:
    """Where a unit is strongest in an image."""

    unit: int
    picture: int  # number of the image
    path: Path
    activation: float
    place: tuple[int, int]


def projections(
    model: Model,
    images: Images,  # files, folders, globs, or arrays [N, H, W, 3]
    layer: str,  # feature map [N, C, h, w], a tensor or its node
    *,
    units: str | Sequence[int] = TOP,  # top9: of all units those that rise highest; all; or their numbers
    images_per_unit: int = _TOP,  # those in which a unit is strongest
    memory: int | str | None = None,  # what the process may hold: 2GB
    progress: Progress | None = None,  # called for images looked at, then for pictures made; may raise Stop
) -> Projections:
    """Each unit's strongest places in images, run back to the pixels by the deconvnet, without torch.

    All other values of the layer are 0; the unit is 1, where the paper begins with its activation. The network runs
    forward once an image to find the places, once more for each image that is shown, and back for many units at once.
    Raises InputError when the layer is no feature map, a unit is not in it, an operator has no backward pass as ONNX,
    or no image can be read.
    Source: Zeiler and Fergus 2013, arXiv:1311.2901, section 2.1.
    """
    tensor = tensor_named(model, layer)
    if not is_feature_map(model.graph, tensor):
        raise InputError(f"expected a feature map [N, C, H, W], {tensor} is {list(model.graph.shape(tensor) or ['?'])}")
    back = mirror(model, tensor)
    batches = ImageBatches(images, model, 1)
    report = progress or (lambda done, total: None)
    strongest, looked = _strongest(back, batches, images_per_unit, report)
    asked = _asked(units, strongest)
    rows = [row for unit in asked for row in strongest[unit]]
    rows, maps, pictures, ran = _run_back(back, model, images, rows, memory, report)
    field, shown = receptive_fields(model.graph, back.image, _axes(model))[tensor], list(pictures)
    return Projections(
        layer=tensor,
        units=tuple(row.unit for row in rows),
        images=tuple(str(row.path) for row in rows),
        activations=np.array([row.activation for row in rows]),
        places=np.array([row.place for row in rows], int).reshape(-1, 2),
        boxes=np.array([_box(field.pixels((0, row.unit, *row.place)), model) for row in rows], int).reshape(-1, 4),
        maps=maps,
        pictures=np.array(list(pictures.values()), np.uint8),
        picture_of=tuple(shown.index(row.picture) for row in rows),
        silent=tuple(unit for unit in asked if not strongest[unit]),
        notes=_notes(back),
        stopped="; ".join(filter(None, [looked, ran])),
        skipped=tuple((str(path), reason) for path, reason in batches.skipped),
        source=model.source,
    )


def _strongest(back: Mirror, batches: ImageBatches, most: int, report: Progress) -> tuple[list[list[_Strongest]], str]:
    """For each unit the images in which it rises above 0, the strongest first; how far it came if it was stopped."""
    found: list[list[_Strongest]] = []
    for number, (paths, image) in enumerate(batches):
        values = back.forward(image)[0][0]  # [C, h, w]
        found = found or [[] for _ in values]
        for unit, plane in enumerate(values):
            row, column = np.unravel_index(plane.argmax(), plane.shape)
            if plane[row, column] > 0:
                place = (int(row), int(column))
                found[unit].append(_Strongest(unit, number, paths[0], float(plane[row, column]), place))
                found[unit] = sorted(found[unit], key=lambda entry: -entry.activation)[:most]
        try:
            report(batches.consumed, len(batches))
        except Stop:
            if batches.consumed < len(batches):
                return found, f"stopped after {batches.consumed} of {len(batches)} images"
    return found, ""


def _asked(units: str | Sequence[int], strongest: Sequence[Sequence[_Strongest]]) -> list[int]:
    count = len(strongest)
    if units == ALL:
        return list(range(count))
    if units == TOP:
        alive = [unit for unit in range(count) if strongest[unit]]
        return sorted(alive, key=lambda unit: -strongest[unit][0].activation)[:_TOP]
    if isinstance(units, str) or not all(isinstance(unit, int) and 0 <= unit < count for unit in units):
        raise InputError(f"units expects {TOP}, {ALL} or numbers from 0 to {count - 1}, found {units!r}")
    return list(dict.fromkeys(units))


def _run_back(
    back: Mirror,
    model: Model,
    images: Images,
    rows: Sequence[_Strongest],
    memory: int | str | None,
    report: Progress,
) -> tuple[list[_Strongest], np.ndarray, dict[int, np.ndarray], str]:
    """The rows that were done, their maps [P, C, H, W], the pictures, and how far it came if it was told to stop.

    Image by image, as switches are an image's."""
    made, pictures, stopped = dict[_Strongest, np.ndarray](), dict[int, np.ndarray](), ""
    of_picture = {number: [row for row in rows if row.picture == number] for number in {row.picture for row in rows}}
    try:
        for number, (_, image) in enumerate(ImageBatches(images, model, 1)):
            for some in _parts(of_picture.get(number, []), _most(model, memory)):
                pictures[number] = displayable(image, model.spec)
                made.update(zip(some, _maps(back, image, some, model), strict=True))
                report(len(made), len(rows))
    except Stop:
        stopped = f"stopped after {len(made)} of {len(rows)} pictures" if len(made) < len(rows) else ""
    done = [row for row in rows if row in made]
    shape = channels_first(np.empty((1, *image_input(model)[1][1:])), model.spec).shape[1:]
    return done, np.array([made[row] for row in done], np.float32).reshape(-1, *shape), pictures, stopped


def _maps(back: Mirror, image: np.ndarray, rows: Sequence[_Strongest], model: Model) -> np.ndarray:  # [n, C, H, W]
    value, recorded = back.forward(image)
    units = np.zeros((len(rows), *value.shape[1:]), np.float32)
    for number, row in enumerate(rows):
        units[(number, row.unit, *row.place)] = 1
    maps = channels_first(back.backward(units, recorded), model.spec)
    return maps[:, ::-1] if model.spec.channel_order == "BGR" else maps


def _parts(rows: Sequence[_Strongest], most: int) -> Iterator[Sequence[_Strongest]]:
    for start in range(0, len(rows), most):
        yield rows[start : start + most]


def _most(model: Model, memory: int | str | None) -> int:
    if memory is None:
        return _AT_ONCE
    room = memory_bytes(memory) - resident_bytes()
    return int(np.clip(room // (_COPIES * 4 * int(np.prod(image_input(model)[1][1:]))), 1, _AT_ONCE))


def _axes(model: Model) -> tuple[int, int]:
    return (1, 2) if model.spec.layout == "NHWC" else (2, 3)


def _box(pixels: Any, model: Model) -> tuple[int, int, int, int]:
    """The whole image where the field is not known."""
    if pixels is None:
        height, width = np.array(image_input(model)[1])[list(_axes(model))]
        return 0, 0, int(height), int(width)
    (top, bottom), (left, right) = pixels
    return top, left, bottom + 1, right + 1


def _notes(back: Mirror) -> tuple[str, ...]:
    if any(name.endswith("/switches") for name in back.recorded):
        return ()
    return ("no MaxPool lies before the layer: without switches the pictures hardly depend on the image",)
