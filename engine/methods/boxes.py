"""Raw outputs of a detector's heads to boxes, and of boxes that say the same the best.

A rule takes what its head's tensors hold, as float32, and gives centres and sizes [n, K, 4] (x, y, width, height) in
parts of the network's input, and scores [n, K, classes]: how sure it is that a box holds something of that class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ...importers.errors import InputError
from ...importers.heads import Head

Rule = Callable[[Sequence[np.ndarray], Head], tuple[np.ndarray, np.ndarray]]

_LARGEST_EXPONENT = 80.0  # e to this is still a float32


def decode(head: Head, values: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Corners [n, K, 4] (left, top, right, bottom) in parts of the network's input, and scores [n, K, classes].

    Raises InputError for a rule that is not known, or outputs that do not have its shape.
    """
    if head.kind not in RULES:
        raise InputError(f"boxes of kind {head.kind!r} cannot be made; known kinds: {', '.join(RULES)}")
    arrays = [np.asarray(values[name], np.float32) for name in head.tensors]
    try:
        boxes, scores = RULES[head.kind](arrays, head)
    except (ValueError, IndexError, KeyError, TypeError) as error:
        shapes = ", ".join(str(list(array.shape)) for array in arrays)
        raise InputError(f"outputs {shapes} do not fit the head ({head.kind}) that is to read them: {error}") from None
    half = boxes[..., 2:] / 2
    return np.concatenate([boxes[..., :2] - half, boxes[..., :2] + half], -1), scores


def _yolo(arrays: Sequence[np.ndarray], head: Head) -> tuple[np.ndarray, np.ndarray]:
    """YOLOv3 (Redmon and Farhadi 2018); `scale_x_y` of YOLOv4, `new_coords` of Scaled-YOLOv4, whose maps have been
    through the logistic function.
    """
    cells, columns, rows = _cells(arrays[0], head)
    height, width = head.options["image"]
    anchors = _anchors(head) / np.array([width, height], np.float32)
    scale = np.float32(head.options.get("scale_x_y", 1))
    is_new = bool(head.options.get("new_coords", False))
    places, sizes, certain, classes = cells[..., :2], cells[..., 2:4], cells[..., 4:5], cells[..., 5:]
    if is_new:
        sizes = 4 * sizes * sizes * anchors
    else:
        places, certain, classes = _logistic(places), _logistic(certain), _logistic(classes)
        sizes = _exponential(sizes) * anchors
    return _joined(places * scale - (scale - 1) / 2, sizes, columns, rows), _flat(certain * classes)


def _region(arrays: Sequence[np.ndarray], head: Head) -> tuple[np.ndarray, np.ndarray]:
    """YOLOv2 (Redmon and Farhadi 2017): anchors in places of the map."""
    cells, columns, rows = _cells(arrays[0], head)
    anchors = _anchors(head) / np.array([cells.shape[2], cells.shape[1]], np.float32)
    classes = _softmax(cells[..., 5:]) if head.options.get("softmax") else _logistic(cells[..., 5:])
    boxes = _joined(_logistic(cells[..., :2]), _exponential(cells[..., 2:4]) * anchors, columns, rows)
    return boxes, _flat(_logistic(cells[..., 4:5]) * classes)


def _detection(arrays: Sequence[np.ndarray], head: Head) -> tuple[np.ndarray, np.ndarray]:
    """YOLOv1 (Redmon et al. 2016): a row [classes of all cells, certainties of all boxes, boxes]."""
    side, count = int(head.options["side"]), int(head.options["boxes"])
    row, cells = arrays[0].reshape(len(arrays[0]), -1), side * side
    ends = np.cumsum([cells * head.classes, cells * count, cells * count * 4])
    if row.shape[1] != ends[-1]:
        raise ValueError(f"expected {ends[-1]} numbers an image")
    classes = row[:, : ends[0]].reshape(-1, side, side, 1, head.classes)
    certain = row[:, ends[0] : ends[1]].reshape(-1, side, side, count, 1)
    boxes = row[:, ends[1] :].reshape(-1, side, side, count, 4)
    sizes = np.square(boxes[..., 2:]) if head.options.get("sqrt") else boxes[..., 2:]
    classes = _softmax(classes) if head.options.get("softmax") else classes
    rows, columns = np.indices((side, side), np.float32)
    return _joined(boxes[..., :2], sizes, columns[..., None], rows[..., None]), _flat(certain * classes)


def _cells(array: np.ndarray, head: Head) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A map [n, anchors * (5 + classes), H, W] as [n, H, W, anchors, 5 + classes], and each place's column and row."""
    images, _, height, width = array.shape
    cells = array.reshape(images, len(head.options["anchors"]), 5 + head.classes, height, width)
    rows, columns = np.indices((height, width), np.float32)
    return np.moveaxis(cells, (3, 4), (1, 2)), columns[..., None], rows[..., None]


def _anchors(head: Head) -> np.ndarray:  # [anchors, 2] width, height
    return np.asarray(head.options["anchors"], np.float32).reshape(-1, 2)


def _joined(places: np.ndarray, sizes: np.ndarray, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:  # [n, K, 4]
    """Boxes of places within their cells, and sizes."""
    height, width = places.shape[1:3]
    x, y = (places[..., 0] + columns) / width, (places[..., 1] + rows) / height
    return _flat(np.concatenate([x[..., None], y[..., None], sizes], -1))


def _flat(cells: np.ndarray) -> np.ndarray:  # [n, H, W, boxes, any] -> [n, H * W * boxes, any]
    return cells.reshape(len(cells), -1, cells.shape[-1])


def _logistic(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + _exponential(-values))


def _exponential(values: np.ndarray) -> np.ndarray:
    return np.exp(np.minimum(values, np.float32(_LARGEST_EXPONENT)))


def _softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


RULES: dict[str, Rule] = {"detection": _detection, "region": _region, "yolo": _yolo}


def best_boxes(
    corners: np.ndarray,  # [K, 4] left, top, right, bottom
    scores: np.ndarray,  # [K, classes]
    threshold: float,
    overlap: float,
) -> tuple[np.ndarray, np.ndarray]:
    """(rows, classes), the best first: scores above `threshold`, but for boxes that share more than `overlap` of their
    union with a better one of the same class.
    """
    rows, classes = np.nonzero(scores > threshold)
    order = np.argsort(-scores[rows, classes], kind="stable")
    rows, classes = rows[order], classes[order]
    kept = np.zeros(len(rows), bool)
    for label in np.unique(classes):
        mine = np.flatnonzero(classes == label)
        kept[mine[_apart(corners[rows[mine]], overlap)]] = True
    return rows[kept], classes[kept]


def _apart(corners: np.ndarray, overlap: float) -> list[int]:
    """Which of these boxes, the best first, no better one that stays overlaps."""
    kept, left = [], np.arange(len(corners))
    while len(left):
        best, left = left[0], left[1:]
        kept.append(int(best))
        left = left[_shares(corners[best], corners[left]) <= overlap]
    return kept


def _shares(box: np.ndarray, others: np.ndarray) -> np.ndarray:  # [4], [K, 4] -> [K]
    """Intersection over union."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), 1)
    union = np.prod(box[2:] - box[:2]) + np.prod(others[:, 2:] - others[:, :2], 1) - shared
    return shared / np.maximum(union, np.finfo(np.float32).tiny)
