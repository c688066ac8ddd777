"""Weights inside the bodies of If, Loop and Scan: moved out, counted, and the network computes what it did."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxray
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

GENERATOR = np.random.default_rng(0)


def _weights(*shape: int) -> np.ndarray:
    return GENERATOR.normal(size=shape).astype(np.float32)


def _branch(name: str, weight: str, stored: list[onnx.TensorProto], nodes: list[onnx.NodeProto]) -> onnx.GraphProto:
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8, 8, 8])
    convolution = helper.make_node("Conv", ["x", weight], ["y"], pads=[1, 1, 1, 1])
    return helper.make_graph([*nodes, convolution], name, [], [output], stored)


def _branches(path: Path) -> Path:
    """A convolution in each branch: one's weights are its initializer, the other's a Constant node of the same name."""
    then = _branch("then", "w", [numpy_helper.from_array(_weights(8, 8, 3, 3), "w")], [])
    constant = helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(_weights(8, 8, 3, 3)))
    otherwise = _branch("else", "w", [], [constant])
    nodes = [
        helper.make_node("Conv", ["image", "stem"], ["x"], pads=[1, 1, 1, 1]),
        helper.make_node("ReduceMean", ["x"], ["mean"], keepdims=0),
        helper.make_node("Constant", [], ["zero"], value_float=0.0),
        helper.make_node("Greater", ["mean", "zero"], ["bright"]),
        helper.make_node("If", ["bright"], ["out"], then_branch=then, else_branch=otherwise),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 8])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 8, 8, 8])
    stem = numpy_helper.from_array(_weights(8, 3, 3, 3), "stem")
    graph = helper.make_graph(nodes, "branches", [image], [out], [stem])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_both_branches_are_counted_and_listed(tmp_path: Path) -> None:
    model = onnxray.load(_branches(tmp_path / "branches.onnx"))
    assert model.summary().total_params == 8 * 3 * 9 + 2 * 8 * 8 * 9
    assert [row.shape for row in model.weights().rows] == [(8, 3, 3, 3), (8, 8, 3, 3), (8, 8, 3, 3)]
    assert len({row.name for row in model.weights().rows}) == 3


@pytest.mark.parametrize("sign", [1, -1])
def test_each_branch_computes_what_it_did(tmp_path: Path, sign: int) -> None:
    path = _branches(tmp_path / "branches.onnx")
    model = onnxray.load(path)
    means = model.session().run(np.ones((1, 3, 8, 8), np.float32), ["mean"])["mean"]
    image = np.full((1, 3, 8, 8), sign * np.sign(means), np.float32)
    original = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"image": image})[0]
    found = model.session().run(image, ["out", "bright"])
    assert bool(found["bright"]) == (sign > 0)
    np.testing.assert_allclose(found["out"], original, rtol=1e-4, atol=1e-4)


def test_shapes_and_single_numbers_stay_in_the_body(tmp_path: Path) -> None:
    path = _branches(tmp_path / "branches.onnx")
    proto = onnx.load(path)
    body = proto.graph.node[-1].attribute[0].g
    body.initializer.extend(
        [
            numpy_helper.from_array(np.array([2, 3]), "axes"),
            numpy_helper.from_array(np.array([0.5], np.float32), "half"),
        ]
    )
    onnx.save(proto, path)
    bodies = [a.g for node in onnxray.load(path).proto.graph.node if node.op_type == "If" for a in node.attribute]
    assert [tensor.name for body in bodies for tensor in body.initializer] == ["axes", "half"]
