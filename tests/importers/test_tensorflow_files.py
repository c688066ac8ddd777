"""TensorFlow files: binary and text, functions and branches, SavedModels with constants and with variables."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxray
import pytest
from google.protobuf import text_format
from onnxray.importers.certificate import certify, run_onnx
from onnxray.importers.errors import InputError
from onnxray.importers.sniff import recognise
from onnxray.importers.tensorflow import tensorflow_oracle
from tensorflow_checkpoints import write_checkpoint
from tensorflow_graphs import VALID, Net, call, saved, small, with_function, write
from tensorflow_references import conv2d, space_to_batch


def ops(proto: onnx.ModelProto) -> Counter[str]:
    """Operator -> how many."""
    return Counter(node.op_type for node in proto.graph.node)


def run(proto: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All outputs; images given channels last."""
    turned = {name: value.transpose(0, 3, 1, 2) if value.ndim == 4 else value for name, value in feeds.items()}
    return run_onnx(proto, turned, [value.name for value in proto.graph.output])


def shape(value: onnx.ValueInfoProto) -> list[int | str]:
    """Of a graph input or output."""
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


@pytest.mark.parametrize("name", ["net.pb", "net.pbtxt", "photo.jpg"])
def test_binary_and_text_are_told_by_content(tmp_path: Path, name: str) -> None:
    net, path = small(), tmp_path / name
    path.write_text(text_format.MessageToString(net.message)) if "txt" in name else write(path, net)
    assert recognise(path) == "tensorflow"
    model = onnxray.load(path)
    assert ops(model.proto) == {"Conv": 1, "Relu": 1, "ReduceMean": 1}
    assert [(value.name, shape(value)) for value in model.proto.graph.input] == [("x", ["N", 3, 6, 5])]
    assert np.allclose(run(model.proto, net.feeds)["answer"], net.values["answer"], atol=1e-5)
    assert model.source["format"] == "tensorflow"
    assert model.spec.layout == "NCHW"


def test_a_binary_graph_may_lack_zeros_and_hold_brackets(tmp_path: Path) -> None:
    net = Net()
    x = net.input(np.full((1, 2), 0.1, np.float32), "image")
    net.add("AddV2", [x, net.constant(np.frombuffer(b"{{{{", "<f4"))], net.values[x], "end")
    assert b"\0" not in net.message.SerializeToString()
    (tmp_path / "net.pb").write_bytes(net.message.SerializeToString())
    assert recognise(tmp_path / "net.pb") == "tensorflow"


def test_a_certificate_by_opencv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorflow_oracle, "find_python", lambda: None)
    path = write(tmp_path / "net.pb", small())
    certificate = certify(path, None, onnxray.load(path).proto, per_layer=True)
    assert certificate.verified, certificate
    assert certificate.reads == "the original file"
    assert {row.name for row in certificate.inner} == {"conv", "relu"}


def test_outputs_can_be_named(tmp_path: Path) -> None:
    net = small()
    path = write(tmp_path / "net.pb", net)
    proto = onnxray.load(path, output_names="relu, answer:0").proto
    assert [(value.name, shape(value)) for value in proto.graph.output] == [
        ("relu", ["N", 4, 4, 3]),
        ("answer", ["N", 4]),
    ]
    assert np.allclose(run(proto, net.feeds)["relu"].transpose(0, 2, 3, 1), net.values["relu"], atol=1e-5)


def test_a_batch_and_open_sizes_can_be_said(tmp_path: Path) -> None:
    net = small()
    for side in net.message.node[0].attr[1].value.shape.dim:
        side.size = -1
    path = write(tmp_path / "net.pb", net)
    with pytest.raises(InputError, match="say it with --shape"):
        onnxray.load(path)
    assert shape(onnxray.load(path, shapes={"": (2, 3, 9, 8)}).proto.graph.input[0]) == [2, 3, 9, 8]
    net.message.node[0].attr[1].value.shape.dim[3].size = 3
    write(path, net)
    assert shape(onnxray.load(path, size=(7, 6)).proto.graph.input[0]) == ["N", 3, 7, 6]


def test_frozen_dropout_is_resolved(tmp_path: Path) -> None:
    """Only the branch of a flag's default is there; what the other one needs may be unknown."""
    net = small()
    flag = net.node("PlaceholderWithDefault", [net.constant(False, bool)], dtype="BOOL", shape=())
    switch = net.node("Switch", ["answer", flag], "switch", T="FLOAT32")
    noise = net.node("RandomUniform", [net.ints([1, 4]), f"^{switch}"], T="INT32", dtype="FLOAT32")
    dropped = net.node("Mul", [f"{switch}:1", noise], T="FLOAT32")
    net.node("Merge", [switch, dropped], "merged", T="FLOAT32", N=2)
    net.node("Softmax", ["merged"], "end", T="FLOAT32")
    net.node("Assert", [flag, "end"], T=["FLOAT32"])
    proto = onnxray.load(write(tmp_path / "net.pb", net)).proto
    assert ops(proto) == {"Conv": 1, "Relu": 1, "ReduceMean": 1, "Softmax": 1}
    assert [value.name for value in proto.graph.output] == ["end"]


def test_a_dilated_convolution_is_one_node(tmp_path: Path) -> None:
    net = Net()
    x = net.input(net.numbers(1, 8, 8, 3), "x")
    block, pads = net.ints([2, 2]), net.ints([[2, 2], [2, 2]])
    spread = net.add("SpaceToBatchND", [x, block, pads], space_to_batch(net.values[x], (2, 2), [(2, 2)] * 2))
    w = net.constant(net.numbers(3, 3, 3, 4))
    value = conv2d(net.values[x], net.values[w], (1, 1), (2, 2), [(2, 2)] * 2)
    conv = net.node("Conv2D", [spread, w], T="FLOAT32", **VALID)
    net.node("BatchToSpaceND", [conv, block, net.ints([[0, 0], [0, 0]])], "y", T="FLOAT32")
    proto = onnxray.load(write(tmp_path / "net.pb", net)).proto
    assert ops(proto) == {"Conv": 1}
    found = run(proto, net.feeds)["y"].transpose(0, 2, 3, 1)
    assert np.allclose(found, value, atol=1e-5)


def test_what_the_file_has_channels_first_stays_so(tmp_path: Path) -> None:
    net = Net()
    x = net.input(net.numbers(1, 3, 6, 5), "x")
    last = net.add("Transpose", [x, net.ints([0, 2, 3, 1])], net.values[x].transpose(0, 2, 3, 1))
    y = net.add("Relu", [last], np.maximum(net.values[last], 0))
    w = net.constant(net.numbers(1, 1, 3, 4))
    y = net.node("Conv2D", [y, w], T="FLOAT32", **VALID)
    net.node("Transpose", [y, net.ints([0, 3, 1, 2])], "end", T="FLOAT32")
    proto = onnxray.load(write(tmp_path / "net.pb", net)).proto
    assert ops(proto) == {"Relu": 1, "Conv": 1}
    assert [shape(value) for value in (*proto.graph.input, *proto.graph.output)] == [[1, 3, 6, 5], [1, 4, 6, 5]]


def test_functions_are_put_in_place(tmp_path: Path) -> None:
    net = small()
    inner = with_function(net, "inner", output="double:z:0")
    inner.node_def.add(name="double", op="AddV2", input=["a", "a"]).attr.add(key="T").value.type = 1
    outer = with_function(net, "outer", output="second:output:0")
    for name, source in (("first", "a"), ("second", "first:output:0")):
        called = outer.node_def.add(name=name, op="PartitionedCall", input=[source])
        called.attr.add(key="f").value.func.name = "inner"
    call(net, "StatefulPartitionedCall", ["answer"], "end", f="outer")
    proto = onnxray.load(write(tmp_path / "net.pb", net)).proto
    assert ops(proto)["Add"] == 2
    assert np.allclose(run(proto, net.feeds)["end"], 4 * net.values["answer"], atol=1e-5)


def test_a_branch_that_is_known_is_taken(tmp_path: Path) -> None:
    net = small()
    for name, op in (("yes", "Neg"), ("no", "NobodyKnowsThis")):
        function = with_function(net, name, output="made:y:0")
        function.node_def.add(name="made", op=op, input=["a"]).attr.add(key="T").value.type = 1
    rank = net.node("Rank", ["answer"], T="FLOAT32")
    flag = net.node("Equal", [rank, net.ints(2)], T="INT32")
    call(net, "StatelessIf", [flag, "answer"], "end", then_branch="yes", else_branch="no")
    proto = onnxray.load(write(tmp_path / "net.pb", net)).proto
    assert np.allclose(run(proto, net.feeds)["end"], -net.values["answer"], atol=1e-5)


def test_a_saved_model_is_called_by_its_signature(tmp_path: Path) -> None:
    net = small()
    folder = saved(tmp_path / "model", net)
    for path in (folder, folder / "saved_model.pb"):
        assert recognise(path) == "tensorflow"
        proto = onnxray.load(path).proto
        assert [value.name for value in (*proto.graph.input, *proto.graph.output)] == ["image", "scores"]
        assert np.allclose(run(proto, {"image": net.feeds["x"]})["scores"], net.values["answer"], atol=1e-5)
    assert "saved_model.pb" in onnxray.load(folder).source["sha256"]
    with pytest.raises(InputError, match=r"no signature or function is called other; .*serving_default"):
        onnxray.load(folder, signature="other")


def test_variables_come_from_the_checkpoint(tmp_path: Path) -> None:
    """As TensorFlow restores them: the graph says which key each variable has."""
    net = small()
    weights, (w,) = net.values["w"], [node for node in net.message.node if node.name == "w"]
    w.op = "VarHandleOp"
    del w.attr[:]
    net.node("ReadVariableOp", ["w"], "read", dtype="FLOAT32")
    (conv,) = [node for node in net.message.node if node.name == "conv"]
    conv.input[1] = "read"
    names = net.message.node.add(name="names", op="Const").attr.add(key="value").value.tensor
    names.dtype, names.string_val[:] = 7, [b"other", b"layer/kernel"]
    net.node("RestoreV2", ["prefix", "names", "slices"], "restore")
    net.node("Identity", ["restore:1"], "restored")
    net.node("AssignVariableOp", ["w", "restored"])
    folder = saved(tmp_path / "model", net)
    with pytest.raises(InputError, match=r"weights are variables, but .* missing: .*variables\.index"):
        onnxray.load(folder)
    variables = {"layer/kernel": weights, "layer/bias": np.zeros(4, np.float32), "other": weights[:1]}
    write_checkpoint(folder / "variables" / "variables", variables)
    proto = onnxray.load(folder).proto
    assert np.allclose(run(proto, {"image": net.feeds["x"]})["scores"], net.values["answer"], atol=1e-5)
    data = folder / "variables" / "variables.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-16])
    onnxray.load(folder)  # the end belongs to a variable that nothing reads
    data.write_bytes(b"")
    with pytest.raises(InputError, match="layer/kernel claims 432 bytes at 16"):
        onnxray.load(folder)
    index = folder / "variables" / "variables.index"
    for damaged in (b"", index.read_bytes()[:60], index.read_bytes()[9:], bytes(200)):
        index.write_bytes(damaged)
        with pytest.raises(InputError, match="expected a checkpoint's index"):
            onnxray.load(folder)
