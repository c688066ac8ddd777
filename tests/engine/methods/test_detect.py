"""Boxes: heads decoded as Darknet does it, box by box; the best of them; a real detector on real photos."""

from __future__ import annotations

from collections.abc import Callable
from math import exp
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxray.engine.images import prepare, read_image
from onnxray.engine.methods.boxes import best_boxes, decode
from onnxray.engine.methods.detect import detect
from onnxray.engine.methods.predict import predict
from onnxray.engine.model import Model, load
from onnxray.importers.errors import InputError
from onnxray.importers.heads import Head, write_heads
from onnxray.importers.input_spec import InputSpec, set_metadata

Shared = Callable[[str], Path]

RANDOM = np.random.default_rng(0)
ANCHORS = [[10.0, 14.0], [23.0, 7.0]]


def logistic(x: float) -> float:
    return 1 / (1 + exp(-x))


def softmax(x: np.ndarray) -> np.ndarray:
    return np.exp(x) / np.exp(x).sum()


def yolo_boxes(map_: np.ndarray, head: Head) -> dict[tuple[int, ...], tuple[list[float], list[float]]]:
    """Darknet's forward_yolo_layer and get_yolo_box: (row, column, anchor) -> x, y, w, h and scores."""
    _, rows, columns = map_.shape
    high, wide = head.options["image"]
    scale, found = head.options["scale_x_y"], {}
    for row, column, anchor in np.ndindex(rows, columns, len(ANCHORS)):
        numbers = map_[anchor * (5 + head.classes) : (anchor + 1) * (5 + head.classes), row, column].tolist()
        if not head.options["new_coords"]:
            numbers = [value if place in (2, 3) else logistic(value) for place, value in enumerate(numbers)]
        x, y, w, h, certain, *classes = numbers
        x, y = (value * scale - 0.5 * (scale - 1) for value in (x, y))
        grow = (lambda value: value * value * 4) if head.options["new_coords"] else exp
        width, height = grow(w) * ANCHORS[anchor][0] / wide, grow(h) * ANCHORS[anchor][1] / high
        found[row, column, anchor] = (
            [(column + x) / columns, (row + y) / rows, width, height],
            [certain * value for value in classes],
        )
    return found


def region_boxes(map_: np.ndarray, head: Head) -> dict[tuple[int, ...], tuple[list[float], list[float]]]:
    """Darknet's forward_region_layer and get_region_box."""
    _, rows, columns = map_.shape
    found = {}
    for row, column, anchor in np.ndindex(rows, columns, len(ANCHORS)):
        x, y, w, h, certain, *classes = map_[anchor * (5 + head.classes) :, row, column][: 5 + head.classes].tolist()
        shares = softmax(np.array(classes)) if head.options["softmax"] else [logistic(value) for value in classes]
        box = [(column + logistic(x)) / columns, (row + logistic(y)) / rows]
        box += [exp(w) * ANCHORS[anchor][0] / columns, exp(h) * ANCHORS[anchor][1] / rows]
        found[row, column, anchor] = box, [logistic(certain) * float(share) for share in shares]
    return found


def detection_boxes(row_: np.ndarray, head: Head) -> dict[tuple[int, ...], tuple[list[float], list[float]]]:
    """Darknet's get_detection_detections."""
    side, count, found = head.options["side"], head.options["boxes"], {}
    for row, column, number in np.ndindex(side, side, count):
        cell = row * side + column
        classes = row_[cell * head.classes : (cell + 1) * head.classes]
        classes = softmax(classes) if head.options["softmax"] else classes
        certain = row_[side * side * head.classes + cell * count + number]
        start = side * side * (head.classes + count) + (cell * count + number) * 4
        x, y, w, h = row_[start : start + 4].tolist()
        power = 2 if head.options["sqrt"] else 1
        found[row, column, number] = [(x + column) / side, (y + row) / side, w**power, h**power], certain * classes
    return found


YOLO = {"anchors": ANCHORS, "image": [96, 64], "scale_x_y": 1.0, "new_coords": False}
DETECTION = {"side": 3, "boxes": 2, "softmax": False, "sqrt": False}
HEADS = {
    "yolo": (Head("yolo", ("m",), 3, YOLO), (16, 6, 4), yolo_boxes),
    "yolo, scaled": (Head("yolo", ("m",), 3, {**YOLO, "scale_x_y": 1.2}), (16, 6, 4), yolo_boxes),
    "yolo, new": (Head("yolo", ("m",), 1, {**YOLO, "scale_x_y": 2.0, "new_coords": True}), (12, 5, 7), yolo_boxes),
    "region": (Head("region", ("m",), 4, {"anchors": ANCHORS, "softmax": True}), (18, 3, 5), region_boxes),
    "region, logistic": (Head("region", ("m",), 4, {"anchors": ANCHORS, "softmax": False}), (18, 3, 5), region_boxes),
    "detection": (Head("detection", ("m",), 4, DETECTION), (126,), detection_boxes),
    "detection, squares": (
        Head("detection", ("m",), 4, {**DETECTION, "sqrt": True, "softmax": True}), (126,), detection_boxes,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HEADS)
def test_heads_are_decoded_as_darknet_does(name: str) -> None:
    head, shape, definition = HEADS[name]
    maps = RANDOM.normal(size=(2, *shape)).astype(np.float32)
    corners, scores = decode(head, {"m": maps})
    for image, map_ in enumerate(maps):
        for row, ((x, y, w, h), wanted) in enumerate(definition(map_, head).values()):
            expected = [x - w / 2, y - h / 2, x + w / 2, y + h / 2]
            assert np.allclose(corners[image, row], expected, rtol=1e-4, atol=1e-5)
            assert np.allclose(scores[image, row], wanted, rtol=1e-4, atol=1e-6)
    assert corners.shape[1] == len(definition(maps[0], head)) == scores.shape[1]


def test_huge_numbers_make_no_warning() -> None:
    head, shape, _ = HEADS["yolo"]
    corners, scores = decode(head, {"m": np.full((1, *shape), 1e30, np.float32)})
    assert np.isfinite(scores).all() and not np.isnan(corners).any()


def share(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union."""
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(wide, 0) * max(high, 0)
    return float(shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared))


@pytest.mark.parametrize("seed", range(5))
def test_the_best_boxes_are_those_that_no_better_one_overlaps(seed: int) -> None:
    random = np.random.default_rng(seed)
    corners = random.uniform(0, 0.6, (60, 4))
    corners[:, 2:] = corners[:, :2] + random.uniform(0.1, 0.4, (60, 2))
    scores = random.uniform(0, 1, (60, 3)) ** 2
    rows, classes = best_boxes(corners, scores, 0.3, 0.4)
    expected = []
    for label in range(3):
        left = sorted((row for row in range(60) if scores[row, label] > 0.3), key=lambda row: -scores[row, label])
        kept: list[int] = []
        for row in left:
            if all(share(corners[row], corners[other]) <= 0.4 for other in kept):
                kept.append(row)
        expected += [(row, label) for row in kept]
    assert sorted(expected) == sorted(zip(rows.tolist(), classes.tolist(), strict=True))
    assert (np.diff(scores[rows, classes]) <= 0).all()


def constant_detector(resize: str = "stretch", labels: tuple[str, ...] = ()) -> Model:
    """A network that sees the same in every image: one box over the middle third of its input."""
    place = np.full((1, 6, 3, 3), -20, np.float32)  # one class
    place[0, :, 1, 1] = [0, 0, 0, 0, 5, 5]
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["x"], ["mean"], "mean", axes=[1, 2, 3]),
            helper.make_node("Mul", ["mean", "zero"], ["nothing"], "nothing"),
            helper.make_node("Add", ["nothing", "place"], ["map"], "map"),
        ],
        "constant",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 24, 24])],
        [helper.make_tensor_value_info("map", TensorProto.FLOAT, ["N", 6, 3, 3])],
        [numpy_helper.from_array(np.zeros((1, 1, 1, 1), np.float32), "zero"), numpy_helper.from_array(place, "place")],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(proto)
    options = {"anchors": [[8.0, 8.0]], "image": [24, 24], "scale_x_y": 1.0, "new_coords": False}
    write_heads(proto, [Head("yolo", ("map",), 1, options)])
    model = Model(proto, Path("constant.onnx"))
    model.spec = InputSpec("x", labels=labels).override("test", resize=resize, crop_fraction=1.0)
    return model


def test_boxes_are_in_pixels_of_the_picture() -> None:
    pictures = [np.zeros((60, 90, 3), np.uint8), np.zeros((24, 24, 3), np.uint8)]
    found = detect(constant_detector(labels=("thing",)), pictures)
    assert found.numbers.tolist() == [0, 1] and found.labels == ("thing", "thing")
    assert np.allclose(found.boxes, [[30, 20, 60, 40], [8, 8, 16, 16]], atol=1e-3)
    assert np.allclose(found.scores, logistic(5) ** 2)
    cut = detect(constant_detector("crop"), pictures)  # of the wide one the middle 60 columns
    assert np.allclose(cut.boxes, [[35, 20, 55, 40], [8, 8, 16, 16]], atol=1e-3)
    assert cut.labels == ("", "")


def test_boxes_are_drawn() -> None:
    picture = np.full((60, 90, 3), 100, np.uint8)
    found = detect(constant_detector(labels=("thing",)), [picture])
    drawn = np.asarray(found.drawn(0, picture))
    changed = (drawn != 100).any(-1)
    assert drawn.shape == picture.shape and not changed[21:39, 75:].any() and not changed[45:].any()
    assert changed[20:41, 30].all() and changed[20:41, 60].all() and changed[40, 30:61].all()
    assert len(np.unique(drawn[40, 30:61], axis=0)) == 1
    assert changed[7:20, 30:60].any()  # the caption


def test_nothing_is_found_and_said() -> None:
    found = detect(constant_detector(), [np.zeros((30, 30, 3), np.uint8)], threshold=0.999)
    assert found.boxes.shape == (0, 4) and found.scores.shape == (0,) and found.images == ("image#0",)
    assert found.to_json()["boxes"] == []


def test_bad_questions_are_refused() -> None:
    model, pictures = constant_detector(), [np.zeros((30, 30, 3), np.uint8)]
    with pytest.raises(InputError, match="threshold expects a number from 0 to 1, found 2"):
        detect(model, pictures, threshold=2)
    with pytest.raises(InputError, match="2 labels were given for the 1 classes"):
        detect(constant_detector(labels=("a", "b")), pictures)
    with pytest.raises(InputError, match="this network is a detector"):
        predict(model, pictures)


HEADLESS = {
    "none": (None, "expected a detector whose file says"),
    "no list": ("7", "is damaged"),
    "no text": ("{", "is damaged"),
    "no classes": ('[{"kind": "yolo", "tensors": ["map"], "classes": 0, "options": {}}]', "is damaged"),
    "another output": ('[{"kind": "yolo", "tensors": ["m"], "classes": 1, "options": {}}]', "which is no output"),
    "another kind": ('[{"kind": "oracle", "tensors": ["map"], "classes": 1, "options": {}}]', "known kinds: detection"),
    "no anchors": ('[{"kind": "yolo", "tensors": ["map"], "classes": 1, "options": {}}]', "do not fit the head"),
    "other classes": (
        '[{"kind": "region", "tensors": ["map"], "classes": 9, "options": {"anchors": [[1, 2]]}}]',
        "do not fit the head",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HEADLESS)
def test_heads_that_are_missing_or_damaged(name: str) -> None:
    stored, reason = HEADLESS[name]
    model = constant_detector()
    if stored is None:
        del model.proto.metadata_props[:]
    else:
        set_metadata(model.proto, "onnxray.heads", stored)
    with pytest.raises(InputError, match=reason):
        detect(model, [np.zeros((30, 30, 3), np.uint8)])


# --- Yolo-Fastest ---

DARKNET = "models/darknet/yolo-fastest-1.1/yolo-fastest-1.1"
PHOTOS = {
    "dog.jpg": {"car", "dog"},
    "person.jpg": {"person", "dog"},
    "horses.jpg": {"horse"},
    "giraffe.jpg": {"giraffe"},
    "eagle.jpg": {"bird"},
}


def test_yolo_fastest_finds_what_is_there(shared: Shared) -> None:
    model = load(shared(f"{DARKNET}.cfg"))
    found = detect(model, [shared(f"data/detection_photos/{name}") for name in PHOTOS])
    for number, (name, expected) in enumerate(PHOTOS.items()):
        assert expected <= {found.labels[row] for row in np.flatnonzero(found.numbers == number)}, name
    dog = {found.labels[row]: found.scores[row] for row in np.flatnonzero(found.numbers == 0)[::-1]}
    assert dog["car"] == pytest.approx(0.88, abs=0.01) and dog["dog"] == pytest.approx(0.68, abs=0.01)


def test_the_same_boxes_as_opencvs(shared: Shared) -> None:
    path = shared(f"{DARKNET}.cfg")
    model, photo = load(path), shared("data/detection_photos/dog.jpg")
    pixels = read_image(photo)
    net = cv2.dnn.readNetFromDarknet(str(path), str(path.with_suffix(".weights")))
    net.setInput(prepare(pixels, model.spec, (1, 3, 320, 320)))
    rows = np.concatenate(net.forward(net.getUnconnectedOutLayersNames()))  # x, y, w, h, certainty, classes
    found = detect(model, photo)
    height, width = pixels.shape[:2]
    assert len(found.scores) >= 3
    for box, label, score in zip(found.boxes, found.indices, found.scores, strict=True):
        row = rows[np.abs(rows[:, 5 + label] - score).argmin()]
        x, y, w, h = row[:4] * [width, height, width, height]
        expected = np.clip([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 0, [width, height] * 2)
        assert np.abs(box - expected).max() < 0.02 * max(w, h)  # OpenCV adds 1e-6 to variances, not 1e-5
        assert score == pytest.approx(row[5 + label], abs=0.01)
