"""Tensors of a source with channels last in a graph that has them first: order, transposes, broadcasting."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest
from onnxray.importers.channels_last import ChannelsLast, axis_first, to_first, to_last
from onnxray.importers.graph_builder import GraphBuilder

RANDOM = np.random.default_rng(0)
IMAGE = RANDOM.normal(size=(2, 3, 5, 7)).astype(np.float32)  # channels first


def begun() -> ChannelsLast:
    """With the source's tensor `image` [N, 5, 7, 3]."""
    graph = GraphBuilder("test")
    tensors = ChannelsLast(graph)
    tensors.made_first("image", graph.input("image", ["N", 3, 5, 7]))
    return tensors


def run(tensors: ChannelsLast, output: str) -> tuple[np.ndarray, list[str]]:
    proto = tensors.graph.finish([output])
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": IMAGE})[0], [node.op_type for node in proto.graph.node]


def test_what_depends_on_the_order_finds_the_sources() -> None:
    tensors = begun()
    assert tensors.shape("image") == ("N", 5, 7, 3)
    flat = tensors.graph.node("Flatten", [tensors.last("image")], "flat", name="flat")
    assert tensors.last("image") == tensors.last("image")
    found, operators = run(tensors, flat)
    assert np.array_equal(found, IMAGE.transpose(0, 2, 3, 1).reshape(2, -1))
    assert operators == ["Transpose", "Flatten"]


def test_there_and_back_is_the_same_tensor() -> None:
    tensors = begun()
    last = tensors.last("image")
    assert tensors.first("image") == "image" and tensors.last("image") == last
    tensors.made_last("turned", tensors.graph.node("Relu", [last], "turned", name="turned"))
    found, operators = run(tensors, tensors.first("turned"))
    assert np.array_equal(found, np.maximum(IMAGE, 0)) and operators == ["Transpose", "Relu", "Transpose"]


@pytest.mark.parametrize("shape", [(), (1,), (3,), (1, 1), (7, 3), (5, 7, 3), (1, 5, 7, 3), (1, 1, 1, 3), (5, 1, 1)])
def test_constants_follow_without_a_node(shape: tuple[int, ...]) -> None:
    tensors, value = begun(), RANDOM.normal(size=shape).astype(np.float32)
    tensors.store("constant", value)
    operands, first = tensors.aligned(["image", "constant"])
    found, operators = run(tensors, tensors.graph.node("Add", operands, "sum", name="sum"))
    assert first and operators == ["Add"]
    np.testing.assert_array_equal(found, (IMAGE.transpose(0, 2, 3, 1) + value).transpose(0, 3, 1, 2))


def test_tensors_that_cannot_follow_make_it_the_sources_order() -> None:
    """A row a column, computed: it lies along the source's last two axes."""
    tensors = begun()
    graph = tensors.graph
    mean = graph.node("ReduceMean", [tensors.last("image")], "mean", name="mean", axes=[0, 1], keepdims=0)
    tensors.made_last("mean", mean)
    operands, first = tensors.aligned(["image", "mean"])
    found, _ = run(tensors, graph.node("Sub", operands, "apart", name="apart"))
    last = IMAGE.transpose(0, 2, 3, 1)
    assert not first
    np.testing.assert_allclose(found, last - last.mean((0, 1)), atol=1e-6)


@pytest.mark.parametrize("rank", [3, 4, 5])
def test_axes(rank: int) -> None:
    values = RANDOM.normal(size=range(2, 2 + rank))
    first = values.transpose(to_first(rank))
    assert np.array_equal(first.transpose(to_last(rank)), values)
    for axis in range(-rank, rank):
        assert first.shape[axis_first(axis, rank)] == values.shape[axis]
    assert axis_first(-1, 2) == 1
