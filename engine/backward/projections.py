"""projections: what in an image a layer's units answer to, all of them run back to it together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ...importers.errors import InputError
from ..batching import memory_bytes, resident_bytes
from ..images import ImageBatches, Images, channels_first, displayable, image_input
from ..methods.attributing import Progress
from ..methods.attribution import Stop
from ..methods.feature_maps import image_size
from ..model import Model
from ..results import Result
from ..structure.places import places
from ..structure.receptive_field import receptive_fields
from ..structure.rectifiers import NOT_ONLY_POSITIVE, RECTIFIERS
from ..structure.semantics import constant_tensors
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
    layer: str,  # feature map [N, C, h, w] or [N, h, w, C], or units [N, C]; a tensor or its node
    *,
    units: str | Sequence[int] = TOP,  # top9: of all units those that rise highest; all; or their numbers
    images_per_unit: int = _TOP,  # those in which a unit is strongest
    memory: int | str | None = None,  # what the process may hold: 2GB
    progress: Progress | None = None,  # called for images looked at, then for pictures made; may raise Stop
) -> Projections:
    """Each unit's strongest places in images, run back to the pixels by the deconvnet, without torch.

    All other values of the layer are 0; the unit is 1, where the paper begins with its activation. The network runs
    forward once an image to find the places, once more for each image that is shown, and back for many units at once.
    Raises InputError when the layer is neither, a unit is not in it, an operator has no backward pass as ONNX,
    or no image can be read.
    Source: Zeiler and Fergus 2013, arXiv:1311.2901, section 2.1.
    """
    at = _layer(model, layer)
    batches = ImageBatches(images, model, 1)
    report = progress or (lambda done, total: None)
    strongest, looked = _strongest(at, batches, images_per_unit, report)
    asked = _asked(units, strongest)
    rows = [row for unit in asked for row in strongest[unit]]
    rows, maps, pictures, ran = _run_back(at, images, rows, memory, report)
    field, shown = receptive_fields(model.graph, at.back.image, _axes(model))[at.back.layer], list(pictures)
    return Projections(
        layer=at.back.layer,
        units=tuple(row.unit for row in rows),
        images=tuple(str(row.path) for row in rows),
        activations=np.array([row.activation for row in rows]),
        places=np.array([row.place for row in rows], int).reshape(-1, 2),
        boxes=np.array([_box(field.pixels(at.index(row)), model) for row in rows], int).reshape(-1, 4),
        maps=maps,
        pictures=np.array(list(pictures.values()), np.uint8),
        picture_of=tuple(shown.index(row.picture) for row in rows),
        silent=tuple(unit for unit in asked if not strongest[unit]),
        notes=tuple(_notes(at.back.through)),
        stopped="; ".join(filter(None, [looked, ran])),
        skipped=tuple((str(path), reason) for path, reason in batches.skipped),
        source=model.source,
    )


@dataclass(frozen=True)
class _Layer:
    """A tensor of units: a feature map, channels first or last, or one place with as many channels as units."""

    model: Model
    back: Mirror
    layout: Literal["channels first", "channels last", "one place"]

    def planes(self, values: np.ndarray) -> np.ndarray:  # [n, …] -> [n, C, h, w]
        """What is written there is written into them."""
        if self.layout == "one place":
            return values[:, :, None, None]
        return np.moveaxis(values, 3, 1) if self.layout == "channels last" else values

    def index(self, row: _Strongest) -> tuple[int, ...]:
        """Of the unit in the tensor."""
        if self.layout == "one place":
            return 0, row.unit
        return (0, *row.place, row.unit) if self.layout == "channels last" else (0, row.unit, *row.place)


def _layer(model: Model, name: str) -> _Layer:
    tensor = tensor_named(model, name)
    shape = model.graph.shape(tensor) or ()
    if len(shape) not in (2, 4):
        raise InputError(f"expected a feature map [N, C, H, W] or units [N, C], {tensor} is {list(shape) or ['?']}")
    found = places(model.graph, tensor, image_size(model), constant_tensors(model.graph))
    last = found is not None and found.layout == "channels last"
    return _Layer(
        model, mirror(model, tensor), "one place" if len(shape) == 2 else "channels last" if last else "channels first"
    )


def _strongest(at: _Layer, batches: ImageBatches, most: int, report: Progress) -> tuple[list[list[_Strongest]], str]:
    """For each unit the images in which it rises above 0, the strongest first; how far it came if it was stopped."""
    found: list[list[_Strongest]] = []
    for number, (paths, image) in enumerate(batches):
        (values,) = at.planes(at.back.forward(image)[0])  # [C, h, w]
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
    at: _Layer, images: Images, rows: Sequence[_Strongest], memory: int | str | None, report: Progress
) -> tuple[list[_Strongest], np.ndarray, dict[int, np.ndarray], str]:
    """The rows that were done, their maps [P, C, H, W], the pictures, and how far it came if it was told to stop.

    Image by image, as switches are an image's.
    """
    made, pictures, stopped = dict[_Strongest, np.ndarray](), dict[int, np.ndarray](), ""
    of_picture = {number: [row for row in rows if row.picture == number] for number in {row.picture for row in rows}}
    try:
        for number, (_, image) in enumerate(ImageBatches(images, at.model, 1)):
            if number in of_picture:
                pictures[number] = displayable(image, at.model.spec)
                for some, maps in _maps(at, image, of_picture.pop(number), memory):
                    made.update(zip(some, maps, strict=True))
                    report(len(made), len(rows))
            if not of_picture:
                break
    except Stop:
        stopped = f"stopped after {len(made)} of {len(rows)} pictures" if len(made) < len(rows) else ""
    done = [row for row in rows if row in made]
    shape = channels_first(np.empty((1, *image_input(at.model)[1][1:])), at.model.spec).shape[1:]
    return done, np.array([made[row] for row in done], np.float32).reshape(-1, *shape), pictures, stopped


def _maps(
    at: _Layer, image: np.ndarray, rows: Sequence[_Strongest], memory: int | str | None
) -> Iterator[tuple[Sequence[_Strongest], np.ndarray]]:
    """Some rows of an image and their maps [n, C, H, W], until all are done."""
    spec, (value, recorded) = at.model.spec, at.back.forward(image)
    while rows:
        most = _most(at.model, memory)
        some, rows = rows[:most], rows[most:]
        units = np.zeros((len(some), *value.shape[1:]), np.float32)
        for number, row in enumerate(some):
            at.planes(units)[(number, row.unit, *row.place)] = 1
        maps = channels_first(at.back.backward(units, recorded), spec)
        yield some, maps[:, ::-1] if spec.channel_order == "BGR" else maps


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


def _notes(through: frozenset[str]) -> Iterator[str]:
    if "MaxPool" not in through:
        yield "no MaxPool lies before the layer: without switches the pictures hardly depend on the image"
    if not through & set(RECTIFIERS):
        yield "no ReLU or its like lies before the layer: nothing is rectified on the way back"
    if soft := sorted(through & set(NOT_ONLY_POSITIVE)):
        names = " and ".join(name.removeprefix("com.microsoft.") for name in soft)
        yield f"{names} let negative values pass forward; back, only what is positive passes, as at a ReLU"
