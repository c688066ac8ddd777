"""TensorFlow files that are damaged, hostile or beyond what is supported: one line each, that says what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxray
import pytest
from onnxray.importers.errors import InputError
from onnxray.importers.tensorflow.writer import write_attribute
from tensorflow_graphs import Net, call, saved, saved_model, small, with_function, write


def test_unknown_operators_are_all_named(tmp_path: Path) -> None:
    net = small()
    first = net.node("NonMaxSuppressionV3", ["answer"])
    again = net.node("NonMaxSuppressionV3", ["relu"])
    net.node("Betainc", [first, again], "end")
    message = r"operators that are not supported: NonMaxSuppressionV3 \(2\), Betainc \(1\); nothing was written"
    with pytest.raises(InputError, match=message):
        onnxray.load(write(tmp_path / "net.pb", net))


def test_a_branch_by_what_the_network_computes_is_named(tmp_path: Path) -> None:
    net = small()
    most = net.node("Max", ["answer", net.ints([0, 1])], T="FLOAT32", keep_dims=False)
    flag = net.node("Greater", [most, net.constant(0.5)], T="FLOAT32")
    switch = net.node("Switch", ["answer", flag], T="FLOAT32")
    net.node("Merge", [switch, f"{switch}:1"], "end", T="FLOAT32")
    with pytest.raises(InputError, match="Switch by what the network computes"):
        onnxray.load(write(tmp_path / "net.pb", net))


def test_branches_of_unlike_outputs_are_refused(tmp_path: Path) -> None:
    net = small()
    for name in ("one", "two"):
        function = with_function(net, name, output="made:y:0")
        function.node_def.add(name="made", op="Neg", input=["a"]).attr.add(key="T").value.type = 1
    function.signature.output_arg.add(name="more", type=1)
    function.ret.add(key="more", value="made:y:0")
    flag = net.node("Equal", [net.ints(1), net.ints(2)], T="INT32")
    call(net, "StatelessIf", [flag, "answer"], "end", then_branch="one", else_branch="two")
    with pytest.raises(InputError, match="node end: its branches have 1 and 2 outputs"):
        onnxray.load(write(tmp_path / "net.pb", net))


def test_loops_are_refused(tmp_path: Path) -> None:
    net = small()
    net.node("Merge", ["answer", "next"], "merge", T="FLOAT32")
    net.node("NextIteration", ["merge"], "next", T="FLOAT32")
    net.node("Exit", ["merge"], "end", T="FLOAT32")
    with pytest.raises(InputError, match=r"make a loop; loops \(While, Enter\) are not supported"):
        onnxray.load(write(tmp_path / "net.pb", net))


def test_functions_that_call_themselves_are_refused(tmp_path: Path) -> None:
    net = small()
    function = with_function(net, "again", output="inner:output:0")
    function.node_def.add(name="inner", op="PartitionedCall", input=["a"]).attr.add(key="f").value.func.name = "again"
    call(net, "PartitionedCall", ["answer"], "end", f="again")
    with pytest.raises(InputError, match="functions call each other too deep, or themselves"):
        onnxray.load(write(tmp_path / "net.pb", net))


def test_functions_that_double_are_refused(tmp_path: Path) -> None:
    """Thirty functions, each calling the next one twice."""
    net = small()
    for number in range(30):
        function = with_function(net, f"f{number}", output="two:output:0")
        for name, source in (("one", "a"), ("two", "one:output:0")):
            node = function.node_def.add(name=name, op="PartitionedCall", input=[source])
            node.attr.add(key="f").value.func.name = f"f{number + 1}"
    function = with_function(net, "f30", output="end:y:0")
    function.node_def.add(name="end", op="Neg", input=["a"]).attr.add(key="T").value.type = 1
    call(net, "PartitionedCall", ["answer"], "end", f="f0")
    with pytest.raises(InputError, match="make more than 200000 nodes"):
        onnxray.load(write(tmp_path / "net.pb", net))


def test_a_function_that_is_not_there(tmp_path: Path) -> None:
    net = small()
    call(net, "PartitionedCall", ["answer"], "end", f="lost")
    with pytest.raises(InputError, match="calls the function lost with 1 inputs, which the file lacks"):
        onnxray.load(write(tmp_path / "net.pb", net))


def test_a_node_that_is_not_there(tmp_path: Path) -> None:
    net = small()
    net.node("Relu", ["nowhere"], "end", T="FLOAT32")
    with pytest.raises(InputError, match="a node reads nowhere, which the file lacks"):
        onnxray.load(write(tmp_path / "net.pb", net), output_names="end")


def test_output_names_that_do_not_fit(tmp_path: Path) -> None:
    path = write(tmp_path / "net.pb", small())
    with pytest.raises(InputError, match="no node is called answr; did you mean answer"):
        onnxray.load(path, output_names="answr")
    with pytest.raises(InputError, match="signature is for SavedModels"):
        onnxray.load(path, signature="serving_default")
    with pytest.raises(InputError, match="a SavedModel's signature says its outputs"):
        onnxray.load(saved(tmp_path / "model", small()), output_names="answer")
    with pytest.raises(InputError, match="has no second half"):
        onnxray.load(path, companion=path)


def test_a_graph_without_an_input_or_output(tmp_path: Path) -> None:
    net = Net()
    net.node("Relu", [net.constant([1.0])], "end", T="FLOAT32")
    with pytest.raises(InputError, match="that depends on a placeholder, found end; say it with --output-names"):
        onnxray.load(write(tmp_path / "net.pb", net))


def test_several_signatures_are_listed(tmp_path: Path) -> None:
    message = saved_model(small(), {"inputs": {"image": "x"}, "outputs": {"scores": "answer"}}, "one")
    message.meta_graphs[0].signature_def.add(key="two").value.CopyFrom(message.meta_graphs[0].signature_def[0].value)
    (tmp_path / "saved_model.pb").write_bytes(message.SerializeToString())
    with pytest.raises(InputError, match="expected one signature or function, found one, two; say which"):
        onnxray.load(tmp_path)
    assert onnxray.load(tmp_path, signature="two").proto.graph.output[0].name == "scores"


def test_a_saved_model_without_anything_to_call(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(saved_model(small()).SerializeToString())
    with pytest.raises(InputError, match="expected one signature or function, found none"):
        onnxray.load(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01")
    with pytest.raises(InputError, match="holds no graph"):
        onnxray.load(tmp_path)


def test_training_graphs_are_refused(tmp_path: Path) -> None:
    net = small()
    constants = [net.constant(np.ones(4)) for _ in range(4)]
    net.node("FusedBatchNormV3", ["relu", *constants], "end", T="FLOAT32", is_training=True)
    with pytest.raises(InputError, match=r"normalises by the batch itself \(is_training\)"):
        onnxray.load(write(tmp_path / "net.pb", net))


def test_variables_without_a_checkpoint(tmp_path: Path) -> None:
    net = small()
    net.node("VariableV2", [], "v", dtype="FLOAT32", shape=(4,))
    net.node("AddV2", ["answer", "v"], "end", T="FLOAT32")
    with pytest.raises(InputError, match=r"weights are variables \(v\).*pass the folder of a SavedModel, or the .meta"):
        onnxray.load(write(tmp_path / "net.pb", net))


@pytest.mark.parametrize("sides", [[2**60], [2**31, 2**31], [-5], [1] * 40, [2**32, 2**32, 0]])
def test_constants_that_claim_what_is_not_there(tmp_path: Path, sides: list[int]) -> None:
    for content in (b"\0" * 16, b""):
        net = small()
        (tensor,) = [
            entry.value.tensor
            for node in net.message.node
            if node.name == "w"
            for entry in node.attr
            if entry.key == "value"
        ]
        tensor.tensor_content = content
        del tensor.tensor_shape.dim[:]
        for side in sides:
            tensor.tensor_shape.dim.add(size=side)
        with pytest.raises(InputError, match=r"the constant w (claims|has)"):
            onnxray.load(write(tmp_path / "net.pb", net))


def test_shapes_that_would_fill_the_memory_are_refused(tmp_path: Path) -> None:
    for op, inputs in (
        ("Fill", [[2**31 - 1] * 2, 1.0]),
        ("BroadcastTo", [1.0, [2**31 - 1] * 2]),
        ("Range", [0, 2**31 - 1, 1]),
    ):
        net = small()
        made = net.node(
            op, [net.constant(value, np.int32 if np.ndim(value) or op == "Range" else np.float32) for value in inputs]
        )
        net.node("AddV2", ["answer", made], "end", T="FLOAT32")
        with pytest.raises(InputError) as caught:
            onnxray.load(write(tmp_path / "net.pb", net))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("count", ["FLOAT32", [1, 1], 1 << 60, -1, 0])
def test_outputs_that_nobody_can_count_are_refused(tmp_path: Path, count: Any) -> None:
    net = small()
    net.node("Split", [net.ints(1), "answer"], "end", T="FLOAT32", num_split=count)
    with pytest.raises(InputError, match=r"the node end \(Split\) claims .* outputs"):
        onnxray.load(write(tmp_path / "net.pb", net))


@pytest.mark.parametrize(("node", "attribute"), [("x", "dtype"), ("answer", "T"), ("conv", "T"), ("w", "dtype")])
@pytest.mark.parametrize("value", [np.zeros(2, np.float32), [(1,), (2,)], 7, (1, 2)])
def test_types_that_are_something_else_are_refused_or_not_needed(
    tmp_path: Path, node: str, attribute: str, value: Any
) -> None:
    net = small()
    (written,) = (entry for entry in net.message.node if entry.name == node)
    for entry in [entry for entry in written.attr if entry.key == attribute]:
        entry.value.Clear()
        write_attribute(entry.value, value)
    try:
        onnxray.load(write(tmp_path / "net.pb", net))
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert node != "x"


@pytest.mark.parametrize("value", ["FLOAT32", np.zeros(2, np.float32), [(1,), (2,)], 7])
def test_shapes_that_are_something_else_are_refused(tmp_path: Path, value: Any) -> None:
    net = small()
    (shape,) = (entry.value for entry in net.message.node[0].attr if entry.key == "shape")
    shape.Clear()
    write_attribute(shape, value)
    with pytest.raises(InputError, match="the input x has no shape but"):
        onnxray.load(write(tmp_path / "net.pb", net))


def test_an_operator_whose_result_has_no_known_axes_is_refused(tmp_path: Path) -> None:
    net = small()
    net.node("Einsum", ["answer", "answer"], "end", T="FLOAT32", N=2, equation="abc,ab->c")
    with pytest.raises(InputError, match="Einsum end: does not fit its inputs"):
        onnxray.load(write(tmp_path / "net.pb", net))


def test_messages_nested_deep_are_refused(tmp_path: Path) -> None:
    nested = b""
    for _ in range(10_000):
        length, size = b"", len(nested)
        while size >= 0x80:
            length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
        nested = b"\x0a" + length + bytes([size]) + nested
    text = 'node { name: "x" attr { value { func { ' + "attr { value { func { " * 10_000
    for content in (nested, text.encode()):
        path = tmp_path / "net.pb"
        path.write_bytes(content)
        with pytest.raises(InputError):
            onnxray.load(path)


@pytest.mark.parametrize("kind", ["graph", "saved model"])
def test_truncated_files_are_refused_in_one_line(tmp_path: Path, kind: str) -> None:
    net = small()
    whole = (
        net.bytes()
        if kind == "graph"
        else saved_model(net, {"inputs": {}, "outputs": {"y": "answer"}}).SerializeToString()
    )
    path = tmp_path / "net.pb"
    for end in range(1, len(whole) - 3, 13):
        path.write_bytes(whole[:end])
        with pytest.raises(InputError) as caught:
            onnxray.load(path)
        assert "\n" not in str(caught.value)


def test_bytes_that_are_changed_never_raise_anything_else(tmp_path: Path) -> None:
    random, path = np.random.default_rng(0), tmp_path / "net.pb"
    whole = np.frombuffer(small().bytes(), np.uint8)
    for _ in range(150):
        changed = whole.copy()
        for at in random.integers(0, len(whole), 3):
            changed[at] = random.integers(0, 256)
        path.write_bytes(changed.tobytes())
        try:
            onnxray.load(path)
        except InputError as error:
            assert "\n" not in str(error)
