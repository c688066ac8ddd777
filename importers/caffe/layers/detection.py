"""SSD's layers (Liu et al. 2016): prior boxes, worked out while importing, and the detections decoded from them."""

from __future__ import annotations

import numpy as np
from onnx import numpy_helper

from ..layer_writer import LayerWriter
from ..wire_schema import enum_name

_LOWEST = float(np.finfo(np.float32).min)


def prior_box(layer: LayerWriter) -> None:
    """[1, 2, boxes * 4]: corners in units of the image, then variances; depends on sizes alone, so it is a constant."""
    param = layer.param("prior_box_param")
    rows, columns = layer.sizes(layer.shape(0)[2:])
    height, width = param.img_h or param.img_size, param.img_w or param.img_size
    if not (height and width):
        height, width = layer.sizes(layer.shape(1)[2:])
    step_y = param.step_h or param.step or height / rows
    step_x = param.step_w or param.step or width / columns
    centre_y = (np.arange(rows) + param.offset) * step_y
    centre_x = (np.arange(columns) + param.offset) * step_x
    sizes = _box_sizes(layer)
    corners = np.empty((rows, columns, len(sizes), 4), np.float32)
    for index, (box_width, box_height) in enumerate(sizes):
        corners[:, :, index, 0::2] = centre_x[None, :, None] + np.array([-0.5, 0.5]) * box_width
        corners[:, :, index, 1::2] = centre_y[:, None, None] + np.array([-0.5, 0.5]) * box_height
    corners /= np.array([width, height, width, height], np.float32)
    if param.clip:
        corners = corners.clip(0, 1)
    boxes = np.stack([corners.reshape(-1), _variances(layer, corners.size)])[None]
    layer.emit("Constant", [], value=numpy_helper.from_array(boxes))


def _box_sizes(layer: LayerWriter) -> list[tuple[float, float]]:
    """(width, height) in pixels of the boxes at each position, in Caffe's order."""
    param = layer.param("prior_box_param")
    if not param.min_size or (param.max_size and len(param.max_size) != len(param.min_size)):
        raise layer.error(f"expected as many max_size as min_size, found {len(param.max_size)}, {len(param.min_size)}")
    ratios: list[float] = [1.0]
    for ratio in param.aspect_ratio:
        if all(abs(ratio - known) >= 1e-6 for known in ratios):
            ratios += [ratio, 1 / ratio] if param.flip else [ratio]
    sizes = []
    for index, small in enumerate(param.min_size):
        sizes.append((small, small))
        if param.max_size:
            between = float(np.sqrt(small * param.max_size[index]))
            sizes.append((between, between))
        sizes += [(small * ratio**0.5, small / ratio**0.5) for ratio in ratios[1:]]
    return sizes


def _variances(layer: LayerWriter, count: int) -> np.ndarray:
    given = list(layer.param("prior_box_param").variance) or [0.1]
    if len(given) not in (1, 4):
        raise layer.error(f"expected 1 or 4 variances, found {len(given)}")
    return np.resize(np.array(given * (4 // len(given)), np.float32), count)


def detection_output(layer: LayerWriter) -> None:
    """[1, 1, K, 7]: rows of image, label, score, xmin, ymin, xmax, ymax, in Caffe's order.

    The same boxes as Caffe's, by ONNX's NonMaxSuppression. One difference: with no detection at all, Caffe writes a
    row of -1 (K = 1) where this gives no row (K = 0).
    """
    param = layer.param("detection_output_param")
    if param.nms_param.eta != 1:
        raise layer.error(f"adaptive suppression (eta {param.nms_param.eta}) has no ONNX operator; expected eta 1")
    classes = [label for label in range(param.num_classes) if label != param.background_label_id]
    boxes, scores = _boxes(layer, classes), _scores(layer, classes)
    selected = _suppressed(layer, boxes, scores)
    rows = _rows(layer, boxes, scores, selected, classes)
    if param.keep_top_k > 0:
        rows = _best_of_each_image(layer, rows)
    layer.emit("Unsqueeze", [rows, layer.ints("image_axes", [0, 1])])


def _boxes(layer: LayerWriter, classes: list[int]) -> str:
    """Decoded boxes: [N, P, 4], or [N * classes, P, 4] where each class has its own."""
    param = layer.param("detection_output_param")
    count = _prior_count(layer)
    if param.share_location:
        offsets = layer.add("offsets", "Reshape", [layer.inputs[0], layer.ints("offsets_shape", [0, count, 4])])
        return _decoded(layer, offsets, count)
    shape = layer.ints("offsets_shape", [0, count, param.num_classes, 4])
    offsets = layer.add("offsets_by_box", "Reshape", [layer.inputs[0], shape])
    offsets = layer.add("offsets_of_objects", "Gather", [offsets, layer.ints("offset_classes", classes)], axis=2)
    offsets = layer.add("offsets_by_class", "Transpose", [offsets], perm=[0, 2, 1, 3])
    offsets = layer.add("offsets", "Reshape", [offsets, layer.ints("class_shape", [-1, count, 4])])
    return _decoded(layer, offsets, count)


def _prior_count(layer: LayerWriter) -> int:
    return layer.sizes(layer.shape(2)[2:3])[0] // 4


def _decoded(layer: LayerWriter, offsets: str, count: int) -> str:
    """Corners [.., P, 4] from offsets [.., P, 4] relative to the priors."""
    param = layer.param("detection_output_param")
    code = enum_name("CodeType", param.code_type)
    prior, variance = _priors(layer, count)
    if not param.variance_encoded_in_target:
        offsets = layer.add("scaled_offsets", "Mul", [offsets, variance])
    if code == "CORNER":
        return layer.add("boxes", "Add", [prior, offsets])
    low, high = _halves(layer, "prior", prior)
    size = layer.add("prior_size", "Sub", [high, low])
    if code == "CORNER_SIZE":
        sizes = layer.add("prior_sizes", "Concat", [size, size], axis=-1)
        return layer.add("boxes", "Add", [prior, layer.add("moved", "Mul", [offsets, sizes])])
    return _decoded_from_centre(layer, offsets, low, size)


def _decoded_from_centre(layer: LayerWriter, offsets: str, low: str, size: str) -> str:
    half = layer.constant("half", 0.5)
    centre = layer.add("prior_centre", "Add", [low, layer.add("prior_half_size", "Mul", [size, half])])
    shift, growth = _halves(layer, "offset", offsets)
    middle = layer.add("centre", "Add", [layer.add("shift", "Mul", [shift, size]), centre])
    extent = layer.add("extent", "Mul", [layer.add("growth", "Exp", [growth]), size])
    reach = layer.add("reach", "Mul", [extent, half])
    low, high = layer.add("low", "Sub", [middle, reach]), layer.add("high", "Add", [middle, reach])
    return layer.add("boxes", "Concat", [low, high], axis=-1)


def _priors(layer: LayerWriter, count: int) -> tuple[str, str]:
    """Corners and variances of the priors, each [1, P, 4]."""
    shape = layer.ints("prior_shape", [1, count, 4])
    outputs = [layer.graph.temporary(f"{layer.name}/{role}") for role in ("prior_row", "variance_row")]
    parts = layer.ints("prior_parts", [1, 1])
    layer.graph.node("Split", [layer.inputs[2], parts], outputs, name=f"{layer.name}/prior_rows", axis=1)
    prior, variance = (
        layer.add(role, "Reshape", [row, shape]) for role, row in zip(("prior", "variance"), outputs, strict=True)
    )
    return prior, variance


def _halves(layer: LayerWriter, role: str, value: str) -> tuple[str, str]:
    """(x, y) of the first and of the second corner, or of the centre and of the size."""
    outputs = [layer.graph.temporary(f"{layer.name}/{role}_{half}") for half in ("first", "second")]
    parts = layer.ints(f"{role}_halves", [2, 2])
    layer.graph.node("Split", [value, parts], outputs, name=f"{layer.name}/{role}_halves", axis=-1)
    return outputs[0], outputs[1]


def _scores(layer: LayerWriter, classes: list[int]) -> str:
    """[N, classes, P], or [N * classes, 1, P]; those that do not enter the suppression at the lowest float."""
    param = layer.param("detection_output_param")
    count = _prior_count(layer)
    shape = layer.ints("scores_shape", [0, count, param.num_classes])
    scores = layer.add("scores_by_box", "Reshape", [layer.inputs[1], shape])
    scores = layer.add("scores_by_class", "Transpose", [scores], perm=[0, 2, 1])
    scores = layer.add("scores_of_objects", "Gather", [scores, layer.ints("classes", classes)], axis=1)
    if 0 < param.nms_param.top_k < count:
        scores = _only_best(layer, scores, param.nms_param.top_k)
    if param.share_location:
        return scores
    return layer.add("scores", "Reshape", [scores, layer.ints("class_scores_shape", [-1, 1, count])])


def _only_best(layer: LayerWriter, scores: str, count: int) -> str:
    best, where = (layer.graph.temporary(f"{layer.name}/{role}") for role in ("best", "best_index"))
    layer.graph.node(
        "TopK", [scores, layer.ints("candidates", [count])], [best, where], name=f"{layer.name}/candidates"
    )
    cuts = (layer.ints("last", [count - 1]), layer.ints("past_last", [count]), layer.ints("last_axis", [2]))
    least = layer.add("least_candidate", "Slice", [best, *cuts])
    enough = layer.add("is_candidate", "GreaterOrEqual", [scores, least])
    return layer.add("candidate_scores", "Where", [enough, scores, layer.constant("lowest", _LOWEST)])


def _suppressed(layer: LayerWriter, boxes: str, scores: str) -> str:
    """[K, 3]: indices into the scores, best first within each class."""
    param = layer.param("detection_output_param")
    confident = param.confidence_threshold if param.HasField("confidence_threshold") else _LOWEST
    limits = (
        layer.ints("most", [_prior_count(layer)]),
        layer.constant("overlap", [param.nms_param.nms_threshold]),
        layer.constant("confident", [confident]),
    )
    return layer.add("selected", "NonMaxSuppression", [boxes, scores, *limits])


def _rows(layer: LayerWriter, boxes: str, scores: str, selected: str, classes: list[int]) -> str:
    """[K, 7] of image, label, score and corners."""
    batch, label, box = (layer.graph.temporary(f"{layer.name}/{role}") for role in ("batch", "label", "box"))
    parts = layer.ints("thirds", [1, 1, 1])
    layer.graph.node("Split", [selected, parts], [batch, label, box], name=f"{layer.name}/columns", axis=1)
    place = layer.add("place", "Concat", [batch, box], axis=1)
    corners = layer.add("corners", "GatherND", [boxes, place])
    score = layer.add("score", "GatherND", [scores, selected])
    score = layer.add("score_column", "Unsqueeze", [score, layer.ints("column", [1])])
    if not layer.param("detection_output_param").share_location:
        many = layer.ints("class_count", [len(classes)])
        label = layer.add("label_of_class", "Mod", [batch, many])
        batch = layer.add("image_of_class", "Div", [batch, many])
    label = layer.add("label_number", "Gather", [layer.constant("labels", classes), label], axis=0)
    image = layer.add("image_number", "Cast", [batch], to=1)
    return layer.add("rows", "Concat", [image, label, score, corners], axis=1)


def _best_of_each_image(layer: LayerWriter, rows: str) -> str:
    """The keep_top_k best rows of each image, in the order they were in.

    Sorted by score, a row's rank in its image is a running count of that image's rows.
    """
    image, score = _column(layer, rows, "row_image", 0), _column(layer, rows, "row_score", 2)
    flat = layer.add("row_scores", "Squeeze", [score, layer.ints("score_axis", [1])])
    order = _sorted(layer, "by_score", flat, largest=1)[1]
    images = layer.add("sorted_image", "Gather", [image, order], axis=0)
    mine = layer.add("is_image", "Cast", [layer.add("same_image", "Equal", [images, _image_numbers(layer)])], to=1)
    running = layer.add("running_count", "CumSum", [mine, layer.constant("row_axis", 0, np.int64)])
    own = layer.add("own_count", "Mul", [running, mine])
    rank = layer.add("rank", "ReduceSum", [own, layer.ints("rank_axes", [1])], keepdims=0)
    limit = layer.constant("keep_top_k", layer.param("detection_output_param").keep_top_k)
    kept = layer.add("kept", "Compress", [order, layer.add("is_kept", "LessOrEqual", [rank, limit])], axis=0)
    return layer.add("kept_rows", "Gather", [rows, _sorted(layer, "by_place", kept, largest=0)[0]], axis=0)


def _column(layer: LayerWriter, rows: str, role: str, index: int) -> str:
    return layer.add(role, "Gather", [rows, layer.ints(f"{role}_column", [index])], axis=1)


def _sorted(layer: LayerWriter, role: str, values: str, *, largest: int) -> tuple[str, str]:
    """(sorted values, their places) of a vector of any length."""
    outputs = [layer.graph.temporary(f"{layer.name}/{role}_{part}") for part in ("values", "places")]
    count = layer.add(f"{role}_count", "Shape", [values])
    layer.graph.node("TopK", [values, count], outputs, name=f"{layer.name}/{role}", axis=0, largest=largest)
    return outputs[0], outputs[1]


def _image_numbers(layer: LayerWriter) -> str:
    """[1, N] of 0, 1 … N - 1 in floats."""
    count = layer.add("image_count", "Shape", layer.inputs[:1], end=1)
    scalar = layer.add("image_count_number", "Squeeze", [count])
    start, step = (layer.constant(f"image_{role}", number, np.int64) for role, number in (("start", 0), ("step", 1)))
    numbers = layer.add("image_range", "Range", [start, scalar, step])
    numbers = layer.add("image_numbers", "Cast", [numbers], to=1)
    return layer.add("image_row", "Unsqueeze", [numbers, layer.ints("image_row_axis", [0])])


LAYERS = {"PriorBox": prior_box, "DetectionOutput": detection_output}
