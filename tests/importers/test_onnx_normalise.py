"""Graphs as people write them become one shape; onnxruntime on the original file is the oracle of the values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import tiny_models
from onnx import TensorProto, helper, numpy_helper, parser
from onnxray.importers import load
from onnxray.importers.errors import InputError

CHAIN = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[1, 3, 4, 4] x) => (float[1, 3, 4, 4] y)
{
    a = Relu (x)
    b = Sigmoid (a)
    y = Add (a, b)
}
"""


def _saved(path: Path, proto: onnx.ModelProto) -> Path:
    path.write_bytes(proto.SerializeToString())
    return path


def _run(model: bytes, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def _same(original: onnx.ModelProto, loaded: onnx.ModelProto, shape: tuple[int, ...] = (1, 3, 4, 4)) -> None:
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    before, after = _run(original.SerializeToString(), x), _run(loaded.SerializeToString(), x)
    np.testing.assert_allclose(after, before, rtol=1e-6, atol=1e-6)


def test_nodes_out_of_order_are_sorted(tmp_path: Path) -> None:
    proto = parser.parse_model(CHAIN)
    expected = [node.op_type for node in proto.graph.node]
    nodes = list(proto.graph.node)
    del proto.graph.node[:]
    proto.graph.node.extend(reversed(nodes))
    loaded = load(_saved(tmp_path / "m.onnx", proto))
    assert [node.op_type for node in loaded.graph.node] == expected
    _same(parser.parse_model(CHAIN), loaded)


def test_sorted_nodes_keep_their_order(tmp_path: Path) -> None:
    proto = parser.parse_model(CHAIN.replace("a = Relu (x)", "c = Tanh (x)\n a = Relu (x)\n d = Exp (c)"))
    loaded = load(_saved(tmp_path / "m.onnx", proto))
    assert [node.op_type for node in loaded.graph.node] == [node.op_type for node in proto.graph.node]


@pytest.mark.parametrize("length", [1, 2, 5])
def test_a_cycle_is_named(tmp_path: Path, length: int) -> None:
    """x → n0 → … and back, with an innocent node before and one after the cycle."""
    nodes = [helper.make_node("Relu", ["x"], ["before"], "innocent")]
    for index in range(length):
        nodes.append(helper.make_node("Add", ["before", f"t{(index - 1) % length}"], [f"t{index}"], f"n{index}"))
    nodes.append(helper.make_node("Relu", ["t0"], ["y"], "after"))
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    proto = helper.make_model(helper.make_graph(nodes, "g", value[:1], value[1:]))
    with pytest.raises(InputError, match="cyclic") as caught:
        load(_saved(tmp_path / "m.onnx", proto))
    message = str(caught.value)
    assert all(f"n{index} (Add)" in message for index in range(length))
    assert "innocent" not in message
    assert "after" not in message


def test_a_tensor_made_twice_is_an_error(tmp_path: Path) -> None:
    proto = parser.parse_model(CHAIN)
    proto.graph.node.append(helper.make_node("Tanh", ["x"], ["b"], "second"))
    with pytest.raises(InputError, match=r"tensor b is made twice: by second \(Tanh\) and by b \(Sigmoid\)"):
        load(_saved(tmp_path / "m.onnx", proto))


def test_a_tensor_nobody_makes_is_an_error(tmp_path: Path) -> None:
    proto = parser.parse_model(CHAIN.replace("Sigmoid (a)", "Sigmoid (aa)"))
    with pytest.raises(InputError, match=r"reads tensor aa, which nothing makes; did you mean a"):
        load(_saved(tmp_path / "m.onnx", proto))


def test_unnamed_nodes_are_named_by_operator_and_position(tmp_path: Path) -> None:
    proto = parser.parse_model(CHAIN)
    proto.graph.node[0].name = "Sigmoid_1"  # a name that the rule would give to the second node
    loaded = load(_saved(tmp_path / "m.onnx", proto))
    assert [node.name for node in loaded.graph.node] == ["Sigmoid_1", "Sigmoid_1_1", "Add_2"]
    again = load(_saved(tmp_path / "again.onnx", loaded))
    assert [node.name for node in again.graph.node] == [node.name for node in loaded.graph.node]


def test_repeated_names_become_unique(tmp_path: Path) -> None:
    proto = parser.parse_model(CHAIN)
    for node in proto.graph.node:
        node.name = "same"
    loaded = load(_saved(tmp_path / "m.onnx", proto))
    assert [node.name for node in loaded.graph.node] == ["same", "same_1", "same_2"]


def test_constants_become_initializers(tmp_path: Path) -> None:
    text = CHAIN.replace("a = Relu (x)", "k = Constant <value_float = 2.5> ()\n a = Mul (x, k)")
    loaded = load(_saved(tmp_path / "m.onnx", parser.parse_model(text)))
    assert [node.op_type for node in loaded.graph.node] == ["Mul", "Sigmoid", "Add"]
    assert {t.name: numpy_helper.to_array(t).item() for t in loaded.graph.initializer} == {"k": 2.5}
    _same(parser.parse_model(text), loaded)


def test_a_constant_that_is_an_output_stays(tmp_path: Path) -> None:
    proto = parser.parse_model(CHAIN.replace("a = Relu (x)", "k = Constant <value_ints = [1, 2]> ()\n a = Relu (x)"))
    proto.graph.output.append(helper.make_tensor_value_info("k", TensorProto.INT64, [2]))
    loaded = load(_saved(tmp_path / "m.onnx", proto))
    assert "Constant" in [node.op_type for node in loaded.graph.node]


def test_initializers_that_are_also_inputs(tmp_path: Path) -> None:
    """Files of IR version 3 list their weights as inputs."""
    proto = tiny_models.model()
    for tensor in proto.graph.initializer:
        proto.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    proto.ir_version = 3
    loaded = load(_saved(tmp_path / "m.onnx", proto))
    assert [value.name for value in loaded.graph.input] == ["image"]
    assert loaded.ir_version >= 4
    _same(proto, loaded, (1, 1, 8, 8))


FUNCTIONS = """
<ir_version: 8, opset_import: ["" : 17, "local" : 1]>
g (float[1, 3, 4, 4] x) => (float[1, 3, 4, 4] y)
{
    a = local.twice (x)
    y = local.outer (a)
}
<domain: "local", opset_import: ["" : 13]>
twice (u) => (v) { v = Add (u, u) }
<domain: "local", opset_import: ["" : 17, "local" : 1]>
outer (u) => (v) { t = Sigmoid (u)
 v = local.twice (t) }
"""


def test_local_functions_are_inlined_also_from_an_older_opset(tmp_path: Path) -> None:
    loaded = load(_saved(tmp_path / "m.onnx", parser.parse_model(FUNCTIONS)))
    assert [node.op_type for node in loaded.graph.node] == ["Add", "Sigmoid", "Add"]
    assert not loaded.functions
    x = np.random.default_rng(0).normal(size=(1, 3, 4, 4)).astype(np.float32)
    np.testing.assert_allclose(_run(loaded.SerializeToString(), x), 2 / (1 + np.exp(-2 * x)), rtol=1e-5)


def test_a_function_that_calls_itself_is_an_error(tmp_path: Path) -> None:
    proto = parser.parse_model(FUNCTIONS.replace("v = Add (u, u)", "v = local.outer (u)"))
    with pytest.raises(InputError, match="calls itself"):
        load(_saved(tmp_path / "m.onnx", proto))


def test_functions_that_grow_without_bound_are_refused(tmp_path: Path) -> None:
    """Thirty functions, each calling the one before twice: 2^30 nodes from a file of 2 kB."""
    text = '<ir_version: 8, opset_import: ["" : 17, "local" : 1]>\n'
    text += "g (float[1] x) => (float[1] y) { y = local.f30 (x) }\n"
    head = '<domain: "local", opset_import: ["" : 17, "local" : 1]>\n'
    text += f"{head}f0 (u) => (v) {{ v = Relu (u) }}\n"
    for index in range(1, 31):
        text += f"{head}f{index} (u) => (v) {{ t = local.f{index - 1} (u)\n v = local.f{index - 1} (t) }}\n"
    with pytest.raises(InputError, match="grow to"):
        load(_saved(tmp_path / "m.onnx", parser.parse_model(text)))


IF = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[1, 3, 4, 4] x) => (float[1, 3, 4, 4] y)
{
    late = Relu (x)
    yes = Constant <value = bool {1}> ()
    y = If (yes) <then_branch = t () => (float[1, 3, 4, 4] a) { a = Exp (late) },
                  else_branch = e () => (float[1, 3, 4, 4] b) { b = Tanh (x) }>
}
"""


def test_if_is_kept_and_its_bodies_count_as_readers(tmp_path: Path) -> None:
    proto = parser.parse_model(IF)
    nodes = list(proto.graph.node)
    del proto.graph.node[:]
    proto.graph.node.extend(reversed(nodes))  # `late` is read only inside the If's body
    loaded = load(_saved(tmp_path / "m.onnx", proto))
    assert [node.op_type for node in loaded.graph.node] == ["Relu", "If"]
    bodies = {attribute.name: attribute.g for attribute in loaded.graph.node[1].attribute}
    assert bodies["then_branch"].node[0].name == "If_2/then_branch/Exp_0"
    _same(parser.parse_model(IF), loaded)


def test_a_body_that_reads_nothing_known_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="reads tensor later"):
        load(_saved(tmp_path / "m.onnx", parser.parse_model(IF.replace("Exp (late)", "Exp (later)"))))


@pytest.mark.parametrize("linear", [True, False])
def test_sparse_initializers_are_written_out(tmp_path: Path, linear: bool) -> None:
    proto = parser.parse_model(CHAIN.replace("Relu (x)", "Mul (x, k)"))
    dense = np.zeros((3, 4, 4), np.float32)
    dense[1, 2, 3], dense[2, 0, 1] = 5.0, -7.0
    where = np.flatnonzero(dense) if linear else np.argwhere(dense)
    values = numpy_helper.from_array(dense[dense != 0], "k")
    proto.graph.sparse_initializer.append(
        helper.make_sparse_tensor(values, numpy_helper.from_array(where.astype(np.int64), "i"), dense.shape)
    )
    loaded = load(_saved(tmp_path / "m.onnx", proto))
    np.testing.assert_array_equal(numpy_helper.to_array(loaded.graph.initializer[0]), dense)


def test_a_sparse_tensor_that_claims_too_much_is_refused(tmp_path: Path) -> None:
    proto = parser.parse_model(CHAIN.replace("Relu (x)", "Mul (x, k)"))
    values, indices = (numpy_helper.from_array(np.ones(1, kind), "k") for kind in (np.float32, np.int64))
    proto.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [1 << 60]))
    with pytest.raises(InputError, match="sparse tensor k"):
        load(_saved(tmp_path / "m.onnx", proto))
    proto.graph.sparse_initializer[0].dims[:] = [4]
    proto.graph.sparse_initializer[0].indices.ClearField("dims")  # one index, and no list of them
    with pytest.raises(InputError, match="its indices do not fit its shape"):
        load(_saved(tmp_path / "m.onnx", proto))


@pytest.mark.parametrize("version", [1 << 40, -1])
def test_an_impossible_operator_set_is_refused(tmp_path: Path, version: int) -> None:
    proto = parser.parse_model(FUNCTIONS)
    proto.functions[0].opset_import[0].version = version
    with pytest.raises(InputError, match="impossible version"):
        load(_saved(tmp_path / "m.onnx", proto))


@pytest.mark.parametrize("field", ["node", "output"])
def test_an_empty_graph_is_no_network(tmp_path: Path, field: str) -> None:
    proto = parser.parse_model(CHAIN)
    proto.graph.ClearField(field)
    with pytest.raises(InputError, match="without nodes or outputs"):
        load(_saved(tmp_path / "m.onnx", proto))


def test_unknown_operators_and_domains_load(tmp_path: Path) -> None:
    """Seeing a network must not need its custom operators."""
    proto = parser.parse_model(CHAIN)
    proto.graph.node[1].op_type, proto.graph.node[1].domain = "Secret", "com.example"
    proto.opset_import.append(helper.make_opsetid("com.example", 1))
    loaded = load(_saved(tmp_path / "m.onnx", proto))
    assert loaded.graph.node[1].name == "Secret_1"


def test_names_that_cannot_be_printed_are_replaced_everywhere(tmp_path: Path) -> None:
    proto = tiny_models.model(_BRANCHES)
    ugly = {"x": "x\x1b[31m", "a": "line\nbreak", "b": "line\tbreak", "w": "w\u202e", "y": "line_break"}
    _renamed(proto.graph, ugly)
    loaded = load(_saved(tmp_path / "ugly.onnx", proto))
    _same(proto, loaded, (1, 4))
    assert [value.name for value in loaded.graph.input] == ["x_[31m"]
    names = {name for node in loaded.graph.node for name in (node.name, *node.input, *node.output)}
    assert {"line_break", "line_break_2", "line_break_3", "w_"} <= names
    assert all(name.isprintable() for name in names)


def test_an_operator_that_cannot_be_printed_is_refused(tmp_path: Path) -> None:
    proto = parser.parse_model(CHAIN)
    proto.graph.node[0].op_type = "Re\x1blu"
    with pytest.raises(InputError, match="no operator's name"):
        load(_saved(tmp_path / "ugly.onnx", proto))


_BRANCHES = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[1, 4] x) => (float[1, 4] y)
<float[4] w>
{
    a = Relu (x)
    b = Add (a, w)
    yes = Greater (a, b)
    any = Cast <to = 6> (yes)
    top = ReduceMax <keepdims = 0> (any)
    go = Cast <to = 9> (top)
    y = If (go) <
        then_branch = t () => (float[1, 4] p) { p = Mul (a, w) },
        else_branch = e () => (float[1, 4] q) { q = Sub (a, w) }
    >
}
"""


def _renamed(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    """By hand what an exporter without scruples does."""
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        node.name = f"{node.op_type}\r{node.output[0]}"
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _renamed(attribute.g, names)


def test_a_loop_that_nothing_ends_is_refused(tmp_path: Path) -> None:
    body = parser.parse_graph(
        "body (int64 i, bool c, float[2] s) => (bool d, float[2] t) { d = Identity(c) t = Neg(s) }"
    )
    loop = helper.make_node("Loop", ["", "", "x"], ["y"], name="forever", body=body)
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xy")
    proto = helper.make_model(helper.make_graph([loop], "g", [x], [y]), opset_imports=[helper.make_opsetid("", 17)])
    with pytest.raises(InputError, match=r"forever \(Loop\) has neither a trip count nor a condition"):
        load(_saved(tmp_path / "m.onnx", proto))


def test_omitted_inputs_at_the_end_are_left_out(tmp_path: Path) -> None:
    proto = parser.parse_model(CHAIN)
    clip = helper.make_node("Clip", ["a", "", ""], ["b"])
    proto.graph.node[1].CopyFrom(clip)
    loaded = load(_saved(tmp_path / "m.onnx", proto))
    assert list(loaded.graph.node[1].input) == ["a"]
    _same(proto, loaded)
