"""Caffe2 files: how the two nets are told apart, what the input is, and what is said of files that are broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tiny_caffe2
from google.protobuf import text_format
from onnxray.importers import load
from onnxray.importers.errors import InputError
from onnxray.importers.sniff import recognise
from tiny_caffe2 import init, net, noise, opened, operator, run

BLOBS = {"w": noise(4, 3, 3, 3), "b": noise(4), "fc_w": noise(5, 4), "fc_b": noise(5)}
OPERATORS = [
    operator("Conv", "data,w,b", "conv", kernel=3, pad=1),
    operator("Relu", "conv", "conv"),
    operator("AveragePool", "conv", "pool", global_pooling=1),
    operator("FC", "pool,fc_w,fc_b", "scores"),
    operator("Softmax", "scores", "y"),
]


def expected(image: np.ndarray) -> np.ndarray:
    from coreml_cases import convolved

    features = convolved(image, BLOBS["w"], BLOBS["b"], (1, 1), (1, 1), (1, 1), (1, 1), 1).clip(0)
    scores = np.exp(features.mean((2, 3)) @ BLOBS["fc_w"].T + BLOBS["fc_b"])
    return scores / scores.sum(1, keepdims=True)


def dims(proto: onnx.ModelProto) -> list[Any]:
    return [dim.dim_value or dim.dim_param for dim in proto.graph.input[0].type.tensor_type.shape.dim]


def test_a_whole_network(tmp_path: Path) -> None:
    proto, image = opened(tmp_path, OPERATORS, BLOBS), noise(2, 3, 8, 8)
    small = opened(tmp_path, OPERATORS, BLOBS, size=8)
    np.testing.assert_allclose(run(small, {"data": image})[0], expected(image), rtol=1e-4, atol=1e-6)
    assert [value.name for value in proto.graph.input] == ["data"]
    assert dims(proto) == ["batch", 3, 224, 224]  # an FC says that the size is fixed: the most usual one that fits
    assert dims(small) == ["batch", 3, 8, 8]


def test_a_blob_s_name_is_its_last_value(tmp_path: Path) -> None:
    proto = opened(tmp_path, OPERATORS[:2], BLOBS, ["conv"])
    assert [list(node.output) for node in proto.graph.node] == [["conv/Conv"], ["conv"]]
    assert dims(proto) == ["batch", 3, "height", "width"]  # any size does
    assert run(proto, {"data": noise(1, 3, 5, 6)})[0].min() == 0


def test_an_input_changed_in_place_keeps_its_name(tmp_path: Path) -> None:
    operators = [operator("Scale", "data", "data", scale=0.5), operator("Conv", "data,w", "y", kernel=3)]
    proto = opened(tmp_path, operators, BLOBS)
    assert [value.name for value in proto.graph.input] == ["data"]
    assert proto.graph.node[0].output[0] == "data/Scale"


def test_without_declared_outputs_what_nobody_reads_is_one(tmp_path: Path) -> None:
    operators = [OPERATORS[0], operator("Sigmoid", "conv", "gate"), operator("Relu", "conv", "conv")]
    proto = opened(tmp_path, operators, BLOBS, ())
    assert [value.name for value in proto.graph.output] == ["gate", "conv"]


# ---- the two files


@pytest.mark.parametrize(
    ("predict", "fills"),
    [
        ("predict_net.pb", "init_net.pb"),
        ("mobileNetPredict.pb", "mobileNetInit.pb"),
        ("squeeze_predict_net.pb", "squeeze_init_net.pb"),
        ("model.pb", "model_init.pb"),
        ("run_net.pb", "init_net.pb"),
        ("graph.pb", "weights.pb"),
    ],
)
def test_the_other_net_is_found_whichever_is_named(tmp_path: Path, predict: str, fills: str) -> None:
    (tmp_path / predict).write_bytes(net(OPERATORS).SerializeToString())
    (tmp_path / fills).write_bytes(init(BLOBS).SerializeToString())
    for name in (predict, fills):
        assert recognise(tmp_path / name) == "caffe2"
        assert len(load(tmp_path / name).graph.node) == 6  # with a Flatten
    (tmp_path / "other_init_net.pb").write_bytes(init({"q": noise(2)}).SerializeToString())
    (tmp_path / "other_predict_net.pb").write_bytes(net([operator("Relu")]).SerializeToString())
    if predict != "graph.pb":
        assert len(load(tmp_path / predict).graph.node) == 6
        return
    with pytest.raises(
        InputError, match=r"expected a Caffe2 init_net .* several lie beside it: other_init_net.pb, weig"
    ):
        load(tmp_path / predict)


def test_the_text_form(tmp_path: Path) -> None:
    path = tiny_caffe2.write(tmp_path, net(OPERATORS), BLOBS)
    text = path.with_suffix(".pbtxt")
    text.write_text(text_format.MessageToString(net(OPERATORS)))
    path.unlink()
    image = noise(1, 3, 8, 8)
    np.testing.assert_allclose(run(load(text, size=8), {"data": image})[0], expected(image), rtol=1e-4, atol=1e-6)
    text.write_text('op { type: "Relu" input: x }')
    with pytest.raises(InputError, match="syntax error in line 1"):
        load(text)


def test_companions(tmp_path: Path) -> None:
    path = tiny_caffe2.write(tmp_path, net(OPERATORS), BLOBS)
    fills = tmp_path / "init_net.pb"
    assert load(path, companion=fills).graph.node
    assert load(fills, companion=path).graph.node
    with pytest.raises(InputError, match="--companion names no file"):
        load(path, companion=tmp_path / "none.pb")
    with pytest.raises(InputError, match=r"found two init_nets \(weights\)"):
        load(fills, companion=fills)
    fills.unlink()
    with pytest.raises(InputError, match="expected a Caffe2 init_net with the weights, but none lies beside it"):
        load(path)


def test_both_files_stand_in_the_provenance(tmp_path: Path) -> None:
    proto = opened(tmp_path, OPERATORS, BLOBS)
    told = " ".join(entry.value for entry in proto.metadata_props)
    assert "predict_net.pb" in told
    assert "init_net.pb" in told


# ---- the input


def test_a_value_info_says_the_size(tmp_path: Path) -> None:
    (tmp_path / "value_info.json").write_text(json.dumps({"data": [1, [1, 3, 20, 30]]}))
    assert dims(opened(tmp_path, OPERATORS, BLOBS)) == ["batch", 3, 20, 30]
    assert dims(opened(tmp_path, OPERATORS, BLOBS, size=(8, 9))) == ["batch", 3, 8, 9]
    for text in ("", "[1, 2]", '{"data": 7}', '{"data": [1, ["a"]]}'):
        (tmp_path / "value_info.json").write_text(text)
        assert dims(opened(tmp_path, OPERATORS, BLOBS)) == ["batch", 3, 224, 224]


def test_an_init_net_may_fill_the_input(tmp_path: Path) -> None:
    """Exporters for phones do, so that the blob is there: with one number, or with a whole image."""
    for data, found in ((noise(1, 1), 224), (noise(1, 3, 20, 20), 20)):
        assert dims(opened(tmp_path, OPERATORS, {**BLOBS, "data": data})) == ["batch", 3, found, found]


def test_the_usual_size_that_fits_the_weights(tmp_path: Path) -> None:
    operators = [operator("Conv", "data,w,b", "conv", kernel=3), operator("FC", "conv,fc,fc_b", "y")]
    blobs = {"w": noise(2, 1, 3, 3), "b": noise(2), "fc": noise(5, 2 * 26 * 26), "fc_b": noise(5)}
    assert dims(opened(tmp_path, operators, blobs)) == ["batch", 1, 28, 28]
    blobs["fc"] = noise(5, 2 * 11 * 11)
    with pytest.raises(InputError, match=r"no usual image size fits its weights .*; say it with --size"):
        opened(tmp_path, operators, blobs)
    assert dims(opened(tmp_path, operators, blobs, size=13)) == ["batch", 1, 13, 13]


def test_the_usual_size_that_keeps_images_apart(tmp_path: Path) -> None:
    """A Reshape to rows takes images of the wrong size, too: as several rows each."""
    operators = [
        OPERATORS[0],
        operator("Reshape", "conv", "rows,old", shape=[-1, 4 * 28 * 28]),
        operator("FC", "rows,fc", "y"),
    ]
    proto = opened(tmp_path, operators, {**BLOBS, "fc": noise(5, 4 * 28 * 28)})
    assert dims(proto) == ["batch", 3, 28, 28]
    assert run(proto, {"data": noise(2, 3, 28, 28)})[0].shape == (2, 5)


def test_vectors(tmp_path: Path) -> None:
    proto = opened(tmp_path, [operator("FC", "data,fc_w,fc_b", "y")], BLOBS)
    assert dims(proto) == ["batch", 4]


def test_nhwc_networks_have_no_transposes_between_their_images(tmp_path: Path) -> None:
    nhwc = {"order": "NHWC"}
    operators = [
        operator("Conv", "data,w,b", "conv", kernel=3, pad=1, **nhwc),
        operator("Relu", "conv", "conv"),
        operator("MaxPool", "conv", "pool", kernel=2, stride=2, **nhwc),
        operator("Concat", "pool,pool", "both", **nhwc),
        operator("AveragePool", "both", "mean", global_pooling=1, **nhwc),
        operator("FC", "mean,fc", "y"),
    ]
    blobs = {"w": np.ascontiguousarray(BLOBS["w"].transpose(0, 2, 3, 1)), "b": BLOBS["b"], "fc": noise(5, 8)}
    proto = opened(tmp_path, operators, blobs, size=8)
    kinds = [node.op_type for node in proto.graph.node]
    assert kinds.count("Transpose") == 1  # before the flattening of 1 x 1 pixels
    assert dims(proto) == ["batch", 3, 8, 8]


# ---- files that cannot be used


def test_unknown_operators_are_all_named(tmp_path: Path) -> None:
    operators = [operator("Int8Conv", "data,w", "a"), operator("RoIAlign", "a", "c"), operator("Int8Conv", "c,w", "d")]
    with pytest.raises(InputError, match=r"cannot translate: Int8Conv \(a, d\); RoIAlign \(c\)"):
        opened(tmp_path, operators, BLOBS)


def test_a_missing_weight_is_named(tmp_path: Path) -> None:
    blobs = {name: value for name, value in BLOBS.items() if name != "fc_w"}
    with pytest.raises(InputError, match=r"the init_net has no fc_w; do the two files belong together"):
        opened(tmp_path, OPERATORS, blobs, size=8)


def written(folder: Path, *fills: Any) -> Path:
    path = tiny_caffe2.write(folder, net(OPERATORS), BLOBS)
    made = init(BLOBS)
    made.op.extend(fills)
    (folder / "init_net.pb").write_bytes(made.SerializeToString())
    return path


WRONG_FILLS = [
    (operator("XavierFill", "", "q", shape=[2]), "operators of an init_net that onnxray cannot read: XavierFill"),
    (
        operator("GivenTensorFill", "", "q", shape=[2, 3], values=noise(5)),
        r"blob q .*expected 6 numbers \(2x3\), found 5",
    ),
    (operator("GivenTensorFill", "", "q", shape=[-1], values=noise(5)), "expected sizes"),
    (operator("ConstantFill", "", "q", shape=[1 << 60]), "expected at most"),
    (operator("ConstantFill", "", "q", shape=[2], dtype=4), "numbers of type 4"),
    (operator("ConstantFill", "", "q,r", shape=[2]), "expected one output, found 2"),
]


@pytest.mark.parametrize(("fill", "said"), WRONG_FILLS)
def test_fills_that_cannot_be_read(tmp_path: Path, fill: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        load(written(tmp_path, fill))


def test_constants_of_an_init_net(tmp_path: Path) -> None:
    path = written(tmp_path, operator("ConstantFill", "", "q", shape=[4], value=0.5))
    message = net([*OPERATORS[:2], operator("Mul", "conv,q", "y", broadcast=1, axis=1)])
    path.write_bytes(message.SerializeToString())
    assert run(load(path), {"data": noise(1, 3, 4, 4)})[0].shape == (1, 4, 4, 4)


def test_truncated_files(tmp_path: Path) -> None:
    for name in ("predict_net.pb", "init_net.pb"):
        path = tiny_caffe2.write(tmp_path, net(OPERATORS), BLOBS)
        broken = tmp_path / name
        broken.write_bytes(broken.read_bytes()[:-2])
        with pytest.raises(InputError, match=rf"{name}: expected a Caffe2 net, but the file is truncated or damaged"):
            load(path)
