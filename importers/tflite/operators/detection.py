"""Boxes of detectors: decoded from anchors, the best of those that overlap kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..flexbuffer import read_map
from ..operator_writer import OperatorWriter

_INT64, _FLOAT = 7, 1  # of onnx.TensorProto
_MOST = 1 << 16  # rows of an output
_WIDE = 6  # of a row: the four edges of a box, its class, its score


@dataclass(frozen=True)
class _Detector:
    """What the options say, and what has been written so far."""

    op: OperatorWriter
    boxes: str  # [boxes, 4], decoded
    scores: str  # [boxes, classes], without the background
    per_box: int  # classes of one box
    per_class: int  # boxes of one class
    most: int  # boxes of one image
    rows: int  # of the outputs
    overlap: float
    least: float  # a score has to be above it

    def suppressed(self, scores: str, most: int) -> str:
        """[kept, 3]: image, row of `scores` [rows, boxes], and box."""
        op = self.op
        boxes = op.add("one_image", "Unsqueeze", [self.boxes, op.int_list("image", [0])])
        of_image = op.add("its_scores", "Unsqueeze", [scores, op.int_list("image_again", [0])])
        limits = [op.array("overlap", [self.overlap]), op.array("least", [self.least])]
        return op.add("kept", "NonMaxSuppression", [boxes, of_image, op.int_list("most", [most]), *limits])


def post_process(op: OperatorWriter) -> None:
    """Boxes [1, rows, 4] (top, left, bottom, right), classes and scores [1, rows], how many they are [1].

    Fast: the best boxes whatever their class, each then with its best classes. Regular: the best boxes of each class,
    then the best of all.
    """
    if len(op.outputs) != 4 or len(op.inputs) != 3:
        raise op.error(f"{len(op.inputs)} inputs and {len(op.outputs)} outputs; expected 3 and 4")
    options = read_map(bytes(op.operator.custom))
    detector = _detector(op, options)
    table, count = (_regular if options.get("use_regular_nms") else _fast)(detector)
    whole = op.add("with_rest", "Concat", [table, op.array("rest", np.zeros((detector.rows, _WIDE)))], axis=0)
    filled = _part(op, "filled", whole, 0, detector.rows, axis=0)
    for output, (start, end) in enumerate(((0, 4), (4, 5), (5, 6))):
        columns = _part(op, f"columns{output}", filled, start, end, axis=1)
        shape = [1, detector.rows, 4] if output == 0 else [1, detector.rows]
        op.emit("Reshape", [columns, op.int_list(f"shape{output}", shape)], output=output)
    op.emit("Cast", [count], output=3, to=_FLOAT)


def _detector(op: OperatorWriter, options: dict[str, float]) -> _Detector:
    encodings, predictions, anchors = op.shape(0), op.shape(1), op.constant(2)
    if len(encodings) != 3 or len(predictions) != 3 or encodings[:2] != predictions[:2] or encodings[0] != 1:
        raise op.error(f"boxes {list(encodings)} and scores {list(predictions)} are not of one image")
    if anchors.shape != (encodings[1], 4) or encodings[2] < 4:
        raise op.error(f"{list(anchors.shape)} anchors for the boxes {list(encodings)}")
    classes, most, per_box = (
        int(options.get(name, 0)) for name in ("num_classes", "max_detections", "max_classes_per_detection")
    )
    if not 0 < classes <= predictions[2] or min(most, per_box) < 1 or most * per_box > _MOST:
        raise op.error(f"{most} boxes with {per_box} of {classes} classes each; expected 1 to {predictions[2]} classes")
    overlap = float(options.get("nms_iou_threshold", 0))
    if not 0 < overlap <= 1:
        raise op.error(f"nms_iou_threshold is {overlap:g}, expected a share")
    # TensorFlow Lite keeps boxes of exactly the threshold too.
    least = np.nextafter(np.float32(options.get("nms_score_threshold", 0)), np.float32(-np.inf))
    scores = _part(op, "classes", op.last(1), predictions[2] - classes, predictions[2], axis=2)  # behind the background
    return _Detector(
        op,
        _decoded(op, anchors, options),
        op.add("scores", "Squeeze", [scores, op.int_list("of_one", [0])]),
        min(per_box, classes),
        min(int(options.get("detections_per_class", 100)), most),
        most,
        most * per_box,
        overlap,
        float(least),
    )


def _decoded(op: OperatorWriter, anchors: np.ndarray, options: dict[str, float]) -> str:
    """[boxes, 4]: the edges that encodings (centre y and x, height, width) and the same of the anchors stand for."""
    scales = np.array([options.get(f"{side}_scale", 0) for side in "yxhw"], np.float32)
    if not np.all(np.isfinite(scales) & (scales > 0)):
        raise op.error(f"its scales are {scales.tolist()}, expected positive numbers")
    encoded = op.add("encoded", "Squeeze", [op.last(0), op.int_list("of_one_image", [0])])
    places, sizes = (
        op.add(
            f"{role}_scaled",
            "Div",
            [_part(op, role, encoded, start, start + 2, axis=1), op.array(f"{role}_scale", scales[start : start + 2])],
        )
        for role, start in (("place", 0), ("size", 2))
    )
    large = op.array("anchor_sizes", anchors[:, 2:])
    centre = op.add("centre", "Add", [op.add("moved", "Mul", [places, large]), op.array("anchors", anchors[:, :2])])
    grown = op.add("grown", "Mul", [op.add("growth", "Exp", [sizes]), large])
    half = op.add("half", "Mul", [grown, op.array("one_half", 0.5)])
    return op.add(
        "boxes", "Concat", [op.add(*edge, [centre, half]) for edge in (("near", "Sub"), ("far", "Add"))], axis=1
    )


def _fast(detector: _Detector) -> tuple[str, str]:
    """The table of rows [any, 6], and how many boxes there are [1]."""
    op, per_box = detector.op, detector.per_box
    best = op.add("best", "ReduceMax", [detector.scores], axes=[1], keepdims=0)
    best = op.add("best_row", "Unsqueeze", [best, op.int_list("row", [0])])
    kept = _column(op, detector.suppressed(best, detector.most), 2)
    scores, places = (op.graph.temporary(f"{op.name}/{role}") for role in ("top_scores", "top_classes"))
    of_kept = op.add("scores_of_kept", "Gather", [detector.scores, kept], axis=0)
    op.graph.node("TopK", [of_kept, op.int_list("per_box", [per_box])], [scores, places], name=scores, axis=1)
    boxes = op.add("kept_boxes", "Gather", [detector.boxes, kept], axis=0)
    boxes = op.add("boxes_apart", "Unsqueeze", [boxes, op.int_list("apart", [1])])
    boxes = op.add("boxes_again", "Tile", [boxes, op.int_list("again", [1, per_box, 1])])
    classes = op.add("class_numbers", "Cast", [places], to=_FLOAT)
    last = op.int_list("last", [2])
    columns = [
        op.add(f"{role}_column", "Unsqueeze", [name, last]) for role, name in (("class", classes), ("score", scores))
    ]
    table = op.add("table", "Concat", [boxes, *columns], axis=2)
    if missing := detector.rows // detector.most - per_box:  # more rows for each box than there are classes
        table = op.add("spread", "Pad", [table, op.int_list("missing", [0, 0, 0, 0, missing, 0])])
    return op.add("rows", "Reshape", [table, op.int_list("row_shape", [-1, _WIDE])]), op.add("count", "Shape", [kept])


def _regular(detector: _Detector) -> tuple[str, str]:
    op, most = detector.op, detector.most
    by_class = op.add("by_class", "Transpose", [detector.scores], perm=[1, 0])
    kept = detector.suppressed(by_class, detector.per_class)
    places = op.add("places", "Gather", [kept, op.int_list("class_and_box", [1, 2])], axis=1)
    scores = op.add("kept_scores", "GatherND", [by_class, places])
    classes = op.add("class_numbers", "Cast", [_column(op, kept, 1)], to=_FLOAT)
    boxes = op.add("kept_boxes", "Gather", [detector.boxes, _column(op, kept, 2)], axis=0)
    last = op.int_list("last", [1])
    columns = [
        op.add(f"{role}_column", "Unsqueeze", [name, last]) for role, name in (("class", classes), ("score", scores))
    ]
    nothing = op.array("no_rows", np.zeros((most, _WIDE)))
    table = op.add("table", "Concat", [op.add("found", "Concat", [boxes, *columns], axis=1), nothing], axis=0)
    ranked = op.add(
        "ranked", "Concat", [scores, op.array("no_scores", np.full(most, np.finfo(np.float32).min))], axis=0
    )
    sorted_, order = (op.graph.temporary(f"{op.name}/{role}") for role in ("sorted", "order"))
    op.graph.node("TopK", [ranked, op.int_list("rows_left", [most])], [sorted_, order], name=sorted_, axis=0)
    count = op.add("all", "Shape", [scores])
    count = op.add("count", "Min", [count, op.int_list("at_most", [most])])
    return op.add("rows", "Gather", [table, order], axis=0), count


def _column(op: OperatorWriter, kept: str, index: int) -> str:
    return op.add(f"column{index}", "Gather", [kept, op.array(f"number{index}", index, np.int64)], axis=1)


def _part(op: OperatorWriter, role: str, tensor: str, start: int, end: int, axis: int) -> str:
    ends = (op.int_list(f"{role}_{name}", [number]) for name, number in (("from", start), ("to", end), ("axis", axis)))
    return op.add(role, "Slice", [tensor, *ends])


OPERATORS = {"CUSTOM TFLite_Detection_PostProcess": post_process}
