"""What the bridge must cope with, whatever the graph looks like. Oracle: onnxruntime; of gradients, differences."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
import tiny_models
from bridge_checks import HEADER, as_onnxruntime, check_bridge, graph_model, random_feeds
from onnx import TensorProto, helper, numpy_helper, parser
from onnxray.engine.gradient.builder import build, origin
from onnxray.engine.model import load
from onnxray.importers.errors import InputError

# -- outputs ---


def test_only_the_second_output_of_a_node(tmp_path: Path) -> None:
    model = graph_model(tmp_path, "net (float[2, 6] x) => (float[2, 3] b) { a, b = Split <axis = 1> (x) }")
    check_bridge(model)


def test_an_output_that_is_left_out(tmp_path: Path) -> None:
    """onnxruntime crashes at such a Split."""
    model = graph_model(tmp_path, "net (float[2, 6] x) => (float[2, 3] b) { , b = Split <axis = 1> (x) }")
    feeds = random_feeds(model)
    np.testing.assert_array_equal(model.torch().run(feeds)["b"], feeds["x"][:, 3:])


def test_outputs_in_another_order_than_the_nodes(tmp_path: Path) -> None:
    model = graph_model(
        tmp_path,
        """net (float[2, 6] x) => (float[2, 2] c, float[2, 2] a, float[2, 6] d, float[2, 2] b)
        { a, b, c = Split <axis = 1> (x)  d = Relu (x) }""",
    )
    check_bridge(model)


def test_outputs_that_are_inputs_or_weights(tmp_path: Path) -> None:
    text = "net (float[2, 3] x) => (float[2, 3] x, float[3] w, float[2, 3] y) <float[3] w> { y = Mul (x, w) }"
    model = graph_model(tmp_path, text)
    found = model.torch().run(random_feeds(model))
    assert list(found) == ["x", "w", "y"]
    np.testing.assert_array_equal(found["x"], random_feeds(model)["x"])
    np.testing.assert_array_equal(found["w"], model.graph.weight("w"))
    np.testing.assert_allclose(found["y"], found["x"] * found["w"], 1e-6)


def test_tensors_of_any_name_are_found(tmp_path: Path) -> None:
    model = graph_model(tmp_path, "net (float[2, 3] x) => (float[2, 3] y) <float[3] w> { h = Mul (x, w)  y = Exp (h) }")
    feeds = random_feeds(model)
    found = model.torch().run(feeds, ["h", "w", "x", "y"])
    expected = model.session().run(feeds, ["h", "w", "x", "y"])
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, 1e-5)


# -- how graphs are written ---


def test_clip_with_a_maximum_only(tmp_path: Path) -> None:
    check_bridge(
        graph_model(tmp_path, "net (float[2, 3] x) => (float[2, 3] y) <float high = {0.5}> { y = Clip (x, , high) }")
    )


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_automatic_padding(tmp_path: Path, auto_pad: str) -> None:
    text = f"""net (float[1, 2, 7, 6] x) => (y) <float[3, 2, 3, 2] w>
    {{ h = Conv <auto_pad = "{auto_pad}", strides = [2, 2]> (x, w)
       y = MaxPool <auto_pad = "{auto_pad}", kernel_shape = [2, 2], strides = [2, 1]> (h) }}"""
    check_bridge(graph_model(tmp_path, text.replace("(y)", "(float[N, 3, H, W] y)")))


def test_one_weight_for_three_nodes_is_held_once(tmp_path: Path) -> None:
    model = graph_model(
        tmp_path,
        """net (float[2, 4] x) => (float[2, 4] y) <float[4, 4] w>
        { a = MatMul (x, w)  b = MatMul (a, w)  y = MatMul (b, w) }""",
    )
    check_bridge(model)
    assert len(list(model.torch().module.buffers())) == 1


def test_unsorted_nodes(tmp_path: Path) -> None:
    proto = tiny_models.model(HEADER + "net (float[2, 3] x) => (float[2, 3] y) { h = Exp (x)  y = Sin (h) }")
    nodes = list(proto.graph.node)[::-1]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    onnx.save(proto, tmp_path / "net.onnx")
    model = load(tmp_path / "net.onnx")
    feeds = random_feeds(model)
    np.testing.assert_allclose(model.torch().run(feeds)["y"], np.sin(np.exp(feeds["x"])), 1e-5, 1e-6)


def test_local_functions(tmp_path: Path) -> None:
    text = """<ir_version: 8, opset_import: ["" : 17, "own" : 1]>
    net (float[2, 3] x) => (float[2, 3] y) { h = own.twice (x)  y = own.twice (h) }
    <domain: "own", opset_import: ["" : 17]> twice (a) => (b) { b = Add (a, a) }"""
    onnx.save(parser.parse_model(text), tmp_path / "net.onnx")
    check_bridge(load(tmp_path / "net.onnx"))


def test_names_that_are_no_identifiers_and_names_that_collide(tmp_path: Path) -> None:
    names = ["1/a.b", "1_a_b", "self", "class", "forward", "weight:0", "weight 0", "übung", "x"]
    chain = ["in put", *names]
    nodes = [helper.make_node("Exp" if i % 2 else "Sin", [a], [b], a) for i, (a, b) in enumerate(zip(chain, names))]  # noqa: B905
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3]) for name in ("in put", "x")]
    graph = helper.make_graph(nodes, "net", value[:1], value[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "n.onnx")
    model = load(tmp_path / "n.onnx")
    check_bridge(model)
    names_of = [made.name for node in model.torch().module.graph.nodes if (made := origin(node))]
    assert names_of == [node.name for node in model.graph.nodes]
    fx_names = [node.name for node in model.torch().module.graph.nodes if origin(node)]
    assert [re.sub(r"\W", "", name) for name in fx_names] == fx_names


def test_identity_chains_and_weights_through_identity(tmp_path: Path) -> None:
    model = graph_model(
        tmp_path,
        """net (float[2, 3] x) => (float[2, 3] y) <float[3] w>
        { v = Identity (w)  u = Identity (v)  h = Add (x, u)  i = Identity (h)  j = Identity (i)  y = Mul (j, v) }""",
    )
    check_bridge(model)
    assert len(list(model.torch().module.buffers())) == 1  # handed through, not copied


def test_dynamic_batch(tmp_path: Path) -> None:
    model = graph_model(
        tmp_path,
        """net (float[N, 2, 4] x) => (float[N, M] y)
        { shape = Shape (x)  zero = Constant <value_int = 0> ()  n = Gather (shape, zero)
          axes = Constant <value_ints = [0]> ()  rows = Unsqueeze (n, axes)
          rest = Constant <value_ints = [-1]> ()  sizes = Concat <axis = 0> (rows, rest)  y = Reshape (x, sizes) }""",
    )
    for batch in (1, 3, 5):
        check_bridge(model, random_feeds(model, x=(batch, 2, 4)))


def test_what_follows_from_constants_is_computed_once(tmp_path: Path) -> None:
    model = graph_model(
        tmp_path,
        """net (float[2, 3] x) => (float[2, 3] y) <float[3, 3] w>
        { t = Transpose (w)  s = Shape (t)  o = ConstantOfShape <value = float[1] {0.5}> (s)  v = Mul (t, o)
          y = MatMul (x, v) }""",
    )
    check_bridge(model)
    calls = [node for node in model.torch().module.graph.nodes if node.op == "call_function"]
    assert [origin(node).op for node in calls] == ["MatMul"]  # type: ignore[union-attr]
    feeds = random_feeds(model)
    np.testing.assert_allclose(model.torch().run(feeds, ["v"])["v"], model.graph.weight("w").T / 2)


def test_weights_are_frozen_and_inputs_are_not_changed(tmp_path: Path) -> None:
    model = graph_model(
        tmp_path, "net (float[2, 3] x) => (float[2, 3] y) <float[3] w> { h = Add (x, w)  y = Relu (h) }"
    )
    feeds = random_feeds(model)
    before = feeds["x"].copy()
    check_bridge(model, feeds)
    assert not any(value.requires_grad for value in model.torch().module.state_dict().values())
    np.testing.assert_array_equal(feeds["x"], before)


# -- what is missing ---


def test_all_missing_operators_are_named_at_once(tmp_path: Path) -> None:
    proto = tiny_models.model(
        """<ir_version: 8, opset_import: ["" : 17, "own" : 1]>
        net (float[2, 3] x, bool c) => (float[2, 3] y)
        { a = own.Fold (x)  b = own.Fold (a)  r = RandomNormalLike (b)  s = Add (a, r)
          d = If (c) <then_branch = then () => (float[2, 3] t) { t = own.Deep (s) },
                      else_branch = other () => (float[2, 3] e) { e = Identity (s) }>
          y = Relu <slope = 1.0> (d) }"""
    )
    for node in proto.graph.node:
        node.name = f"node_{node.output[0]}"
    onnx.save(proto, tmp_path / "net.onnx")
    with pytest.raises(InputError) as caught:
        load(tmp_path / "net.onnx").torch()
    text = str(caught.value)
    assert "own.Fold (nodes node_a, node_b)" in text
    assert "RandomNormalLike, whose values are random (node node_r)" in text
    assert "own.Deep" in text
    assert "attribute slope of Relu (node node_y)" in text


def test_a_type_that_torch_lacks_is_named_with_its_node(tmp_path: Path) -> None:
    proto = tiny_models.model(HEADER + "net (float[2] x) => (string[2] y) { y = Cast <to = 8> (x) }")
    onnx.save(proto, tmp_path / "net.onnx")
    with pytest.raises(InputError, match="STRING"):
        load(tmp_path / "net.onnx").torch()


def test_sparse_constants(tmp_path: Path) -> None:
    values = numpy_helper.from_array(np.array([2.0, 3.0], np.float32), "v")
    sparse = helper.make_sparse_tensor(values, numpy_helper.from_array(np.array([1, 5])), [2, 3])
    node = helper.make_node("Constant", [], ["k"], "k", sparse_value=sparse)
    graph = helper.make_graph([node], "net", [], [helper.make_tensor_value_info("k", TensorProto.FLOAT, [2, 3])])
    built = build(graph, [], {"": 17}, numpy_helper.to_array, None)
    np.testing.assert_array_equal(built.module()[0], [[0, 2, 0], [0, 0, 3]])


def test_thousands_of_nodes(tmp_path: Path) -> None:
    """Deep and wide: nothing recurses along the graph."""
    count = 3000
    lines = "".join(f"h{i} = Sin (h{i - 1}) k{i} = Add (h{i}, k{i - 1})\n" for i in range(1, count))
    text = (
        f"net (float[2] x) => (float[2] y) {{ h0 = Identity (x) k0 = Identity (x)\n{lines} y = Relu (k{count - 1}) }}"
    )
    model = graph_model(tmp_path, text)
    feeds = random_feeds(model)
    np.testing.assert_allclose(model.torch().run(feeds)["y"], as_onnxruntime(model.path, feeds)[0], 1e-4)
