"""Model: the shapes it assumes; Graph: types that do not believe the file, against ONNX's own test cases."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxray
import pytest
import tiny_models
from onnx import TensorProto, helper, parser
from onnxray import InputError
from onnxray.engine.structure.graph import Graph


def _load(tmp_path: Path, proto: onnx.ModelProto, **options: Any) -> onnxray.Model:
    path = tmp_path / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    return onnxray.load(path, **options)


IMAGE = """<ir_version: 8, opset_import: ["" : 17]>
    g (float[{dims}] image) => (float[] y) {{ y = Relu (image) }}"""


@pytest.mark.parametrize(
    ("dims", "options", "expected"),
    [
        ("N, 3, 20, 30", {}, (1, 3, 20, 30)),
        ("N, 3, H, W", {}, (1, 3, 224, 224)),
        ("N, 3, H, W", {"size": (20, 30)}, (1, 3, 20, 30)),
        ("N, 3, H, W", {"size": 32}, (1, 3, 32, 32)),
        ("N, C, H, W", {"channel_order": "GREY", "size": 28}, (1, 1, 28, 28)),
        ("N, H, W, 3", {"size": (20, 30)}, (1, 20, 30, 3)),
        ("N, 3, H, W", {"shapes": {"image": (4, 3, 20, 30)}}, (4, 3, 20, 30)),
        ("N, features", {}, (1, 1)),
    ],
)
def test_open_sizes_are_filled(tmp_path: Path, dims: str, options: dict[str, Any], expected: tuple[int, ...]) -> None:
    model = _load(tmp_path, parser.parse_model(IMAGE.format(dims=dims)), **options)
    assert model.input_shapes == {"image": expected}
    assert model.graph.shape("y") == expected


def test_stale_statements_about_inner_tensors_are_not_believed(tmp_path: Path) -> None:
    """The file says 7x7 and int64 of a tensor that is 1x2x8x8 floats; the answer is the convolution's arithmetic."""
    proto = tiny_models.model()
    proto.graph.value_info.append(helper.make_tensor_value_info("conv1", TensorProto.INT64, [7, 7]))
    proto.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 99
    graph = _load(tmp_path, proto).graph
    assert (graph.types["conv1"].dtype, graph.shape("conv1")) == ("float32", (1, 2, 8, 8))
    assert graph.shape("scores") == (1, 3)
    assert not graph.shape_note


CUSTOM = """<ir_version: 8, opset_import: ["" : 17, "com.example" : 1]>
    g (float[1, 3, 8, 8] image) => (float[1, 6, 4, 4] y)
    <float[1, 6, 4, 4] halved>
    { halved = com.example.Halve (image)
      y = Relu (halved) }"""


def test_the_file_is_believed_where_nothing_else_can_tell(tmp_path: Path) -> None:
    graph = _load(tmp_path, parser.parse_model(CUSTOM)).graph
    assert graph.shape("halved") == (1, 6, 4, 4)
    assert graph.shape("y") == (1, 6, 4, 4)
    assert "does not run" in graph.shape_note
    silent = parser.parse_model(CUSTOM)
    silent.graph.ClearField("value_info")
    silent.graph.output[0].type.tensor_type.ClearField("shape")
    graph = _load(tmp_path, silent).graph
    assert (graph.shape("halved"), graph.types["halved"].dtype) == (None, "unknown")


def test_shapes_that_need_a_run(tmp_path: Path) -> None:
    """The pads of a Pad are computed from the input: inference gives up, the run does not."""
    text = """<ir_version: 8, opset_import: ["" : 17]>
        g (float[1, 2, 8, 8] image) => (float[a, b, c, d] y) <int64[1] half = {2}, int64[4] zeros = {0, 0, 0, 0}>
        { s = Shape (image)
          side = Div (s, half)
          pads = Concat <axis = 0> (zeros, side)
          y = Pad (image, pads) }"""
    graph = _load(tmp_path, parser.parse_model(text)).graph
    assert graph.shape("y") == (1, 3, 12, 12)
    assert not graph.shape_note


def test_sizes_that_depend_on_the_image_stay_open(tmp_path: Path) -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]>
        g (float[1, 2, 8, 8] image) => (int64[n, 4] y) { places = NonZero (image)
        y = Transpose (places) }"""
    graph = _load(tmp_path, parser.parse_model(text)).graph
    assert graph.shape("y") == (None, 4)
    assert "depend on the image: places, y" in graph.shape_note


def test_constants_and_weights(tmp_path: Path) -> None:
    graph = _load(tmp_path, tiny_models.model()).graph
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in tiny_models.model().graph.initializer}
    for name, value in stored.items():
        np.testing.assert_array_equal(graph.weight(name), value)
        np.testing.assert_array_equal(graph.constant(name), value)
    assert graph.constant("conv1") is None
    with pytest.raises(InputError, match="did you mean conv1_w"):
        graph.weight("conv_w")


QUANTISED = """<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]>
    g (float[1, 3, 8, 8] image) => (float[1, 2, 8, 8] y)
    <float scale = {{0.1}}, uint8 zero = {{128}}, int8 zero_w = {{0}},
     int8[2, 3, 1, 1] w = {{1, 2, 3, 4, 5, 6}}, float wscale = {{0.01}}>
    {{ q = QuantizeLinear (image, scale, zero)
      {body} }}"""
QDQ = """dq = DequantizeLinear (q, scale, zero)
      dw = DequantizeLinear (w, wscale, zero_w)
      y = Conv (dq, dw)"""
QLINEAR = """c = QLinearConv (q, scale, zero, w, wscale, zero_w, scale, zero)
      a = com.microsoft.QLinearAdd (c, scale, zero, c, scale, zero, scale, zero)
      y = DequantizeLinear (a, scale, zero)"""


@pytest.mark.parametrize("body", [QDQ, QLINEAR], ids=["qdq", "qlinear"])
def test_quantised_graphs(tmp_path: Path, body: str) -> None:
    model = _load(tmp_path, parser.parse_model(QUANTISED.format(body=body)))
    assert model.graph.types["q"].dtype == "uint8"
    assert model.graph.shape("y") == (1, 2, 8, 8)
    assert not model.graph.shape_note
    assert model.session().run(np.ones((1, 3, 8, 8), np.float32))["y"].shape == (1, 2, 8, 8)


def test_half_precision(tmp_path: Path) -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]>
        g (float16[1, 3, 8, 8] image) => (float16[1, 3, 8, 8] y) { y = Sigmoid (image) }"""
    model = _load(tmp_path, parser.parse_model(text))
    assert model.graph.types["y"].dtype == "float16"
    assert model.session().run(np.zeros((1, 3, 8, 8), np.float32))["y"].dtype == np.float16


OPERATORS = (
    *("averagepool", "concat", "conv", "convtranspose", "depthtospace", "flatten", "gemm", "globalaveragepool"),
    *("instance_normalization", "lrn", "matmul", "maxpool", "prelu", "resize", "softmax", "split", "transpose"),
)


def _cases() -> Iterator[Any]:
    """ONNX's own tests of vision operators, made when their modules are imported; without those whose output shape
    depends on the values of an integer input (axes, pads), which no one can know from the file."""
    from onnx.backend.test.case import node

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in OPERATORS:
            import_module(f"{node.__name__}.{name}")
    for case in node._NodeTestCases:
        given = case.data_sets[0][0] if case.data_sets else []
        if given and all(isinstance(value, np.ndarray) and value.size and value.dtype.kind == "f" for value in given):
            yield case


def test_shapes_of_onnx_own_operator_tests(tmp_path: Path) -> None:
    checked = 0
    for case in _cases():
        graph: Graph = _load(tmp_path, case.model).graph
        for name, value in zip(graph.outputs, case.data_sets[0][1], strict=True):
            shape = graph.shape(name)
            if isinstance(value, np.ndarray) and shape is not None:
                assert len(shape) == value.ndim, case.name
                assert all(a in (None, b) for a, b in zip(shape, value.shape, strict=True)), case.name
                checked += None not in shape
    assert checked > 100
