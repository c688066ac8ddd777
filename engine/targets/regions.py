"""Parts of an image: a mask of a segmentation network, a box of a detector."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ...importers.errors import InputError, nearest_names
from .target import Inputs, Target, check_index, find_tensor, known_names, tensor_named

if TYPE_CHECKING:
    from ..model import Model

Corners = tuple[float, float, float, float]


@dataclass(frozen=True)
class Mask(Target):
    """The mean of one class's plane [N, C, H, W] over a part of the image: where `mask` says, or without one where
    the network itself puts this class first."""

    layer: str  # the output, or better what goes into its softmax; a tensor or its node
    channel: int
    mask: np.ndarray | None = field(default=None, compare=False, repr=False)  # [H, W], not 0 where it counts

    @property
    def label(self) -> str:
        return f"{self.layer}, class {self.channel} {'where predicted' if self.mask is None else 'over a mask'}"

    def tensor(self, model: Model) -> str:
        return tensor_named(model, self.layer)

    def score(self, value: Any) -> Any:
        if len(value.shape) != 4:
            raise InputError(f"expected planes [N, C, H, W] for a mask, {self.layer} is {list(value.shape)}")
        check_index(self.channel, value.shape[1], "class", f"{self.layer} {list(value.shape)}")
        return self._where_predicted(value) if self.mask is None else self._inside(value, self.mask)

    def _inside(self, value: Any, mask: np.ndarray) -> Any:
        if mask.shape != tuple(value.shape[2:]):
            raise InputError(f"expected a mask {list(value.shape[2:])} as {self.layer} has, found {list(mask.shape)}")
        rows, columns = (places.tolist() for places in np.nonzero(mask))
        if not rows:
            raise InputError("the mask is empty: expected at least one place that is not 0")
        return value[:, self.channel][:, rows, columns].mean(1)

    def _where_predicted(self, value: Any) -> Any:
        predicted = value.argmax(1) == self.channel
        places = predicted.sum((1, 2))
        empty = [image for image, count in enumerate(places.tolist()) if not count]
        if empty:
            raise InputError(f"image {empty[0]} has no place where class {self.channel} of {self.layer} comes first")
        return (value[:, self.channel] * predicted).sum((1, 2)) / places


@dataclass(frozen=True)
class Box(Target):
    """A detector's score for one box.

    The box is number `index` of the scores (or one an image), or the one whose outline in the tensor `boxes` overlaps
    `near` most, or without either the box with the highest score.
    Scores are [N, boxes] or, with a `channel`, [N, boxes, classes]; both also without N for a single image.
    """

    scores: str  # a tensor or its node
    channel: int | None = None  # class, where every box has several scores
    index: int | tuple[int, ...] | None = None
    boxes: str = ""  # tensor [N, boxes, 4] or [boxes, 4]
    near: Corners | None = None  # left, top, right, bottom in the units of `boxes`
    layout: Literal["corners", "centre"] = "corners"  # of `boxes`: left, top, right, bottom; or x, y, width, height

    @property
    def label(self) -> str:
        which = "the best box" if self.index is None else f"box {self.index}"
        return f"{self.scores}, {which}" + ("" if self.channel is None else f", class {self.channel}")

    def labels(self, count: int) -> list[str]:
        if not isinstance(self.index, tuple):
            return [self.label] * count
        return [replace(self, index=index).label for index in self.index]

    def tensor(self, model: Model) -> str:
        return _tensor(model, self.scores)

    def score(self, value: Any) -> Any:
        rows = self._rows(value)
        indices = self.index if isinstance(self.index, tuple) else (self.index,) * len(rows)
        for index in indices:
            check_index(-1 if index is None else index, rows.shape[1], "box", f"{self.scores} {list(value.shape)}")
        return rows[list(range(len(rows))), list(indices)]

    def settle(self, model: Model, inputs: Inputs) -> Target:
        if self.index is not None:
            return self
        wanted = [self.tensor(model)] if self.near is None else [_tensor(model, self.boxes)]
        value = model.session().run(inputs, wanted)[wanted[0]]
        if value.size == 0:
            raise InputError(f"the network found no box: {wanted[0]} is {list(value.shape)}")
        best = self._rows(value).argmax(1) if self.near is None else self._nearest(value, self.near)
        return replace(self, index=tuple(int(index) for index in best))

    def _rows(self, value: Any) -> Any:  # [N, boxes]
        rank = len(value.shape)
        if rank not in ((1, 2) if self.channel is None else (2, 3)):
            wanted = "[N, boxes] (with classes: name a channel)" if self.channel is None else "[N, boxes, classes]"
            raise InputError(f"expected scores {wanted}, {self.scores} is {list(value.shape)}")
        if self.channel is None:
            return value if rank == 2 else value[None]
        check_index(self.channel, value.shape[-1], "class", f"{self.scores} {list(value.shape)}")
        return value[..., self.channel] if rank == 3 else value[None][..., self.channel]

    def _nearest(self, value: np.ndarray, near: Corners) -> np.ndarray:  # [N]
        boxes = value.reshape(-1, *value.shape[-2:])
        if boxes.shape[-1] != 4:
            raise InputError(f"expected boxes [N, boxes, 4], {self.boxes} is {list(value.shape)}")
        if self.layout == "centre":
            boxes = np.concatenate([boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2], -1)
        overlaps = overlap(boxes, np.asarray(near, boxes.dtype))
        if not overlaps.max(1).all():
            raise InputError(f"no box of {self.boxes} overlaps {', '.join(f'{side:g}' for side in near)}")
        return overlaps.argmax(1)


def overlap(boxes: np.ndarray, other: np.ndarray) -> np.ndarray:  # [..., 4], [4] -> [...]
    """Intersection over union of boxes given as left, top, right, bottom."""
    low, high = np.maximum(boxes[..., :2], other[:2]), np.minimum(boxes[..., 2:], other[2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    areas = np.clip(boxes[..., 2:] - boxes[..., :2], 0, None).prod(-1) + (other[2:] - other[:2]).prod()
    return shared / np.maximum(areas - shared, np.finfo(boxes.dtype).tiny)


def _tensor(model: Model, name: str) -> str:
    """As `tensor_named`; detectors' outputs may lack the batch axis."""
    tensor = find_tensor(model, name)
    if tensor is None:
        raise InputError(f"the network has no tensor {name!r}; {nearest_names(name, known_names(model)[1])}")
    return tensor
