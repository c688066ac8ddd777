"""ONNX files: real ones load, damaged ones give one clear error, whatever the damage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxray
import pytest
import tiny_models
from model_specs import MODEL_SPECS, load_model
from onnx import TensorProto, helper, numpy_helper, parser
from onnx.reference import ReferenceEvaluator
from onnxray.importers import load, onnx_file
from onnxray.importers.errors import InputError
from onnxray.importers.onnx_file import write
from onnxray.importers.opset import changed_operators, lowered

REAL = [name for name in MODEL_SPECS if name.endswith(".onnx")]


@pytest.mark.parametrize("name", REAL)
def test_real_files_load_with_every_shape_known(shared, name: str) -> None:
    model = load_model(shared, name)
    assert not model.graph.shape_note
    assert all(model.graph.types[tensor].is_known for node in model.graph.nodes for tensor in node.outputs if tensor)
    assert model.source["sha256"].keys() == {Path(name).name}


@pytest.mark.parametrize("name", REAL)
def test_real_files_keep_their_function(shared, name: str) -> None:
    """onnxruntime on the untouched file against onnxruntime on what we made of it."""
    import onnxruntime

    model = load_model(shared, name)
    generator = np.random.default_rng(0)
    feeds = {key: generator.normal(size=shape).astype(np.float32) for key, shape in model.input_shapes.items()}
    sources = (shared(name).read_bytes(), model.proto.SerializeToString())
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    before, after = (
        onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"]).run(None, feeds)
        for source in sources
    )
    for one, two in zip(before, after, strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-5)


def test_weights_in_constant_nodes_are_found(shared) -> None:
    """The Paddle export of PP-OCRv4 keeps all its weights in Constant nodes."""
    path = shared("models/onnx/ppocr_v4_rec_svtr/ch_PP-OCRv4_rec_infer.onnx")
    proto = onnx.load(path)
    stored = sum(node.op_type == "Constant" for node in proto.graph.node)
    assert not proto.graph.initializer
    loaded = load(path)
    assert len(loaded.graph.initializer) == stored
    assert not any(node.op_type == "Constant" for node in loaded.graph.node)


def test_a_truncated_file_is_an_error_wherever_it_is_cut(shared, tmp_path: Path) -> None:
    """Cut at every byte of the head and tail and at many places between. Only cuts after the operator set, the last
    thing this file says, leave a whole model."""
    data = shared("models/onnx/ultraface_rfb320/version-RFB-320.onnx").read_bytes()
    places = [*range(1, 200), *range(200, len(data), len(data) // 150), *range(len(data) - 60, len(data))]
    path = tmp_path / "cut.onnx"
    whole = 0
    for place in places:
        path.write_bytes(data[:place])
        try:
            onnxray.load(path)
            whole += 1
        except InputError as error:
            assert "truncated or damaged" in str(error), (place, str(error))
    assert whole == 0


def test_a_file_cut_between_two_fields_is_an_error(tmp_path: Path) -> None:
    """Protobuf itself takes such a file for a whole one."""
    proto = tiny_models.model()
    for field, part in (("graph", "no graph"), ("opset_import", "no operator set")):
        broken = onnx.ModelProto()
        broken.CopyFrom(proto)
        broken.ClearField(field)
        (tmp_path / "m.onnx").write_bytes(broken.SerializeToString())
        with pytest.raises(InputError, match=f"{part}.*truncated or damaged"):
            load(tmp_path / "m.onnx")


def test_a_companion_is_refused(tmp_path: Path) -> None:
    path = tiny_models.save(tmp_path / "m.onnx")
    with pytest.raises(InputError, match="one file"):
        load(path, companion=path)


def _with_weight(tmp_path: Path, tensor: TensorProto) -> Path:
    proto = parser.parse_model("""<ir_version: 8, opset_import: ["" : 17]>
        g (float[1] x) => (float[1] y) { y = Mul (x, w) }""")
    tensor.name = "w"
    proto.graph.initializer.append(tensor)
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())
    return tmp_path / "m.onnx"


@pytest.mark.parametrize("dims", [[1 << 60], [1 << 31, 1 << 31, 1 << 31], [1 << 62] * 20, [2], []])
@pytest.mark.parametrize("data_type", [TensorProto.FLOAT, TensorProto.INT4, TensorProto.BFLOAT16])
@pytest.mark.parametrize("raw", [True, False])
def test_a_tensor_that_claims_more_than_it_holds(tmp_path: Path, dims: list[int], data_type: int, raw: bool) -> None:
    tensor = TensorProto(data_type=data_type, dims=dims)
    if raw:
        tensor.raw_data = b"\0" * 40
    with pytest.raises(InputError, match=r"tensor w: its shape .* claims"):
        load(_with_weight(tmp_path, tensor))


def test_more_axes_than_any_array_has(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="tensor w: has 1000 axes"):
        load(_with_weight(tmp_path, TensorProto(data_type=TensorProto.FLOAT, dims=[1 << 62] * 1000)))


def test_a_negative_size_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="negative size"):
        load(_with_weight(tmp_path, TensorProto(data_type=TensorProto.FLOAT, dims=[-1])))


def test_strings_that_are_no_text(tmp_path: Path) -> None:
    tensor = TensorProto(data_type=TensorProto.STRING, dims=[1], string_data=[b"\xff"])
    with pytest.raises(InputError, match="not UTF-8"):
        load(_with_weight(tmp_path, tensor))


def test_names_of_any_length_do_not_hang_an_error(tmp_path: Path) -> None:
    """Comparing two names of a megabyte letter by letter would take hours."""
    proto = tiny_models.model()
    proto.graph.node[0].input[0] = "ab" * 500_000
    proto.graph.node[0].output[0] = "ba" * 500_000
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(InputError) as caught:
        load(tmp_path / "m.onnx")
    assert len(str(caught.value)) < 700


def test_every_element_type_is_read_back_from_both_storages(tmp_path: Path) -> None:
    """Values through onnx's own writer, in raw and in typed fields, give the same array here."""
    skipped = {TensorProto.UNDEFINED, TensorProto.STRING}
    for data_type in set(TensorProto.DataType.values()) - skipped:
        kind = helper.tensor_dtype_to_np_dtype(data_type)
        values = np.asarray([1, 0, 1, 1, 0]).astype(kind)
        for tensor in (numpy_helper.from_array(values), helper.make_tensor("w", data_type, [5], values)):
            loaded = load(_with_weight(tmp_path, tensor))
            assert numpy_helper.to_array(loaded.graph.initializer[0]).tobytes() == values.tobytes(), kind


@pytest.mark.parametrize("seed", range(10))
def test_mutated_files_give_a_model_or_an_input_error(tmp_path: Path, seed: int) -> None:
    """Any other exception, and any crash, is a bug. The model has a function, an If, constants and metadata."""
    data = np.frombuffer(parser.parse_model(RICH).SerializeToString(), np.uint8)
    generator = np.random.default_rng(seed)
    outcomes = set()
    for _ in range(40):
        mutated = data.copy()
        places = generator.integers(len(data), size=generator.integers(1, 4))
        mutated[places] = generator.integers(256, size=len(places), dtype=np.uint8)
        (tmp_path / "m.onnx").write_bytes(mutated.tobytes())
        try:
            graph = onnxray.load(tmp_path / "m.onnx").graph
            assert all(graph.constant(name) is not None for name in graph.initializers)
            outcomes.add("model")
        except InputError as error:
            assert "\n" not in str(error)
            outcomes.add("error")
    assert outcomes == {"model", "error"}


RICH = """
<ir_version: 8, opset_import: ["" : 17, "local" : 1],
 metadata_props: ["Image.BitmapPixelFormat" : "Bgr8", "names" : "{0: 'a', 1: 'b'}"]>
g (float[N, 3, H, 8] x) => (float[N, 2] y, int64[k, 4] found)
<float[2, 3, 1, 1] w = {1, 2, 3, 4, 5, 6}, int64[2] shape = {-1, 2}>
{
    a = local.f (x)
    c = Conv <kernel_shape = [1, 1]> (a, w)
    places = NonZero (c)
    found = Transpose (places)
    yes = Constant <value = bool[1] {1}> ()
    i = If (yes) <then_branch = t () => (float[N, 2, H, 8] u) { u = Relu (c) },
                  else_branch = e () => (float[N, 2, H, 8] v) { v = Sigmoid (c) }>
    p = ReduceMean <axes = [2, 3], keepdims = 0> (i)
    y = Reshape (p, shape)
}
<domain: "local", opset_import: ["" : 13]>
f (u) => (v) { t = Relu (u)
 v = Identity (t) }
"""


def test_a_newer_opset_is_renumbered_where_nothing_changed(tmp_path: Path) -> None:
    proto = tiny_models.model()
    proto.opset_import[0].version, proto.ir_version = 28, 14
    refusal = "Unsupported model IR version: 14, max supported IR version: 13"
    older = lowered(proto, refusal)
    assert (older.ir_version, proto.ir_version) == (13, 14)
    older = lowered(older, "Current official support for domain ai.onnx is till opset 26.")
    assert older.opset_import[0].version == 26
    x = np.random.default_rng(0).normal(size=(1, 1, 8, 8)).astype(np.float32)
    path = tmp_path / "new.onnx"
    path.write_bytes(proto.SerializeToString())
    expected = ReferenceEvaluator(proto).run(None, {"image": x})[0]
    np.testing.assert_allclose(onnxray.load(path).session().run(x)["scores"], expected, rtol=1e-5, atol=1e-6)


def test_an_operator_without_an_older_form_is_named() -> None:
    proto = parser.parse_model("""<ir_version: 10, opset_import: ["" : 20]>
        g (float[1] x) => (float[1] y) { y = Gelu (x) }""")
    with pytest.raises(InputError, match=r"Gelu.*onnxruntime"):
        lowered(proto, "support for domain ai.onnx is till opset 17")


def test_what_changed_between_opsets() -> None:
    """From ONNX's changelog: Softmax's axis changed in 13, Relu only took more types in 14, Split got num_outputs."""
    nodes = [helper.make_node(name, ["x"], ["y"]) for name in ("Softmax", "Relu", "Split", "Conv")]
    assert changed_operators(nodes, 12, 17) == ["Softmax", "Split"]
    assert changed_operators(nodes, 13, 17) == []
    assert changed_operators(nodes, 17, 18) == ["Split"]


def test_weights_are_written_one_by_one_as_protobuf_writes_all(tmp_path: Path) -> None:
    proto = load(tiny_models.save(tmp_path / "tiny.onnx"))
    proto.graph.initializer.append(numpy_helper.from_array(np.zeros((70_000, 1), np.float32), "long"))
    proto.graph.initializer.append(TensorProto(name="empty", data_type=TensorProto.FLOAT, dims=[0]))
    write(proto, tmp_path / "written.onnx", None)
    assert (tmp_path / "written.onnx").read_bytes() == proto.SerializeToString()
    del proto.graph.initializer[:]
    write(proto, tmp_path / "bare.onnx", None)
    assert (tmp_path / "bare.onnx").read_bytes() == proto.SerializeToString()


def test_a_graph_too_large_for_a_file_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proto = load(tiny_models.save(tmp_path / "tiny.onnx"))
    monkeypatch.setattr(onnx_file, "_LIMIT", len(proto.SerializeToString()))
    with pytest.raises(InputError, match="less than 2 GiB"):
        write(proto, tmp_path / "written.onnx", None)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.onnx"]
