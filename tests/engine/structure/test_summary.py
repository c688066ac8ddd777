"""The table of layers as data."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_models
from onnxray.engine.model import Model, load
from onnxray.engine.structure.receptive_field import ReceptiveField
from onnxray.engine.structure.summary import Summary, image_axes, summarize

REAL = [
    "models/derived/squeezenet1.1.onnx",
    "models/derived/resnet20_cifar10.onnx",
    "models/derived/vgg16_trunk_hed.onnx",
    "models/onnx/ppocr_v2_cls/ch_ppocr_mobile_v2.0_cls_infer.onnx",
    "models/onnx/ppseg_lite_portrait/ppseg_lite_portrait_398x224_with_softmax_fixed.onnx",
    "models/onnx/prisma_portrait_unet/prisma_nchw.onnx",
    "models/onnx/sinet_portrait/SINet_Softmax.onnx",
    "models/onnx/ultraface_rfb320/version-RFB-320.onnx",
]


def tiny(tmp_path: Path, text: str = tiny_models.CONV_NET) -> Summary:
    return summarize(load(tiny_models.save(tmp_path / "tiny.onnx", text)))


def test_a_network_known_by_hand(tmp_path: Path) -> None:
    """conv1: 8x8x2 outputs of 9 products; logits: 3 of 32."""
    found = tiny(tmp_path)
    rows = {row.output: row for row in found.rows}
    assert [row.output for row in found.layers] == ["conv1", "pool1", "logits", "scores"]
    assert found.others == {"Relu": 1, "Flatten": 1}
    assert (rows["conv1"].params, rows["conv1"].macs, rows["conv1"].activation_bytes) == (20, 1152, 512)
    assert (rows["logits"].params, rows["logits"].macs, rows["logits"].shape) == (99, 96, (1, 3))
    assert (found.total_params, found.total_macs) == (119, 1248)
    # conv1: 2 a product and 1 a bias; ReLU 1; the pooling's 2x2; softmax 5.
    assert found.total_flops == (2 * 1152 + 128) + 128 + 32 * 4 + 0 + (2 * 96 + 3) + 5 * 3
    assert found.total_activation_bytes == 4 * (128 + 128 + 32 + 32 + 3 + 3)
    assert found.peak_memory.bytes == 4 * (128 + 128)
    assert rows["pool1"].receptive_field == ReceptiveField("local", (4, 4), (2, 2), (-1, -1))
    assert rows["logits"].receptive_field == ReceptiveField("global")
    assert found.weight_dtypes == {"float32": 119}
    assert (found.sparsity, found.weight_bytes) == (0, 476)


@pytest.mark.parametrize("path", REAL)
def test_nothing_with_a_cost_is_hidden(shared: Callable[[str], Path], path: str) -> None:
    """The layers carry every parameter and every MAC; every number and every field of these files is known."""
    found = load(shared(path)).summary()
    assert sum(row.params for row in found.layers) == sum(row.params for row in found.rows)
    assert sum(row.macs or 0 for row in found.layers) == found.total_macs
    assert len(found.layers) + sum(found.others.values()) == len(found.rows)
    assert found.total_params == sum(found.weight_dtypes.values()) > 0
    assert not [row.name for row in found.rows if row.shape is None or None in row.shape]
    assert not [row.name for row in found.rows if row.receptive_field and row.receptive_field.kind == "unknown"]
    assert json.loads(json.dumps(found.to_json()))["total_params"] == found.total_params


def test_open_sizes_are_told(tmp_path: Path) -> None:
    """Batch 1 is no assumption worth a word; height and width are."""
    assert tiny(tmp_path).assumed == {}
    text = tiny_models.CONV_NET.replace("float[batch, 1, 8, 8]", "float[batch, 1, height, 8]")
    path = tiny_models.save(tmp_path / "open.onnx", text.replace("fc_w", "fc_w"))
    assert summarize(load(path, shapes={"image": (1, 1, 8, 8)})).assumed == {}
    text = '<ir_version: 8, opset_import: ["" : 17]> g (float[n,3,h,w] x) => (y) { y = Relu(x) }'
    assert tiny(tmp_path, text).assumed == {"x": (2, 3)}


def test_an_unknown_cost_leaves_the_total_open(tmp_path: Path) -> None:
    text = """<ir_version: 8, opset_import: ["" : 17, "some.where" : 1]> g (float[1,2,4,4] x) => (z)
    <float[2,2,1,1] w> { y = Conv(x, w) z = some.where.Novelty(y) }"""
    found = tiny(tmp_path, text)
    assert found.total_macs is None
    assert found.known_macs == 64
    assert len(found.unknown_macs) == 1
    assert [row.op for row in found.layers] == ["Conv", "some.where.Novelty"]
    assert found.layers[1].receptive_field == ReceptiveField("unknown")


def test_the_image_is_found() -> None:
    def model(inputs: str, **options: str) -> Model:
        proto = tiny_models.model(f'<ir_version: 8, opset_import: ["" : 17]> g ({inputs}) => (y) {{ y = Relu(x) }}')
        found = Model(proto, Path("m.onnx"))
        found.spec = found.spec.override("test", **options)
        return found

    assert image_axes(model("float[1,3,8,8] x")) == ("x", (2, 3))
    assert image_axes(model("float[1,3,8,8] x", layout="NHWC")) == ("x", (1, 2))
    assert image_axes(model("float[1,2] info, float[1,3,8,8] x")) == ("x", (2, 3))
    assert image_axes(model("float[1,2,100] x")) == ("x", (2,))
    assert image_axes(model("float[1,20] x")) == ("", ())


def test_without_an_image_there_are_no_fields(tmp_path: Path) -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]> g (float[1,4] x) => (y) <float[4,2] w> { y = MatMul(x, w) }"""
    found = tiny(tmp_path, text)
    assert found.image_input == ""
    assert found.rows[0].receptive_field is None
    assert found.total_macs == 8
