"""What was explained, image by image, and the scores of changed versions of it, on onnxruntime."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, is_dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ...importers.errors import InputError
from ..images import ImageBatches, Images
from ..methods.attributing import Progress, Wanted, wanted_targets
from ..methods.forward import versions_scores
from ..targets import ClassProbability, ClassScore, Mask, Target, settled

if TYPE_CHECKING:
    from ..methods.attribution import Attribution
    from ..model import Model

Targets: TypeAlias = Wanted | Sequence[Wanted]  # one or several, as the methods take them


@dataclass(frozen=True)
class Explained:
    """An image and its targets: classes, boxes and masks are those of the unchanged image, whatever is done to it."""

    name: str
    image: np.ndarray  # one of the network's inputs, [C, H, W] or [H, W, C]
    targets: tuple[Target, ...]  # settled
    labels: tuple[str, ...]  # what captions call them


@dataclass(frozen=True)
class Row:
    """A row of an Attribution, ready to be scored again."""

    number: int
    image: np.ndarray  # as of Explained
    target: Target  # settled


def explained(model: Model, images: Images, target: Targets, progress: Progress | None = None) -> Iterator[Explained]:
    """Every image that can be read. Raises InputError as the methods do."""
    wanted = wanted_targets(target, model)
    batches = ImageBatches(images, model, 1)
    for number, (paths, batch) in enumerate(batches):
        targets = [_of_image(settled(_of_image(entry, number), model, batch), 0) for entry in wanted]
        labels = tuple(entry.labels(1)[0] for entry in targets)
        yield Explained(str(paths[0]), batch[0], tuple(_bounded(entry, model, batch) for entry in targets), labels)
        if progress is not None:
            progress(batches.consumed, len(batches))


def rows(
    model: Model, found: Attribution, images: Images, target: Targets, progress: Progress | None = None
) -> Iterator[Row]:
    """The rows of the attribution, in order.

    Raises InputError when these are not the images and targets that were explained.
    """
    number = 0
    for seen in explained(model, images, target, progress):
        for entry, label in zip(seen.targets, seen.labels, strict=True):
            _check_same(found, number, seen.name, label)
            yield Row(number, seen.image, entry)
            number += 1
    if number < len(found.images):
        raise InputError(f"expected the images and targets of {len(found.images)} rows, found those of {number}")


def scores(
    model: Model,
    target: Target,  # settled, of one image
    versions: Iterable[np.ndarray],  # of that image, each one of the network's inputs
    memory: int | str | None = None,  # what the process may hold: 2GB
) -> np.ndarray:  # [versions] float64
    """The score of each version, on onnxruntime; a few run together."""
    found = versions_scores(model, (version[None] for version in versions), target, memory)
    return np.concatenate(list(found)).astype(np.float64)


def probability_where_class(target: Target, model: Model) -> Target:
    """The class's probability in place of its score; other targets as they are."""
    if not isinstance(target, ClassScore):
        return target
    return ClassProbability(target.index).settle(model, {})


def _bounded(target: Target, model: Model, batch: np.ndarray) -> Target:  # batch: [1, …]
    """A mask that is where the network says is where it says so of this image; other targets as they are."""
    if not isinstance(target, Mask) or target.mask is not None:
        return target
    tensor = target.tensor(model)
    planes = model.session().run(batch, [tensor])[tensor]
    target.score(planes)  # says so where the class is nowhere first
    return replace(target, mask=planes[0].argmax(0) == target.channel)


def _of_image(target: Any, image: int) -> Any:
    """A target of one index an image, for this image alone; others as they are."""
    index = getattr(target, "index", None)
    if not isinstance(index, tuple) or not is_dataclass(target):
        return target
    if image >= len(index):
        raise InputError(f"expected one index, or one for each image, found {len(index)} for more images")
    return replace(target, index=index[image])  # type: ignore[type-var]


def _check_same(found: Attribution, number: int, name: str, label: str) -> None:
    if number >= len(found.images):
        raise InputError(f"expected the images and targets of {len(found.images)} rows, found more")
    explained_row = (found.images[number], found.targets[number])
    if explained_row != (name, label):
        raise InputError(
            f"row {number + 1} explains {explained_row[1]} in {explained_row[0]}, found {label} in {name}: "
            "give the images and targets that were explained"
        )
