"""TensorFlow checkpoints with their graph: what is the network in it, and where its variables are."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxray
import pytest
from conftest import REPOSITORY
from google.protobuf import text_format
from onnxray.importers.certificate import run_onnx
from onnxray.importers.errors import InputError
from onnxray.importers.sniff import recognise
from onnxray.importers.tensorflow.sliced import slice_key
from onnxray.importers.tensorflow.wire_schema import message_class
from tensorflow_checkpoints import write_checkpoint
from tensorflow_graphs import Net, saved_model, small
from tensorflow_runs import TENSORFLOW

PARTS = (((0, -1), (0, -1), (0, -1), (0, 3)), ((0, -1), (0, -1), (0, -1), (3, 1)))  # of the weights of `small`
WHOLE = ((0, -1),) * 4


def trained() -> Net:
    """`small` as it is while it is trained: variables, gradients, a loss against labels, accuracy, saving."""
    net = small()
    net.node("ArgMax", ["answer", net.ints(1)], "class", output_type="INT64", T="FLOAT32")
    net.input(np.zeros(1, np.int64), "labels")
    net.node("SparseSoftmaxCrossEntropyWithLogits", ["answer", "labels"], "xentropy", T="FLOAT32")
    net.node("Equal", ["class", "labels"], "right", T="INT64")
    net.node("ScalarSummary", ["tag", "right"], "summary")
    net.node("Fill", [net.ints([1]), "xentropy:1"], "gradients/Fill", T="FLOAT32")
    net.node("Mul", ["gradients/Fill", "answer"], "gradients/mul", T="FLOAT32")
    net.node("ApplyGradientDescent", ["w", "gradients/mul"], "train")
    net.node("SaveV2", ["prefix", "keys", "specs", "w"], "save")
    return net


def as_variable(net: Net, key: str, part: str = "", name: str = "w") -> np.ndarray:
    """Make the weights a variable that the graph restores from this key; returns what they were."""
    (node,) = [node for node in net.message.node if node.name == name]
    node.op = "VariableV2"
    del node.attr[:]
    for text, made in ((key, "keys"), (part, "specs")):
        tensor = net.message.node.add(name=f"{name}/{made}", op="Const").attr.add(key="value").value.tensor
        tensor.dtype, tensor.string_val[:] = 7, [text.encode()]
    net.node("RestoreV2", ["prefix", f"{name}/keys", f"{name}/specs"], f"{name}/restore")
    net.node("Assign", [name, f"{name}/restore"], f"{name}/assign")
    return net.values[name]


def write_meta(prefix: Path, net: Net, *, text: bool = False) -> Path:
    """PREFIX.meta"""
    meta = message_class("MetaGraph")()
    meta.meta_info_def.tensorflow_version = "1.15.0"
    meta.graph_def.CopyFrom(net.message)
    prefix.parent.mkdir(parents=True, exist_ok=True)
    path = prefix.with_name(f"{prefix.name}.meta")
    path.write_bytes(text_format.MessageToString(meta).encode() if text else meta.SerializeToString())
    return path


def result(proto: onnx.ModelProto, images: np.ndarray) -> np.ndarray:
    """The only output, of images channels last."""
    (entry,), (output,) = proto.graph.input, proto.graph.output
    fed = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    return run_onnx(proto, {entry.name: fed}, [output.name])[output.name]


@pytest.mark.parametrize("text", [False, True])
def test_a_checkpoint_is_read_with_its_graph(tmp_path: Path, text: bool) -> None:
    net = trained()
    weights = as_variable(net, "layer/kernel")
    prefix = tmp_path / "run" / "model.ckpt-7"
    meta = write_meta(prefix, net, text=text)
    with pytest.raises(InputError, match=r"weights are variables, but .* missing: .*model\.ckpt-7\.index"):
        onnxray.load(meta)
    write_checkpoint(prefix, {"layer/kernel": weights, "layer/kernel/Adam": weights * 0})
    write_meta(tmp_path / "run" / "model.ckpt-6", net)
    (tmp_path / "run" / "checkpoint").write_text('model_checkpoint_path: "/else/where/model.ckpt-7"\n')
    for path in (
        meta,
        prefix,
        meta.with_suffix(".index"),
        prefix.with_name("model.ckpt-7.data-00000-of-00001"),
        meta.parent,
    ):
        assert recognise(path) == "tensorflow"
        proto = onnxray.load(path).proto
        assert [value.name for value in (*proto.graph.input, *proto.graph.output)] == ["x", "answer"]
        assert np.allclose(result(proto, net.feeds["x"]), net.values["answer"], atol=1e-5)
    assert "model.ckpt-7.meta" in onnxray.load(meta.parent).source["sha256"]
    (named,) = onnxray.load(meta, output_names="relu").proto.graph.output
    assert named.name == "relu"


def test_an_average_does_not_stand_for_its_variable(tmp_path: Path) -> None:
    """A second saver restores averages in the place of what they are averages of."""
    net = small()
    weights = as_variable(net, "w")
    tensor = net.message.node.add(name="other", op="Const").attr.add(key="value").value.tensor
    tensor.dtype, tensor.string_val[:] = 7, [b"w/ExponentialMovingAverage"]
    net.node("RestoreV2", ["prefix", "other", "w/specs"], "restore_average")
    net.node("Assign", ["w", "restore_average"], "assign_average")
    write_checkpoint(tmp_path / "net", {"w": weights, "w/ExponentialMovingAverage": weights * 0})
    proto = onnxray.load(write_meta(tmp_path / "net", net)).proto
    assert np.allclose(result(proto, net.feeds["x"]), net.values["answer"], atol=1e-5)


@pytest.mark.parametrize("slices", [(WHOLE,), PARTS])
def test_partitioned_variables(tmp_path: Path, slices: Any) -> None:
    """The graph asks for parts; the checkpoint holds these, others, or the whole."""
    net = small()
    whole = net.values["w"]
    (node,) = [node for node in net.message.node if node.name == "w"]
    net.message.node.remove(node)
    for number, (start, length) in enumerate(((0, 3), (3, 1))):
        name = f"w/part_{number}"
        net.constant(whole[..., start : start + length], name=name)
        as_variable(net, "w", f"3 3 3 4 -:-:-:{start},{length}", name)
    net.node("ConcatV2", ["w/part_0", "w/part_1", net.ints(3)], "w", T="FLOAT32", N=2)
    meta = write_meta(tmp_path / "net", net)
    for kept in ({"w": slices}, None):
        write_checkpoint(tmp_path / "net", {"w": whole}, kept)
        assert np.allclose(result(onnxray.load(meta).proto, net.feeds["x"]), net.values["answer"], atol=1e-5)


def test_keys_of_slices_are_tensorflows() -> None:
    """As tf.train.Saver of TensorFlow 2.21 wrote them."""
    made = slice_key("dense/w", ((0, 6), (67, 66)))
    assert made.encode("utf-8", "surrogateescape") == b"\0dense/w\0\1\1\2\x80\x86\xc0\x43\xc0\x42"


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        (PARTS[:1], "do not fill its shape"),
        ((*PARTS, WHOLE), "overlap"),
        ((((0, -1), (0, -1), (0, -1), (0, 5)),), "lacks"),
        ((((0, -1),),), "lacks"),
    ],
)
def test_slices_that_do_not_fit_are_refused(tmp_path: Path, listed: Any, message: str) -> None:
    net = small()
    weights = as_variable(net, "w")
    write_checkpoint(tmp_path / "net", {"w": weights, "other": weights}, {"w": listed})
    with pytest.raises(InputError, match=message):
        onnxray.load(write_meta(tmp_path / "net", net))


def test_a_loss_of_the_users_own_needs_names(tmp_path: Path) -> None:
    net = small()
    net.input(np.zeros((1, 4), np.float32), "wanted")
    net.node("SquaredDifference", ["answer", "wanted"], "apart", T="FLOAT32")
    net.node("Mean", ["apart", net.ints([0, 1])], "loss", T="FLOAT32", Tidx="INT32")
    net.node("Mul", [net.constant(1.0), "apart"], "gradients/mul", T="FLOAT32")
    path = write_meta(tmp_path / "net", net)
    with pytest.raises(InputError, match="a loss of the user's own; --output-names: loss, apart, answer"):
        onnxray.load(path)
    proto = onnxray.load(path, output_names="answer").proto
    assert np.allclose(result(proto, net.feeds["x"]), net.values["answer"], atol=1e-5)


def test_variables_are_found_on_their_path_through_the_saved_objects(tmp_path: Path) -> None:
    """As of `tf.saved_model.save` of a Keras 3 model: what is restored is a copy that nothing reads."""
    net = small()
    weights = as_variable(net, "layers/0/_kernel", name="w")
    net.message.node[-1].input[0] = "copy"
    message = saved_model(net, {"inputs": {"image": "x"}, "outputs": {"scores": "answer"}})
    stored = message_class("Trackables")()
    objects = message.meta_graphs[0].object_graph_def
    for graph in (objects, stored):
        graph.nodes.add().children.add(local_name="layers", node_id=1)
        graph.nodes.add().children.add(local_name="_kernel", node_id=2)
    objects.nodes[1].children[0].node_id = 3
    objects.nodes.add()
    objects.nodes.add().variable.name = "w"
    stored.nodes.add().attributes.add(name="VARIABLE_VALUE", checkpoint_key="layers/0/_kernel")
    (tmp_path / "saved_model.pb").write_bytes(message.SerializeToString())
    prefix, key = tmp_path / "variables" / "variables", "_CHECKPOINTABLE_OBJECT_GRAPH"
    write_checkpoint(prefix, {"layers/0/_kernel": weights}, None, {key: stored.SerializeToString()})
    assert np.allclose(result(onnxray.load(tmp_path).proto, net.feeds["x"]), net.values["answer"], atol=1e-5)
    for damaged in (b"\xff" * 9, message_class("Trackables")().SerializeToString()):
        write_checkpoint(prefix, {"layers/0/_kernel": weights}, None, {key: damaged})
        with pytest.raises(InputError, match="damaged"):
            onnxray.load(tmp_path)


@pytest.mark.skipif(not TENSORFLOW, reason="ONNXRAY_TENSORFLOW_PYTHON names no Python with TensorFlow")
def test_what_tensorflow_saves(tmp_path: Path) -> None:
    subprocess.run([TENSORFLOW, REPOSITORY / "tests/tensorflow_savers.py", tmp_path], check=True)
    for name in ("trained", "keras"):
        with np.load(tmp_path / f"{name}.npz") as stored:
            images, expected = stored["x"], stored["y"]
        proto = onnxray.load(tmp_path / name, shapes={"": images.transpose(0, 3, 1, 2).shape}).proto
        assert np.abs(result(proto, images) - expected).max() < 1e-5
    shutil.rmtree(tmp_path / "keras" / "variables")
    with pytest.raises(InputError, match="missing"):
        onnxray.load(tmp_path / "keras")
