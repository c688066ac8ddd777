"""PaddlePaddle models: the shared ones against their twins and PaddlePaddle itself, small ones against NumPy."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import onnxray
import pytest
import tiny_paddle
import tiny_pir
from onnxray.importers import load
from onnxray.importers.certificate import BAR, certify, compare_arrays, run_onnx
from onnxray.importers.errors import InputError

PADDLE = os.environ.get("ONNXRAY_PADDLE_PYTHON", "")  # a Python that has PaddlePaddle
needs_paddle = pytest.mark.skipif(not PADDLE, reason="ONNXRAY_PADDLE_PYTHON does not name a Python with PaddlePaddle")
CLASSIFIER = "models/paddle/ppocr_v2_cls/inference.pdmodel"


@pytest.mark.parametrize("shape", [(2, 3, 48, 192), (1, 3, 32, 100)])
def test_a_shared_model_is_its_onnx_twin(shared, shape: tuple[int, ...]) -> None:
    twin = onnx.load(shared("models/onnx/ppocr_v2_cls/ch_ppocr_mobile_v2.0_cls_infer.onnx"))
    feeds = {"x": np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)}
    proto = load(shared(CLASSIFIER))
    (ours,) = run_onnx(proto, feeds, ["softmax_0.tmp_0"]).values()
    (theirs,) = run_onnx(twin, feeds, [twin.graph.output[0].name]).values()
    assert np.ptp(theirs) > 0.01
    assert compare_arrays("", theirs, ours).relative < 1e-4


@needs_paddle
def test_a_shared_model_certifies_at_every_layer(shared) -> None:
    path = shared(CLASSIFIER)
    options = {"shapes": {"x": (1, 3, 48, 96)}}
    certificate = certify(path, None, load(path, **options), per_layer=True, options=options)
    assert certificate.verified and len(certificate.inner) > 150, certificate.note
    assert max(row.relative for row in (*certificate.outputs, *certificate.inner)) < BAR / 10


def test_a_shared_model_runs_as_any_other(shared) -> None:
    model = onnxray.load(shared(CLASSIFIER).parent, size=(48, 192))
    assert model.spec.size == (48, 192)
    assert [value.name for value in model.proto.graph.input] == ["x"]


def _expected(x: np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
    """The network of `tiny_paddle.small`, pixel by pixel."""
    kernel, bias = weights["conv.w_0"], weights["conv.b_0"]
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    rows, columns = ((side - 1) // 2 + 1 for side in x.shape[2:])
    found = np.zeros((len(x), 4, rows, columns))
    for row in range(rows):
        for column in range(columns):
            window = padded[:, None, :, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
            found[:, :, row, column] = (window * kernel).sum((2, 3, 4)) + bias
    scores = np.exp(np.maximum(found, 0).mean((2, 3)) @ weights["fc.w_0"])
    result: np.ndarray = scores / scores.sum(1, keepdims=True)
    return result


@pytest.mark.parametrize("opened", ["inference.pdmodel", "inference.pdiparams", ""])
def test_a_model_is_opened_by_either_file_or_its_folder(tmp_path: Path, opened: str) -> None:
    tiny_paddle.write_small(tmp_path)
    x = np.random.default_rng(1).normal(size=(2, 3, 7, 9)).astype(np.float32)
    proto = load(tmp_path / opened)
    (found,) = run_onnx(proto, {"x": x}, ["probabilities"]).values()
    np.testing.assert_allclose(found, _expected(x, tiny_paddle.small()[1]), rtol=1e-4)
    names = [name for node in proto.graph.node for name in node.output]
    assert "biased" in names and "biased_before" in names  # the variable written twice


def _old_names(folder: Path, weights: str) -> Path:
    """A folder as PaddlePaddle 1 writes it: __model__ and one file, or one file each."""
    steps, values = tiny_paddle.small()
    (folder / "__model__").write_bytes(tiny_paddle.program(steps, values, ["probabilities"]))
    if weights:
        (folder / weights).write_bytes(tiny_paddle.stored(values))
    else:
        for name, value in values.items():
            (folder / name).write_bytes(tiny_paddle.tensor(value))
    return folder


@pytest.mark.parametrize("weights", ["", "__params__"])
@pytest.mark.parametrize("opened", ["", "__model__"])
def test_the_older_names_of_the_files(tmp_path: Path, weights: str, opened: str) -> None:
    proto = load(_old_names(tmp_path, weights) / opened)
    x = np.random.default_rng(1).normal(size=(1, 3, 6, 6)).astype(np.float32)
    (found,) = run_onnx(proto, {"x": x}, ["probabilities"]).values()
    np.testing.assert_allclose(found, _expected(x, tiny_paddle.small()[1]), rtol=1e-4)


def test_weights_under_another_name_are_named(tmp_path: Path) -> None:
    path = tiny_paddle.write_small(tmp_path)
    (tmp_path / "inference.pdiparams").rename(tmp_path / "other.pdiparams")
    with pytest.raises(InputError, match=r"weights are missing.*--companion"):
        load(path)
    assert len(load(path, companion=tmp_path / "other.pdiparams").graph.initializer) >= 3
    assert len(load(tmp_path / "other.pdiparams", companion=path).graph.initializer) >= 3


def test_unknown_operators_are_named_all_at_once(tmp_path: Path) -> None:
    steps = [
        tiny_paddle.step("yolo_box", {"X": "x"}, {"Boxes": "boxes", "Scores": "scores"}),
        tiny_paddle.step("multiclass_nms3", {"BBoxes": "boxes", "Scores": "scores"}, {"Out": "found"}),
        tiny_paddle.step("py_func", {"X": "x"}, {"Out": "nobody reads this"}),
    ]
    path = tiny_paddle.write(tmp_path, tiny_paddle.program(steps, {}, ["found"]), {})
    with pytest.raises(InputError, match=r"not supported: yolo_box \(1\), multiclass_nms3 \(1\); nothing") as caught:
        load(path)
    assert "py_func" not in str(caught.value)


def test_a_program_of_paddle_3_is_the_same_network(tmp_path: Path) -> None:
    _, values = tiny_paddle.small()
    (tmp_path / "inference.json").write_bytes(tiny_pir.small(values))
    (tmp_path / "inference.pdiparams").write_bytes(tiny_paddle.stored(values))
    x = np.random.default_rng(1).normal(size=(2, 3, 7, 9)).astype(np.float32)
    for opened in ("", "inference.json", "inference.pdiparams"):
        proto = load(tmp_path / opened)
        (found,) = run_onnx(proto, {"x": x}, [proto.graph.output[0].name]).values()
        np.testing.assert_allclose(found, _expected(x, values), rtol=1e-4)
    assert "Reshape" not in {node.op_type for node in proto.graph.node}  # of the bias, which is stored so


@needs_paddle
@pytest.mark.parametrize("is_new", [False, True])
def test_small_models_certify(tmp_path: Path, is_new: bool) -> None:
    path = tiny_paddle.write_small(tmp_path)
    if is_new:
        path = tmp_path / "inference.json"
        path.write_bytes(tiny_pir.small(tiny_paddle.small()[1]))
    options = {"shapes": {"x": (1, 3, 8, 8)}}
    certificate = certify(path, None, load(path, **options), options=options)
    assert certificate.verified and certificate.reference.startswith("PaddlePaddle"), certificate.note
