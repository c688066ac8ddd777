"""SSD's operators (Liu et al. 2016): prior boxes, worked out while importing, and the detections decoded from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import TensorProto, numpy_helper

from ..operator_writer import OperatorWriter

_MOST_BOXES = 1 << 22
_NOT_SCORED = -1.0  # the key of a box that takes no part
_VARIANCES = (0.1, 0.1, 0.2, 0.2)


def prior_boxes(writer: OperatorWriter) -> None:
    """[1, boxes, 4]: corners in units of the image; depends on sizes alone, so it is a constant."""
    reals = writer.attributes.reals
    rows, columns = writer.sizes(writer.shape()[2:])
    sizes, ratios = reals("sizes", (1.0,)), reals("ratios", (1.0,))
    steps, offsets = reals("steps", (-1.0, -1.0)), reals("offsets", (0.5, 0.5))
    if not sizes or not ratios or min(ratios) <= 0 or len(steps) != 2 or len(offsets) != 2:
        raise writer.error("expected sizes, ratios above 0, two steps and two offsets")
    roots = np.sqrt(np.asarray(ratios, np.float32))
    shapes = [(size, roots[0]) for size in sizes] + [(sizes[0], root) for root in roots[1:]]
    if rows * columns * len(shapes) > _MOST_BOXES:
        raise writer.error(f"makes {rows * columns * len(shapes)} boxes, expected at most {_MOST_BOXES}")
    step_y, step_x = (step if step > 0 else 1 / side for step, side in zip(steps, (rows, columns), strict=True))
    halves = np.array([(size * rows / columns * root / 2, size / root / 2) for size, root in shapes])
    centres = np.empty((rows, columns, 1, 2))
    centres[..., 0] = ((np.arange(columns) + offsets[1]) * step_x)[None, :, None]
    centres[..., 1] = ((np.arange(rows) + offsets[0]) * step_y)[:, None, None]
    corners = np.concatenate([centres - halves, centres + halves], axis=-1).reshape(1, -1, 4)
    if writer.attributes.flag("clip"):
        corners = corners.clip(0, 1)
    with np.errstate(over="ignore"):
        boxes = corners.astype(np.float32)
    writer.emit("Constant", [], value=numpy_helper.from_array(boxes))


def detections(writer: OperatorWriter) -> None:
    """[N, boxes, 6]: rows of class, score and corners, the best score first; class -1: a better box is there already.

    As many rows as there are boxes, as in MXNet: behind the last whose score reaches the threshold all is -1.
    """
    if writer.attributes.whole("background_id", 0) != 0:
        raise writer.error("background_id is not 0, which is not supported")
    [classes, count] = writer.sizes(writer.shape(0)[1:])
    if classes < 2:
        raise writer.error("expected the background and at least one class")
    best, kind = _best_class(writer, classes)
    key = _key(writer, best)
    rows = writer.add("rows", "Concat", [kind, best, _decoded(writer, count)], axis=-1)
    overlap = writer.attributes.real("nms_threshold", 0.5)
    listed = writer.add("scored", "Cast", [_above(writer, "has_score", key)], to=TensorProto.FLOAT)
    as_found = _in_order(writer, "found", listed, [key, rows], count)
    if not 0 < overlap <= 1:
        _write_rows(writer, as_found, as_found[0])
        return
    key, rows = _in_order(writer, "best", key, [key, rows], count)
    first = writer.attributes.whole("nms_topk", -1)
    if not 0 < first < count:
        _write_rows(writer, [key, rows], _kept(writer, key, rows, overlap, classes))
        return
    # Behind the best `first` MXNet leaves the rows as it found them, marked as suppressed.
    tops = [_part(writer, f"top{at}", value, 1, 0, first) for at, value in enumerate((key, rows))]
    rest = [_part(writer, f"rest{at}", value, 1, first, count) for at, value in enumerate(as_found)]
    pairs = zip(tops, rest, strict=True)
    joined = [writer.add(f"joined{at}", "Concat", pair, axis=1) for at, pair in enumerate(pairs)]
    kept = [_kept(writer, tops[0], tops[1], overlap, classes), _nothing(writer, rest[0])]
    _write_rows(writer, joined, writer.add("kept", "Concat", kept, axis=1))


def _best_class(writer: OperatorWriter, classes: int) -> tuple[str, str]:
    """(score, class from 0) of the best class but the background, [N, boxes, 1] each."""
    objects = _part(writer, "objects", writer.input(0), 1, 1, classes)
    best = writer.add("best_score", "ReduceMax", [objects], axes=[1], keepdims=1)
    kind = writer.add("class_index", "ArgMax", [objects], axis=1, keepdims=1)
    kind = writer.add("best_class", "Cast", [kind], to=TensorProto.FLOAT)
    score = writer.add("score", "Transpose", [best], perm=[0, 2, 1])
    return score, writer.add("class", "Transpose", [kind], perm=[0, 2, 1])


def _key(writer: OperatorWriter, best: str) -> str:
    """The score, or -1 where it is below the threshold."""
    below = writer.add("below", "Less", [best, writer.constant("threshold", writer.attributes.real("threshold", 0.01))])
    return writer.add("key", "Where", [below, writer.constant("not_scored", _NOT_SCORED), best])


def _decoded(writer: OperatorWriter, count: int) -> str:
    """Corners [N, boxes, 4] from offsets relative to the prior boxes."""
    variances = writer.attributes.reals("variances", _VARIANCES)
    if len(variances) != 4:
        raise writer.error(f"expected 4 variances, found {len(variances)}")
    offsets = writer.reshaped("offsets", writer.input(1), [0, count, 4])
    shift, growth = _halves(writer, "offset", offsets)
    low, high = _halves(writer, "prior", writer.input(2))
    half = writer.constant("half", 0.5)
    size = writer.add("prior_size", "Sub", [high, low])
    centre = writer.add("prior_centre", "Mul", [writer.add("prior_sum", "Add", [low, high]), half])
    shift = writer.add("shift", "Mul", [shift, writer.constant("shift_variance", variances[:2])])
    growth = writer.add("growth", "Mul", [growth, writer.constant("growth_variance", variances[2:])])
    middle = writer.add("centre", "Add", [writer.add("moved", "Mul", [shift, size]), centre])
    extent = writer.add("extent", "Mul", [writer.add("grown", "Exp", [growth]), size])
    reach = writer.add("reach", "Mul", [extent, half])
    ends = [writer.add("low", "Sub", [middle, reach]), writer.add("high", "Add", [middle, reach])]
    boxes = writer.add("boxes", "Concat", ends, axis=-1)
    if not writer.attributes.flag("clip", True):
        return boxes
    return writer.add("clipped", "Clip", [boxes, writer.constant("least", 0), writer.constant("most", 1)])


def _halves(writer: OperatorWriter, role: str, value: str) -> tuple[str, str]:
    """The first two and the last two of four numbers."""
    outputs = [writer.graph.temporary(f"{writer.name}/{role}_{half}") for half in ("first", "last")]
    parts = writer.ints(f"{role}_halves", [2, 2])
    writer.graph.node("Split", [value, parts], outputs, name=f"{writer.name}/{role}_halves", axis=-1)
    return outputs[0], outputs[1]


def _in_order(writer: OperatorWriter, role: str, key: str, values: Sequence[str], count: int) -> list[str]:
    """Values [N, boxes, …] by falling key [N, boxes, 1], equal ones as they were."""
    sizes, places = (writer.graph.temporary(f"{writer.name}/{role}_{what}") for what in ("keys", "places"))
    inputs = [key, writer.ints(f"{role}_count", [count])]
    writer.graph.node("TopK", inputs, [sizes, places], name=f"{writer.name}/{role}_order", axis=1)
    flat = writer.add(f"{role}_place", "Squeeze", [places, writer.ints(f"{role}_axis", [2])])
    every = writer.add(f"{role}_index", "Unsqueeze", [flat, writer.ints(f"{role}_last", [2])])
    pairs = enumerate([value, every] for value in values)
    return [writer.add(f"{role}_sorted{at}", "GatherND", pair, batch_dims=1) for at, pair in pairs]


def _kept(writer: OperatorWriter, key: str, rows: str, overlap: float, classes: int) -> str:
    """[N, boxes, 1]: above 0 where no better box of the class, or of any, overlaps as much."""
    boxes = _part(writer, "corners", rows, 2, 2, 6)
    scores = writer.add("suppression_scores", "Transpose", [key], perm=[0, 2, 1])
    if not writer.attributes.flag("force_suppress"):
        of_box = writer.add("class_row", "Transpose", [_part(writer, "class_of_row", rows, 2, 0, 1)], perm=[0, 2, 1])
        each = writer.constant("each_class", np.arange(classes - 1).reshape(1, -1, 1))
        is_class = writer.add("is_class", "Equal", [of_box, each])
        other = writer.constant("other_class", _NOT_SCORED)
        scores = writer.add("class_scores", "Where", [is_class, scores, other])
    limits = [
        writer.constant("most_boxes", [_MOST_BOXES], np.int64),
        # MXNet suppresses what overlaps as much as the threshold, ONNX only what does more.
        writer.constant("overlap", [np.nextafter(np.float32(overlap), np.float32(0))]),
        writer.constant("least_score", [_NOT_SCORED / 2]),
    ]
    selected = writer.add("selected", "NonMaxSuppression", [boxes, scores, *limits])
    places = writer.add("selected_places", "Gather", [selected, writer.ints("image_and_box", [0, 2])], axis=1)
    count = writer.add("selected_shape", "Shape", [places], end=1)
    ones = writer.add("ones", "ConstantOfShape", [count], value=_one(1.0))
    none = writer.add("none", "Squeeze", [_nothing(writer, key), writer.ints("key_axis", [2])])
    found = writer.add("is_selected", "ScatterND", [none, places, ones])
    return writer.add("selection", "Unsqueeze", [found, writer.ints("row_axis", [2])])


def _nothing(writer: OperatorWriter, like: str) -> str:
    """-1 in the shape of a key."""
    sizes = writer.add("key_shape", "Shape", [like])
    return writer.add("nothing", "ConstantOfShape", [sizes], shape=writer.graph.shape(like), value=_one(_NOT_SCORED))


def _one(number: float) -> TensorProto:
    return numpy_helper.from_array(np.array([number], np.float32))


def _above(writer: OperatorWriter, role: str, key: str) -> str:
    return writer.add(role, "Greater", [key, writer.constant(f"{role}_above", _NOT_SCORED / 2)])


def _part(writer: OperatorWriter, role: str, value: str, axis: int, start: int, end: int) -> str:
    """From start to end of one axis."""
    bounds = [writer.ints(f"{role}_{what}", [at]) for what, at in (("start", start), ("end", end), ("axis", axis))]
    return writer.add(role, "Slice", [value, *bounds])


def _write_rows(writer: OperatorWriter, key_and_rows: Sequence[str], kept: str) -> None:
    """The output: class -1 where not kept, all -1 where there is no score."""
    key, rows = key_and_rows
    minus = writer.constant("minus_one", -1)
    kinds = [_above(writer, "is_kept", kept), _part(writer, "classes", rows, 2, 0, 1), minus]
    others = _part(writer, "score_and_corners", rows, 2, 1, 6)
    marked = writer.add("marked", "Concat", [writer.add("kept_classes", "Where", kinds), others], axis=-1)
    writer.emit("Where", [_above(writer, "is_scored", key), marked, minus])


OPERATORS = {"_contrib_MultiBoxPrior": prior_boxes, "_contrib_MultiBoxDetection": detections}
