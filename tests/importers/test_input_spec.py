"""Where the preprocessing comes from: stored, other tools' metadata, options, assumptions; and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tiny_models
from onnx import TensorProto, helper
from onnxray.importers import load
from onnxray.importers.errors import InputError
from onnxray.importers.input_spec import METADATA_KEY, InputSpec, read_input_spec, set_metadata, write_input_spec
from onnxray.importers.labels import read_labels


def _model(dims: list[Any], data_type: int = TensorProto.FLOAT, **metadata: str) -> onnx.ModelProto:
    image = helper.make_tensor_value_info("image", data_type, dims)
    out = helper.make_tensor_value_info("y", data_type, None)
    graph = helper.make_graph([helper.make_node("Identity", ["image"], ["y"])], "g", [image], [out])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for key, value in metadata.items():
        set_metadata(proto, key.replace("__", "."), value)
    return proto


def _spec(tmp_path: Path, proto: onnx.ModelProto, **options: Any) -> InputSpec:
    path = tmp_path / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    shapes = options.pop("shapes", None)
    spec = read_input_spec(load(path, shapes=shapes, **options))
    assert spec is not None
    return spec


def test_a_spec_survives_the_file(tmp_path: Path) -> None:
    image = np.random.default_rng(0).normal(size=(3, 5, 7)).astype(np.float32)
    spec = InputSpec("image", (5, 7), "NHWC", "BGR", (1.0, 2.0, 3.0), (0.5,), image, "stretch", 0.9, ("ä", "b"))
    spec = spec.override("a test", labels=("ä", "b"), mean=(1.0, 2.0, 3.0))
    proto = _model([1, 3, 5, 7])
    write_input_spec(proto, spec)
    back = read_input_spec(onnx.load_from_string(proto.SerializeToString()))
    assert back == spec
    assert back is not None
    np.testing.assert_array_equal(back.mean_image, image)


def test_a_converted_model_needs_its_options_once(tmp_path: Path) -> None:
    first = load(tiny_models.save(tmp_path / "a.onnx"), mean=7.0, scale=(0.5,), labels=["x", "y", "z"])
    (tmp_path / "b.onnx").write_bytes(first.SerializeToString())
    again = read_input_spec(load(tmp_path / "b.onnx"))
    assert again == read_input_spec(first)
    assert again is not None
    assert again.origin["mean"] == "option"


def test_assumptions_are_made_anew_but_options_last(tmp_path: Path) -> None:
    proto = load(tiny_models.save(tmp_path / "a.onnx"))
    spec = _spec(tmp_path, proto, mean=100)
    assert spec.origin["scale"].startswith("assumed: pixels 0..255")
    assert (spec.mean, spec.scale) == ((100.0,), (1.0,))


@pytest.mark.parametrize(
    ("dims", "layout", "order", "size"),
    [
        ([1, 3, 32, 48], "NCHW", "RGB", (32, 48)),
        (["n", 1, 28, 28], "NCHW", "GREY", (28, 28)),
        (["n", 32, 48, 3], "NHWC", "RGB", (32, 48)),
        (["n", "h", "w", 1], "NHWC", "GREY", None),
        (["n", 3, "h", "w"], "NCHW", "RGB", None),
        (["n", 3, 640, 3], "NCHW", "RGB", (640, 3)),
        ([1, 10], "NCHW", "RGB", None),
    ],
)
def test_what_the_shape_tells(tmp_path: Path, dims: list[Any], layout: str, order: str, size: Any) -> None:
    spec = _spec(tmp_path, _model(dims))
    assert (spec.layout, spec.channel_order, spec.size) == (layout, order, size)
    assert all(spec.origin[name].startswith("assumed: ") for name in ("channel_order", "mean", "scale"))


def test_the_image_is_the_input_of_rank_four(tmp_path: Path) -> None:
    proto = _model([1, 3, 8, 8])
    proto.graph.input.insert(0, helper.make_tensor_value_info("threshold", TensorProto.FLOAT, [1]))
    assert _spec(tmp_path, proto).input == "image"


def test_unknown_scaling_is_assumed_and_says_what_to_pass(tmp_path: Path) -> None:
    spec = _spec(tmp_path, _model([1, 3, 8, 8]))
    assert spec.scale == (1 / 255,)
    assert "--mean and --scale" in spec.origin["scale"]


def test_byte_inputs_take_pixels_as_they_are(tmp_path: Path) -> None:
    spec = _spec(tmp_path, _model([1, 3, 8, 8], TensorProto.UINT8))
    assert (spec.mean, spec.scale) == ((0.0,), (1.0,))


@pytest.mark.parametrize(
    ("op", "constant", "raw"),
    [("Mul", 1 / 255, True), ("Sub", 127.5, True), ("Div", 255.0, True), ("Sub", 0.5, False), ("Mul", 2.0, False)],
)
def test_a_graph_that_scales_pixels_itself(tmp_path: Path, op: str, constant: float, raw: bool) -> None:
    text = f"""<ir_version: 8, opset_import: ["" : 17]>
        g (float[1, 8, 8, 3] image) => (float[1, 3, 8, 8] y)
        {{ k = Constant <value_float = {constant}> ()
           t = Transpose <perm = [0, 3, 1, 2]> (image)
           y = {op} (t, k) }}"""
    spec = _spec(tmp_path, onnx.parser.parse_model(text))
    assert spec.scale == ((1.0,) if raw else (1 / 255,))
    assert ("scales the pixels itself" in spec.origin["scale"]) == raw


@pytest.mark.parametrize(
    ("metadata", "fields"),
    [
        ({"Image__BitmapPixelFormat": "Bgr8"}, {"channel_order": "BGR"}),
        ({"Image__NominalPixelRange": "Normalized_1_1"}, {"mean": (127.5,), "scale": (1 / 127.5,)}),
        ({"Image__NominalPixelRange": "NominalRange_0_255"}, {"mean": (0.0,), "scale": (1.0,)}),
        (
            {"author": "Ultralytics", "imgsz": "[640, 480]", "names": "{0: 'cat', 1: 'dog'}", "task": "detect"},
            {"size": (640, 480), "labels": ("cat", "dog"), "resize": "stretch", "scale": (1 / 255,)},
        ),
        ({"character": "a\nb"}, {"labels": ("blank", "a", "b", " ")}),
        ({"names": "[" * 5000, "author": "Ultralytics", "imgsz": "big"}, {"labels": (), "size": None}),
        ({"names": "{1: 'no zero'}"}, {"labels": ()}),
    ],
)
def test_metadata_of_other_tools(tmp_path: Path, metadata: dict[str, str], fields: dict[str, Any]) -> None:
    spec = _spec(tmp_path, _model([1, 3, "h", "w"], **metadata))
    assert {name: getattr(spec, name) for name in fields} == fields


def test_options_win_over_metadata(tmp_path: Path) -> None:
    spec = _spec(tmp_path, _model([1, 3, 8, 8], Image__BitmapPixelFormat="Bgr8"), channel_order="RGB")
    assert (spec.channel_order, spec.origin["channel_order"]) == ("RGB", "option")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mean": (1, 2)}, "mean expects 1 or 3 numbers, found 2"),
        ({"scale": (1, 2, 3, 4)}, "scale expects 1 or 3 numbers, found 4"),
        ({"scale": 0}, "not 0"),
        ({"mean": float("nan")}, "mean expects"),
        ({"mean": "grey"}, "mean expects"),
        ({"size": (4, 4)}, "size 4x4 does not fit input image: 1x3x8x8"),
        ({"size": (1, 2, 3)}, "size expects"),
        ({"size": -1}, "size expects"),
        ({"channel_order": "GREY"}, "has 3 channels"),
        ({"channel_order": "rgba"}, "channel_order expects RGB or BGR or GREY"),
        ({"resize": "letterbox"}, "resize expects crop or stretch"),
        ({"layout": "NHWC"}, "layout NHWC makes 8 channels of input image: 1x3x8x8"),
        ({"crop_fraction": 2}, "crop_fraction expects"),
        ({"means": 1}, "unknown option means; did you mean mean"),
        ({"input": "imag"}, "no input imag; did you mean image"),
        ({"mean_image": np.zeros((1, 8, 8))}, "mean image has 1 channels"),
        ({"shapes": {"imag": (1, 3, 8, 8)}}, "names no input of the model: imag; did you mean image"),
        ({"shapes": {"image": (1, 3, 8)}}, "does not fit the file, which says 1x3x8x8"),
        ({"shapes": {"image": (1, 3, 9, 8)}}, "does not fit the file, which says 1x3x8x8"),
    ],
)
def test_options_that_do_not_fit(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        _spec(tmp_path, _model([1, 3, 8, 8]), **options)


def test_a_shape_fixes_dynamic_sizes(tmp_path: Path) -> None:
    for name in ("image", ""):
        path = tmp_path / "m.onnx"
        path.write_bytes(_model(["n", 3, "h", "w"]).SerializeToString())
        proto = load(path, shapes={name: (1, 3, 20, 30)})
        dims = proto.graph.input[0].type.tensor_type.shape.dim
        assert [dim.dim_value for dim in dims] == [0, 3, 20, 30]  # the batch stays open
        spec = read_input_spec(proto)
        assert spec is not None
        assert spec.size == (20, 30)


@pytest.mark.parametrize(
    "stored",
    ["no json", "[]", "7", '{"mean": "x"}', '{"nonsense": 1}', '{"mean_image": {"shape": [1, 9, 9]}}', "[" * 100_000],
)
def test_a_damaged_stored_spec_is_an_input_error(tmp_path: Path, stored: str) -> None:
    proto = _model([1, 3, 8, 8])
    set_metadata(proto, METADATA_KEY, stored)
    with pytest.raises(InputError):
        _spec(tmp_path, proto)


def test_a_stored_label_is_never_a_path(tmp_path: Path) -> None:
    """A file must not make us read another one."""
    proto = _model([1, 3, 8, 8])
    set_metadata(proto, METADATA_KEY, json.dumps({"labels": "/etc/passwd"}))
    assert "root" not in "".join(_spec(tmp_path, proto).labels)


def test_a_stored_mean_image_that_claims_too_much_is_refused(tmp_path: Path) -> None:
    proto = _model([1, 3, 8, 8])
    set_metadata(proto, METADATA_KEY, json.dumps({"mean_image": {"shape": [1 << 20, 1 << 20, 1], "float32_zlib": ""}}))
    with pytest.raises(InputError, match="too large"):
        _spec(tmp_path, proto)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0\tn01440764\ttench\n1\tn01443537\tgoldfish\n", ("tench", "goldfish")),
        (
            "n01440764 tench, Tinca tinca\nn01443537 goldfish, Carassius auratus\n",
            ("tench, Tinca tinca", "goldfish, Carassius auratus"),
        ),
        ("background\ntench, Tinca tinca\n\n", ("background", "tench, Tinca tinca")),
        ("0 cat\n1 dog\n", ("cat", "dog")),
        ("1: cat\n2: dog\n", ("cat", "dog")),
        ("0\n1\n2\n", ("0", "1", "2")),
        ("7 up\n3 musketeers\n", ("7 up", "3 musketeers")),
        ("3D printer\n2CV\n", ("3D printer", "2CV")),
        ("\ufeffcat\r\ndog\r\n", ("cat", "dog")),
        ('["cat", "dog"]', ("cat", "dog")),
        ('{"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"]}', ("tench", "goldfish")),
    ],
)
def test_label_files(tmp_path: Path, text: str, expected: tuple[str, ...]) -> None:
    path = tmp_path / "labels.txt"
    path.write_text(text, "utf-8")
    assert read_labels(path) == expected


def test_the_thousand_names_of_imagenet(shared) -> None:
    labels = read_labels(shared("data/imagenet_sample_256/classes.txt"))
    assert (len(labels), labels[0], labels[999]) == (1000, "tench", labels[-1])
    assert not any("\t" in label or label[0].isdigit() for label in labels)
    background, *others = read_labels(shared("models/tflite/mobilenet_v2_1.0_224_quant/labels.txt"))
    assert (background, others[0], len(others)) == ("background", "tench, Tinca tinca", 1000)


def test_what_is_no_label_file(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    (tmp_path / "json").write_text('{"1": "no zero"}')
    for name in ("empty", "binary", "json", "missing"):
        with pytest.raises(InputError, match="--labels expects"):
            read_labels(tmp_path / name)
