"""GraphBuilder: unique names, shapes known as it goes, a model checked at the end."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_caffe
from onnxray.importers.graph_builder import GraphBuilder


def small() -> GraphBuilder:
    graph = GraphBuilder("small", reserved=["y"])
    graph.input("x", ["batch", 2, 6, 6])
    weight = graph.constant("w", np.ones((3, 2, 3, 3), np.float32))
    graph.node("Conv", ["x", weight], "y", name="conv", kernel_shape=[3, 3])
    return graph


def test_shapes_are_known_at_once() -> None:
    graph = small()
    assert graph.shape("y") == ("batch", 3, 4, 4)
    target = graph.constant("shape", np.array([0, -1], np.int64))
    assert graph.shape(graph.node("Reshape", ["y", target], "z", name="reshape")) == ("batch", 48)
    assert graph.value("w").shape == (3, 2, 3, 3)  # type: ignore[union-attr]
    assert graph.value("y") is None


def test_names_are_unique() -> None:
    graph = small()
    assert graph.constant("w", np.zeros(1, np.float32)) == "w_2"
    assert graph.constant("y", np.zeros(1, np.float32)) == "y_2"  # kept for a blob
    graph.node("Relu", ["y"], graph.temporary("y"), name="conv")
    model = graph.finish(["y_3"])
    assert [node.name for node in model.graph.node] == ["conv", "conv_2"]
    with pytest.raises(ValueError, match="two tensors are called y"):
        graph.node("Relu", ["y"], "y", name="again")


def test_what_nobody_needs_is_left_out() -> None:
    graph = small()
    graph.node("Relu", ["y"], "unused", name="unused")
    graph.constant("nothing", np.zeros(5, np.float32))
    model = graph.finish(["y"])
    assert [node.name for node in model.graph.node] == ["conv"]
    assert [tensor.name for tensor in model.graph.initializer] == ["w"]


def test_the_model_runs_with_any_batch() -> None:
    model = small().finish(["y"])
    assert model.ir_version == 8
    assert model.opset_import[0].version == 17
    image = np.ones((3, 2, 6, 6), np.float32)
    np.testing.assert_array_equal(tiny_caffe.run(model, {"x": image})["y"], np.full((3, 3, 4, 4), 18, np.float32))


def test_shapes_that_inference_cannot_know_can_be_stated() -> None:
    graph = small()
    shape = graph.node("Shape", ["y"], "s", name="shape")
    graph.node("Expand", ["w", shape], "z", name="expand", shape=["batch", 3, 4, 4])
    assert graph.shape("z") == ("batch", 3, 4, 4)


def test_a_graph_that_is_no_onnx_is_refused() -> None:
    graph = small()
    graph.node("Relu", ["y"], "z", name="relu", shape=[7])
    with pytest.raises(ValueError, match="not valid ONNX"):
        graph.finish(["z"])


def test_large_weights_are_checked_without_being_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    from onnxray.importers import graph_builder

    graph = small()
    graph.constant("big", np.zeros((64, 128), np.float32))
    graph.node("Reshape", ["big", graph.constant("shape", np.array([128, 64], np.int64))], "z", name="reshape")
    model = graph.finish(["y", "z"])
    bare = graph_builder._without_weights(model)
    assert [tensor.name for tensor in bare.graph.initializer] == ["w", "shape"]
    assert [value.name for value in bare.graph.input] == ["x", "big"]
