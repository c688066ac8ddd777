"""Weights: statistics against NumPy, filters against what the network does with an impulse, quantised ones by hand."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
import pytest
import tiny_models
from model_specs import load_model
from onnx import numpy_helper
from onnxray import load
from onnxray.engine.model import Model
from onnxray.engine.structure.stored_weights import as_filters, find_weights, read_weight, stored_weights
from onnxray.engine.structure.weights import (
    DEAD,
    MOST_COMPARED,
    SAME,
    duplicate_filters,
    export_weights,
    weight_statistics,
)
from onnxray.importers import tensors
from onnxray.importers.errors import InputError

_LENET = "models/caffe/lenet_mnist/lenet_iter_10000.caffemodel"
_DENSE = "models/derived/squeezenet1.1.onnx"


def _net(tmp_path: Path, text: str, **values: np.ndarray) -> Model:
    """A model of ONNX text whose initializers have these values; those not named are random."""
    proto = tiny_models.model(text)
    for tensor in proto.graph.initializer:
        if tensor.name in values:
            tensor.CopyFrom(numpy_helper.from_array(values[tensor.name], tensor.name))
    onnx.save(proto, tmp_path / "net.onnx")
    return load(tmp_path / "net.onnx")


def _conv_net(tmp_path: Path, weight: np.ndarray) -> Model:
    out, inputs, height, width = weight.shape
    text = f"""
    <ir_version: 10, opset_import: ["" : 21]>
    net (float[1, {inputs}, 9, 9] image) => (float[1, {out}, a, b] maps)
    <float[{out}, {inputs}, {height}, {width}] w> {{ maps = Conv (image, w) }}
    """
    return _net(tmp_path, text, w=weight)


def test_statistics_of_a_real_network(shared: Callable[[str], Path]) -> None:
    model = load_model(shared, _LENET)
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.proto.graph.initializer}
    rows = weight_statistics(model).rows
    assert [row.layer for row in rows] == [name for name in ("conv1", "conv2", "ip1", "ip2") for _ in range(2)]
    assert [row.role for row in rows] == ["weight", "bias"] * 4
    for row in rows:
        values = stored[row.name].astype(np.float64)
        assert (row.shape, row.elements, row.dtype) == (values.shape, values.size, "float32")
        assert (row.min, row.max) == (values.min(), values.max())
        assert row.mean == pytest.approx(values.mean(), abs=1e-12)
        assert row.std == pytest.approx(values.std(), rel=1e-12)
        assert (row.histogram == np.histogram(values, 64)[0]).all()
        if row.role == "weight":
            matrix = values.reshape(len(values), -1)
            assert row.spectral_norm == pytest.approx(np.linalg.norm(matrix, 2), rel=1e-5)
            assert (row.filters, row.dead, row.duplicates) == (len(values), (), ())
        else:
            assert (row.filters, row.spectral_norm) == (None, None)


@pytest.mark.parametrize(
    "name",
    [
        _DENSE,
        "models/onnx/ppocr_v2_cls/ch_ppocr_mobile_v2.0_cls_infer.onnx",
        "models/onnx/sinet_portrait/SINet_Softmax.onnx",
        "models/onnx/prisma_portrait_unet/prisma_nchw.onnx",
    ],
)
def test_rows_are_the_parameters_that_the_summary_counts(shared: Callable[[str], Path], name: str) -> None:
    model = load_model(shared, name)
    rows = weight_statistics(model).rows
    statistics = sum(row.elements for row in rows if row.role in ("mean", "variance"))
    summary = model.summary()
    assert sum(row.elements for row in rows) - statistics == summary.total_params
    assert statistics == summary.total_statistics


def test_dead_and_duplicate_filters(tmp_path: Path) -> None:
    weight = np.random.default_rng(0).normal(size=(10, 3, 3, 3)).astype(np.float32)
    weight[2] = 0
    weight[5] *= 0.9 * DEAD * np.abs(weight).max() / np.abs(weight[5]).max()
    weight[7] = weight[1] * 1.001
    weight[9] = weight[1]
    weight[4] = -weight[3]
    row = weight_statistics(_conv_net(tmp_path, weight)).rows[0]
    assert row.dead == (2, 5)
    assert row.duplicates == ((7, 1), (9, 1))
    assert row.zeros == 27 / 270


@pytest.mark.parametrize(("count", "size"), [(600, 4), (300, 25), (40, 1000), (5, 1)])
def test_duplicates_are_those_that_comparing_all_pairs_finds(count: int, size: int) -> None:
    random = np.random.default_rng(count)
    matrix = random.normal(size=(count, size))
    copies = random.integers(0, count, count // 3)
    matrix[: len(copies)] = matrix[copies] * (1 + random.normal(size=(len(copies), 1)) * SAME)
    norms = np.linalg.norm(matrix, axis=1)
    expected = []
    for i in range(count):
        distance = np.linalg.norm(matrix[:i] - matrix[i], axis=1)
        close = np.flatnonzero(distance <= SAME * np.maximum(norms[:i], norms[i]))
        if close.size:
            expected.append((i, int(close[0])))
    assert duplicate_filters(matrix) == tuple(expected)
    assert duplicate_filters(matrix, skip=[i for i, _ in expected]) == ()


def test_of_very_many_filters_equal_ones_are_found_and_little_memory_taken() -> None:
    random = np.random.default_rng(0)
    matrix = random.normal(size=(MOST_COMPARED + 100, 3)).astype(np.float32)
    matrix[-2], matrix[-1] = matrix[7], matrix[7] * 1.001
    assert duplicate_filters(matrix) == ((len(matrix) - 2, 7),)
    # Where most are dead, the few that live are compared as ever, and no table of all pairs (34 GB) is made.
    dead = range(8, len(matrix) - 2)
    tracemalloc.start()
    try:
        assert duplicate_filters(matrix, dead) == ((len(matrix) - 2, 7), (len(matrix) - 1, 7))
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


def test_real_dead_filters(shared: Callable[[str], Path]) -> None:
    model = load_model(shared, _DENSE)
    expected = {}
    for tensor in model.proto.graph.initializer:
        if len(tensor.dims) == 4:
            strongest = np.abs(numpy_helper.to_array(tensor)).max(axis=(1, 2, 3))
            expected[tensor.name] = tuple(np.flatnonzero(strongest < 1e-3 * strongest.max()))
    found = weight_statistics(model)
    assert {row.name: row.dead for row in found.rows if row.filters} == expected
    assert found.dead == 1


def test_what_is_not_finite_is_counted_and_left_out(tmp_path: Path) -> None:
    weight = np.ones((2, 1, 2, 2), np.float32)
    weight[0, 0, 0] = np.nan, np.inf
    row = weight_statistics(_conv_net(tmp_path, weight)).rows[0]
    assert (row.not_finite, row.min, row.max, row.mean, row.std) == (2, 1.0, 1.0, 1.0, 0.0)
    assert (row.spectral_norm, row.duplicates, row.histogram.sum()) == (None, (), 6)
    row = weight_statistics(_conv_net(tmp_path, np.full((1, 1, 1, 1), np.nan, np.float32))).rows[0]
    assert (row.min, row.max, row.mean, row.std, row.dead) == (None, None, None, None, ())


_LINEAR = {
    "Conv": ("float[1, 6, 1, 1] x", "float[4, 3, 1, 1] w", "Conv <group = 2> (x, w)"),
    "ConvTranspose": ("float[1, 6, 1, 1] x", "float[6, 2, 2, 3] w", "ConvTranspose <group = 3> (x, w)"),
    "Gemm": ("float[1, 6] x", "float[6, 4] w", "Gemm (x, w)"),
    "Gemm, transB": ("float[1, 6] x", "float[4, 6] w", "Gemm <transB = 1> (x, w)"),
    "Gemm, weight first": ("float[6, 1] x", "float[4, 6] w", "Gemm (w, x)"),
    "Gemm, weight first, transA": ("float[6, 1] x", "float[6, 4] w", "Gemm <transA = 1> (w, x)"),
    "MatMul": ("float[1, 6] x", "float[6, 4] w", "MatMul (x, w)"),
    "MatMul, weight first": ("float[6, 1] x", "float[4, 6] w", "MatMul (w, x)"),
    "a transposed weight": ("float[1, 6] x", "float[4, 6] w", "MatMul (x, t)"),
}


@pytest.mark.parametrize("case", _LINEAR)
def test_filters_are_what_an_impulse_shows(tmp_path: Path, case: str) -> None:
    entry, weight, call = _LINEAR[case]
    before = "t = Transpose <perm = [1, 0]> (w)" if "t)" in call else ""
    output = "float[a, b, c, d] y" if "Conv" in case else "float[a, b] y"
    header = '<ir_version: 8, opset_import: ["" : 17]>'
    model = _net(tmp_path, f"{header} net ({entry}) => ({output}) <{weight}> {{ {before} y = {call} }}")
    (found,) = find_weights(model.graph, "w")
    filters = as_filters(found, read_weight(model.graph, found))
    assert filters is not None
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    shape = tuple(session.get_inputs()[0].shape)
    for channel in range(6):
        impulse = np.zeros(6, np.float32)
        impulse[channel] = 1
        (answer,) = session.run(None, {"x": impulse.reshape(shape)})
        answer = answer.reshape(len(filters), *filters.shape[2:])
        inside = filters.shape[1]  # channels of one group
        group = channel // inside
        per_group = len(filters) // (6 // inside)
        expected = np.zeros_like(answer)
        rows = slice(group * per_group, (group + 1) * per_group)
        expected[rows] = filters[rows, channel % inside]
        np.testing.assert_array_equal(answer, expected)


_QDQ = """
<ir_version: 10, opset_import: ["" : 21]>
net (float[1, 2, 4, 4] image) => (float[1, 3, 4, 4] maps)
<int8[3, 2, 1, 1] w, float[3] s, int8[3] z>
{
    real = DequantizeLinear <axis = 0> (w, s, z)
    maps = Conv (image, real)
}
"""
_QLINEAR = """
<ir_version: 8, opset_import: ["" : 17]>
net (uint8[1, 2, 4, 4] image) => (uint8[1, 3, 4, 4] maps)
<float xs = {0.5}, uint8 xz = {3}, uint8[3, 2, 1, 1] w, float[3] s, uint8[3] z>
{
    maps = QLinearConv (image, xs, xz, w, s, z, xs, xz)
}
"""


_OLD_QDQ = _QDQ.replace("ir_version: 10", "ir_version: 8").replace('"" : 21', '"" : 13')
_DYNAMIC = """
<ir_version: 8, opset_import: ["" : 17]>
net (uint8[1, 2, 4, 4] image) => (int32[1, 3, 4, 4] maps)
<uint8 xz = {3}, uint8[3, 2, 1, 1] w, uint8 z>
{
    maps = ConvInteger (image, w, xz, z)
}
"""


@pytest.mark.parametrize(("text", "dtype"), [(_QDQ, np.int8), (_OLD_QDQ, np.int8), (_QLINEAR, np.uint8)])
def test_quantised_weights_are_the_numbers_they_stand_for(tmp_path: Path, text: str, dtype: type) -> None:
    stored = np.arange(6).reshape(3, 2, 1, 1).astype(dtype)
    scales, zeros = np.array([0.5, 2.0, 10.0], np.float32), np.array([0, 2, 5], dtype)
    model = _net(tmp_path, text, w=stored, s=scales, z=zeros)
    row = next(row for row in weight_statistics(model).rows if row.name == "w")
    expected = np.array([[0, 0.5], [0, 2], [-10, 0]])  # (q - z) * s by hand
    assert (row.dtype, row.role, row.filters, row.shape) == (np.dtype(dtype).name, "weight", 3, (3, 2, 1, 1))
    assert (row.min, row.max, row.mean) == (-10, 2, pytest.approx(expected.mean()))
    assert row.zeros == 0.5
    assert row.spectral_norm == pytest.approx(np.linalg.norm(expected, 2), rel=1e-5)


def test_weights_that_later_nodes_scale_lose_their_zero_point(tmp_path: Path) -> None:
    stored = np.array([120, 128, 130, 128, 128, 140], np.uint8).reshape(3, 2, 1, 1)
    (row,) = weight_statistics(_net(tmp_path, _DYNAMIC, w=stored, z=np.array(128, np.uint8))).rows
    assert (row.min, row.max, row.zeros, row.dtype) == (-8, 12, 0.5, "uint8")


@pytest.mark.parametrize("dtype", [np.float16, np.float64, ml_dtypes.bfloat16])
def test_other_float_types(tmp_path: Path, dtype: type) -> None:
    values = np.random.default_rng(0).normal(size=(4, 2, 3, 3)).astype(dtype)
    kind = {"float16": "float16", "float64": "double", "bfloat16": "bfloat16"}[np.dtype(dtype).name]
    text = f"""
    <ir_version: 10, opset_import: ["" : 22]>
    net ({kind}[1, 2, 9, 9] image) => ({kind}[1, 4, 7, 7] maps) <{kind}[4, 2, 3, 3] w> {{ maps = Conv (image, w) }}
    """
    model = _net(tmp_path, text, w=values)
    row = weight_statistics(model).rows[0]
    wide = values.astype(np.float64)
    assert row.dtype == np.dtype(dtype).name
    assert (row.min, row.max, row.std) == (wide.min(), wide.max(), pytest.approx(wide.std()))
    (path,) = export_weights(model, tmp_path / "out")
    assert (np.load(path).astype(np.float64) == wide).all()


def test_weights_in_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proto = tiny_models.model()
    inside = weight_statistics(load(tiny_models.save(tmp_path / "inside.onnx")))
    onnx.save_model(proto, tmp_path / "net.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    monkeypatch.setattr(tensors, "EMBED_LIMIT", 0)
    model = load(tmp_path / "net.onnx")
    assert isinstance(model.graph.weight("fc_w"), np.memmap)
    assert weight_statistics(model).to_json()["rows"] == inside.to_json()["rows"]


def test_a_shared_weight_is_one_row(tmp_path: Path) -> None:
    text = """
    <ir_version: 8, opset_import: ["" : 17]>
    net (float[1, 2, 4, 4] image) => (float[1, 2, 4, 4] maps) <float[2, 2, 1, 1] w>
    { [first] half = Conv (image, w) [second] maps = Conv (half, w) }
    """
    (row,) = weight_statistics(_net(tmp_path, text)).rows
    assert (row.layer, row.layers) == ("first", ("first", "second"))


def test_layers_are_found_by_any_name(shared: Callable[[str], Path]) -> None:
    model = load_model(shared, _DENSE)
    node = next(node for node in model.graph.nodes if "features.0.weight" in node.inputs)
    both = ["features.0.weight", "features.0.bias"]
    assert [row.name for row in weight_statistics(model, node.name).rows] == both
    assert [row.name for row in weight_statistics(model, node.outputs[0]).rows] == both
    assert [row.name for row in model.weights("features.0.bias").rows] == both[1:]
    with pytest.raises(InputError, match=r"no layer or weight is called features.0.wight; did you mean features.0.wei"):
        weight_statistics(model, "features.0.wight")
    pooling = next(node for node in model.graph.nodes if node.op == "MaxPool")
    with pytest.raises(InputError, match="has no weights"):
        weight_statistics(model, pooling.name)


def test_stored_tensors_that_are_no_weights(tmp_path: Path) -> None:
    text = """
    <ir_version: 8, opset_import: ["" : 17]>
    net (float[2, 6] x) => (float[3, 4] y) <int64[2] shape = {3, 4}> { y = Reshape (x, shape) }
    """
    model = _net(tmp_path, text)
    assert stored_weights(model.graph) == ()
    (row,) = weight_statistics(model, "shape").rows
    assert (row.role, row.dtype, row.min, row.max) == ("constant", "int64", 3.0, 4.0)


def test_export_is_exact_and_indexed(shared: Callable[[str], Path], tmp_path: Path) -> None:
    model = load_model(shared, _LENET)
    paths = export_weights(model, tmp_path / "out")
    index = json.loads((tmp_path / "out" / "index.json").read_text())["files"]
    assert sorted(index) == sorted(path.name for path in paths)
    assert len(list((tmp_path / "out").iterdir())) == len(paths) + 1
    for path in paths:
        stored = numpy_helper.to_array(model.graph.initializers[index[path.name]["tensor"]])
        np.testing.assert_array_equal(np.load(path), stored, strict=True)


def test_export_keeps_names_apart(tmp_path: Path) -> None:
    text = """
    <ir_version: 8, opset_import: ["" : 17]>
    net (float[2] x) => (float[2] y) <float[2] "a/b", float[2] "A:b", float[2] "../../a b">
    { p = Add (x, "a/b") q = Add (p, "A:b") y = Add (q, "../../a b") }
    """
    text = text.replace('"a/b"', "ab1").replace('"A:b"', "ab2").replace('"../../a b"', "ab3")
    proto = tiny_models.model(text)
    renamed = {"ab1": "a/b", "ab2": "A:b", "ab3": "../../a b"}
    for tensor in proto.graph.initializer:
        tensor.name = renamed[tensor.name]
    for node in proto.graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
    onnx.save(proto, tmp_path / "net.onnx")
    paths = export_weights(load(tmp_path / "net.onnx"), tmp_path / "out")
    assert [path.name for path in paths] == ["a_b.npy", "A_b-2.npy", "a_b-3.npy"]
    assert {path.parent for path in paths} == {tmp_path / "out"}


def test_results_are_plain_data(shared: Callable[[str], Path], tmp_path: Path) -> None:
    found = weight_statistics(load_model(shared, _LENET))
    assert json.loads(json.dumps(found.to_json()))["rows"][0]["name"] == found.rows[0].name
    found.save(tmp_path / "weights")
    assert (tmp_path / "weights.json").exists()
