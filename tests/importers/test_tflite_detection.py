"""Detectors' boxes against Google's interpreter, whose own custom operator it is; and what does not fit."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from litert_batch import run_batch
from onnxray.importers.certificate import BAR, run_onnx
from onnxray.importers.errors import InputError
from onnxray.importers.tflite.flexbuffer import read_map
from onnxray.importers.tflite.reader import read_network
from onnxray.importers.tflite.translate import translate
from tflite_writer import Op, T, constant, flexbuffers, model

COUNT = int(os.environ.get("ONNXRAY_CASES", "40"))
KIND = "CUSTOM TFLite_Detection_PostProcess"
OPTIONS: dict[str, Any] = {
    "max_detections": 5,
    "max_classes_per_detection": 1,
    "num_classes": 3,
    "nms_score_threshold": 0.3,
    "nms_iou_threshold": 0.5,
    "y_scale": 10.0,
    "x_scale": 10.0,
    "h_scale": 5.0,
    "w_scale": 5.0,
}


def drawn(random: np.random.Generator) -> dict[str, Any]:
    """Options of either kind."""
    options = {**OPTIONS, "max_detections": int(random.integers(1, 12)), "num_classes": int(random.integers(1, 5))}
    options["max_classes_per_detection"] = int(random.integers(1, 4))
    options["nms_score_threshold"] = float(random.choice([0.0, 0.3, 0.6]))
    options["nms_iou_threshold"] = float(random.choice([0.2, 0.5, 0.6, 1.0]))
    if random.random() < 0.5:
        options["use_regular_nms"] = bool(random.random() < 0.8)
        options["detections_per_class"] = int(random.integers(1, 6))
    return options


def detector(random: np.random.Generator, options: dict[str, Any], boxes: int = 20, background: int = 1) -> bytes:
    """Two inputs, encoded boxes and scores, and anchors."""
    anchors = np.concatenate([random.uniform(0, 1, (boxes, 2)), random.uniform(0.1, 0.5, (boxes, 2))], 1)
    scores = T([1, boxes, options["num_classes"] + background])
    tensors = {"encoded": T([1, boxes, 4]), "scores": scores, "anchors": constant(anchors)}
    tensors |= {name: T([]) for name in ("boxes", "classes", "best", "count")}
    operator = Op(KIND, list(tensors)[:3], list(tensors)[3:], custom=options)
    return model(tensors, [operator], ["encoded", "scores"], operator.outputs)


def test_boxes_are_litert_s(tmp_path: Path) -> None:
    """As many rows as it says there are; what lies behind them it leaves as it finds it."""
    feeds, cases = [], []
    for number in range(COUNT):
        random = np.random.default_rng(number)
        cases.append(drawn(random))
        content = detector(random, cases[-1], int(random.integers(1, 40)), int(random.integers(0, 2)))
        (tmp_path / f"{number}.tflite").write_bytes(content)
        shapes = [tensor.shape for tensor in read_network(tmp_path / f"{number}.tflite").tensors.values()][:2]
        encoded, scores = random.normal(size=shapes[0]) * 2, random.uniform(0, 1, shapes[1])
        feeds.append({"encoded": encoded.astype(np.float32), "scores": scores.astype(np.float32)})
        np.savez(tmp_path / f"{number}.npz", *feeds[-1].values())
    for number, (theirs, options) in enumerate(zip(run_batch(tmp_path, COUNT), cases, strict=True)):
        assert not isinstance(theirs, str), theirs
        proto, _ = translate(read_network(tmp_path / f"{number}.tflite"), {})
        names = [value.name for value in proto.graph.output]
        ours = list(run_onnx(proto, feeds[number], names).values())
        assert [value.shape for value in ours] == [value.shape for value in theirs]
        count, rows = int(theirs[3][0]), np.arange(theirs[1].size)
        assert ours[3][0] == count
        if not options.get("use_regular_nms"):
            within = rows % options["max_classes_per_detection"] < options["num_classes"]
            kept = rows[within & (rows < count * options["max_classes_per_detection"])]
        else:
            kept = rows[:count]
        for mine, value in zip(ours[:3], theirs[:3], strict=True):
            assert np.abs(mine[0, kept] - value[0, kept]).max(initial=0) <= BAR, (number, options)
        gone = np.setdiff1d(rows, kept)
        assert not np.any(ours[2][0, gone]) and not np.any(ours[0][0, gone])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"num_classes": 4}, "expected 1 to 3 classes"),
        ({"max_detections": 0}, "0 boxes with 1 of 2 classes"),
        ({"max_detections": 1 << 40}, "expected 1 to 3 classes"),
        ({"nms_iou_threshold": 1.5}, "nms_iou_threshold is 1.5, expected a share"),
        ({"y_scale": 0.0}, "scales are .*, expected positive numbers"),
    ],
)
def test_options_that_do_not_fit_are_refused(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    content = detector(np.random.default_rng(0), {**OPTIONS, "num_classes": 2})
    whole = flexbuffers.Dumps({**OPTIONS, "num_classes": 2})
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    network = read_network(path)
    assert bytes(network.operators[0].custom) == whole
    network.operators[0].custom = flexbuffers.Dumps({**OPTIONS, "num_classes": 2, **changed})
    with pytest.raises(InputError, match=message):
        translate(network, {})


def test_shapes_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    content = detector(np.random.default_rng(0), OPTIONS)
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    for name, shape, message in (
        ("scores", (1, 7, 4), "are not of one image"),
        ("encoded", (20, 4), "not of one image"),
    ):
        network = read_network(path)
        with pytest.raises(InputError, match=message):
            translate(network, {name: shape} if len(shape) == 3 else {"encoded": (2, 20, 4)})


def test_maps_of_numbers() -> None:
    """Of every width; what is no number is left out."""
    values = {"a": 1, "long_name": -(1 << 40), "b": 2.5, "c": 1, "d": 1 << 62, "e": 70000, "f": 3.1}
    found = read_map(flexbuffers.Dumps({**values, "text": "x", "yes": True}))
    assert found == pytest.approx({**values, "yes": 1})


def test_damaged_maps_are_refused() -> None:
    whole = flexbuffers.Dumps(OPTIONS)
    random = np.random.default_rng(0)
    for number in range(300):
        damaged = bytearray(whole[: random.integers(0, len(whole) + 1)])
        for _ in range(number % 4):
            if damaged:
                damaged[random.integers(0, len(damaged))] = random.integers(0, 256)
        try:
            read_map(bytes(damaged))
        except InputError as error:
            assert "damaged" in str(error)
