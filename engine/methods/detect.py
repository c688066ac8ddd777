"""detect: the boxes that a detector finds in images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...importers.errors import InputError
from ...importers.heads import Head, read_heads
from ..images import ImageBatches, Images, shown_part
from ..render.boxes import LabelledBox, boxes_on
from ..results import Result
from .boxes import best_boxes, decode

if TYPE_CHECKING:
    from PIL import Image

    from ..model import Model
    from ..session import Session

_IMAGES_AT_ONCE = 4  # a detector has tens of thousands of boxes an image, with a score for each class
THRESHOLD, OVERLAP = 0.25, 0.45  # Darknet's own


@dataclass(frozen=True)
class Detections(Result):
    """Boxes, image by image, in each the surest first."""

    images: tuple[str, ...]  # [N] paths
    numbers: np.ndarray  # [K] int64: which image a box is in
    boxes: np.ndarray  # [K, 4] float32: left, top, right, bottom in pixels of the image
    indices: np.ndarray  # [K] int64, class numbers
    labels: tuple[str, ...]  # [K] class names; empty strings when the model has none
    scores: np.ndarray  # [K] float32, 0..1
    threshold: float  # which the scores are above
    overlap: float  # what two boxes of a class share at most, of their union
    outputs: tuple[str, ...]  # the graph outputs that the boxes were made of
    skipped: tuple[tuple[str, str], ...]  # broken images: path, reason

    def drawn(self, number: int, picture: np.ndarray) -> Image.Image:
        """Image `number` with its boxes; this is its picture, [H, W, 3] in 0..255."""
        return boxes_on(picture, [self._box(int(row)) for row in np.flatnonzero(self.numbers == number)])

    def _box(self, row: int) -> LabelledBox:
        left, top, right, bottom = (float(side) for side in self.boxes[row])
        name = self.labels[row] or f"class {self.indices[row]}"
        return LabelledBox((left, top, right, bottom), f"{name} {self.scores[row]:.2f}", int(self.indices[row]))


@dataclass(frozen=True)
class _Found:
    """The boxes of one image."""

    boxes: np.ndarray  # [k, 4]
    indices: np.ndarray  # [k]
    scores: np.ndarray  # [k]


def detect(
    model: Model,
    images: Images,  # files, folders, globs, or arrays [N, H, W, 3]
    *,
    threshold: float = THRESHOLD,
    overlap: float = OVERLAP,
    session: Session | None = None,
    progress: Callable[[int, int], None] | None = None,  # called with (images done, images in all)
) -> Detections:
    """The boxes that the network sees in each image, by the heads that its file describes.

    A box for each class whose score is above `threshold`, but where a better one of the class overlaps it: non-maximum
    suppression class by class, the greedy one.
    Raises InputError when no heads are described, labels do not fit them, or no image can be read.
    """
    for name, value in (("threshold", threshold), ("overlap", overlap)):
        if not 0 <= value <= 1:
            raise InputError(f"{name} expects a number from 0 to 1, found {value}")
    heads = heads_of(model)
    outputs = tuple(dict.fromkeys(name for head in heads for name in head.tensors))
    session = session or model.session()
    batches = ImageBatches(images, model, _IMAGES_AT_ONCE)
    names: list[str] = []
    found: list[_Found] = []
    for paths, batch in batches:
        values = session.run(batch, list(outputs))
        decoded = [decode(head, values) for head in heads]
        corners, scores = (np.concatenate(parts, 1) for parts in zip(*decoded, strict=True))
        for path, boxes, sure in zip(paths, corners, scores, strict=True):
            part = shown_part(batches.picture(path).shape[:2], batches.spec, batches.shape)
            found.append(_kept(boxes, sure, part, threshold, overlap))
        names += [str(path) for path in paths]
        if progress is not None:
            progress(batches.consumed, len(batches))
    indices = np.concatenate([image.indices for image in found])
    return Detections(
        images=tuple(names),
        numbers=np.repeat(np.arange(len(found)), [len(image.scores) for image in found]),
        boxes=np.concatenate([image.boxes for image in found]),
        indices=indices,
        labels=tuple(model.labels[index] if model.labels else "" for index in indices),
        scores=np.concatenate([image.scores for image in found]),
        threshold=threshold,
        overlap=overlap,
        outputs=outputs,
        skipped=tuple((str(path), reason) for path, reason in batches.skipped),
    )


def heads_of(model: Model) -> tuple[Head, ...]:
    """How the network's outputs become boxes.

    Raises InputError when its file does not say, or has another number of classes than labels.
    """
    heads = read_heads(model.proto)
    if not heads:
        raise InputError(
            "expected a detector whose file says how its outputs become boxes, as Darknet's do; "
            "look at its outputs with `activations`"
        )
    classes = {head.classes for head in heads}
    if len(classes) > 1:
        raise InputError(f"the network's heads differ in their classes: {', '.join(map(str, sorted(classes)))}")
    if model.labels and {len(model.labels)} != classes:
        raise InputError(f"{len(model.labels)} labels were given for the {classes.pop()} classes of the network")
    return heads


def _kept(
    corners: np.ndarray,  # [K, 4] in parts of the network's input
    scores: np.ndarray,  # [K, classes]
    part: tuple[float, float, float, float],  # of the picture that the network saw: left, top, right, bottom
    threshold: float,
    overlap: float,
) -> _Found:
    rows, indices = best_boxes(corners, scores, threshold, overlap)
    left, top, right, bottom = part
    low = np.array([left, top] * 2, np.float32)
    size = np.array([right - left, bottom - top] * 2, np.float32)
    boxes = np.clip(low + corners[rows] * size, low, low + size)
    return _Found(boxes.astype(np.float32), indices, scores[rows, indices])
