"""Blocks that repeat: found in real networks by name and number, nothing lost, nothing merged that differs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxray
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxray.engine.model import Model
from onnxray.engine.structure.drawing.arrangement import LARGEST, READABLE, arranged
from onnxray.engine.structure.drawing.blocks import Block, Diagram, blocks
from onnxray.engine.structure.drawing.boxes import flow
from onnxray.engine.structure.drawing.look import shown


def _found(diagram: Diagram) -> Iterator[tuple[str, int]]:
    """Names and numbers of the outermost blocks, from input to output."""
    return ((item.name, item.count) for item in diagram.items if isinstance(item, Block))


def _diagram(proto: onnx.ModelProto) -> Diagram:
    return blocks(flow(Model(proto, Path("net.onnx")).graph))


def test_squeezenet_is_four_pairs_of_fire_modules(shared: Callable[[str], Path]) -> None:
    """Iandola et al. 2016, version 1.1: fire2,3 | pool | fire4,5 | pool | fire6,7 | fire8,9."""
    diagram = blocks(flow(onnxray.load(shared("models/derived/squeezenet1.1.onnx")).graph))
    assert list(_found(diagram)) == [("Fire", 2)] * 4
    assert [item.exit.shape.split("×")[0] for item in diagram.items if isinstance(item, Block)] == [
        *("128", "256", "384", "512")
    ]


def test_resnet20_is_three_stages_of_three_residual_blocks(shared: Callable[[str], Path]) -> None:
    """He et al. 2015, section 4.2: 2n layers a stage, n = 3; the first block of stages 2 and 3 halves the image."""
    diagram = blocks(flow(onnxray.load(shared("models/derived/resnet20_cifar10.onnx")).graph))
    same, halving = "Residual block", "Residual block /2"
    assert list(_found(diagram)) == [(same, 3), (halving, 1), (same, 2), (halving, 1), (same, 2)]


def test_vgg_has_no_blocks(shared: Callable[[str], Path]) -> None:
    diagram = blocks(flow(onnxray.load(shared("models/derived/vgg16_trunk_hed.onnx")).graph))
    assert list(_found(diagram)) == []


def test_transformer_blocks_of_svtr(shared: Callable[[str], Path]) -> None:
    diagram = blocks(flow(onnxray.load(shared("models/onnx/ppocr_v4_rec_svtr/ch_PP-OCRv4_rec_infer.onnx")).graph))
    inside = [name for item in diagram.items if isinstance(item, Block) for name in _found(item.diagram)]
    assert ("Transformer block", 2) in inside


def _residual(kernels: list[int], *, seed: int = 0) -> onnx.ModelProto:
    """A residual block for each number: two convolutions of that kernel size, Add, Relu."""
    generator = np.random.default_rng(seed)
    nodes, weights, last = [], [], "x"
    for index, kernel in enumerate(kernels):
        pads = [kernel // 2] * 4
        for part, source in (("a", last), ("b", f"r{index}")):
            values = generator.normal(size=(4, 4, kernel, kernel)).astype(np.float32)
            weights.append(numpy_helper.from_array(values, f"w{part}{index}"))
            name = f"{part}{index}"
            nodes.append(helper.make_node("Conv", [source, f"w{name}"], [name], name, pads=pads))
            if part == "a":
                nodes.append(helper.make_node("Relu", [name], [f"r{index}"], f"r{index}"))
        nodes.append(helper.make_node("Add", [f"b{index}", last], [f"s{index}"], f"s{index}"))
        nodes.append(helper.make_node("Relu", [f"s{index}"], [f"y{index}"], f"y{index}"))
        last = f"y{index}"
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4, 8, 8]) for name in ("x", last)]
    graph = helper.make_graph(nodes, "net", value[:1], value[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize(
    ("kernels", "counts"),
    [([3] * 9, [9]), ([3, 3, 5, 5, 5], [2, 3]), ([3, 5, 3, 5, 3, 5], [3]), ([3], [1]), ([1, 3, 5], [1, 1, 1])],
)
def test_repetitions_are_counted_and_attributes_separate_them(kernels: list[int], counts: list[int]) -> None:
    """The weights are random throughout: their values must not matter."""
    assert [count for _, count in _found(_diagram(_residual(kernels)))] == counts


def test_operands_of_a_sum_may_be_swapped() -> None:
    proto = _residual([3, 3])
    total = next(node for node in proto.graph.node if node.name == "s1")
    total.input[:] = reversed(total.input)
    assert [count for _, count in _found(_diagram(proto))] == [2]


REAL = [
    "derived/squeezenet1.1.onnx",
    "derived/resnet20_cifar10.onnx",
    "onnx/ultraface_rfb320/version-RFB-320.onnx",
    "onnx/ppocr_v4_rec_svtr/ch_PP-OCRv4_rec_infer.onnx",
    "onnx/ppseg_lite_portrait/ppseg_lite_portrait_398x224_with_softmax_fixed.onnx",
    "onnx/prisma_portrait_unet/prisma_nchw.onnx",
    "onnx/sinet_portrait/SINet_Softmax.onnx",
]


@pytest.mark.parametrize("name", REAL)
def test_no_box_is_lost_and_the_drawing_is_readable(shared: Callable[[str], Path], name: str) -> None:
    boxes = flow(onnxray.load(shared(f"models/{name}")).graph)
    collapsed = blocks(boxes)
    assert sorted(map(id, collapsed.boxes())) == sorted(map(id, boxes.boxes))
    final = arranged(collapsed)
    assert set(map(id, final.boxes())) == set(map(id, boxes.boxes))
    assert len(list(shown(final))) <= max(READABLE, len(collapsed.items))
    _check_order(final)


def _check_order(diagram: Diagram) -> None:
    """Every item stands after those that feed it, on every level."""
    for index, sources in enumerate(diagram.feeders):
        assert all(source < index for source in sources)
    for item in diagram.items:
        if isinstance(item, Block):
            _check_order(item.diagram)


def test_a_chain_without_repetition_is_cut() -> None:
    kernels = np.random.default_rng(0).integers(0, 4, 1500)
    nodes = [
        helper.make_node("Conv", [f"t{i}" if i else "x", f"w{k}"], [f"t{i + 1}"], f"c{i}", pads=[k] * 4)
        for i, k in enumerate(kernels.tolist())
    ]
    weights = [numpy_helper.from_array(np.ones((1, 1, 2 * k + 1, 2 * k + 1), np.float32), f"w{k}") for k in range(4)]
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, 8, 8]) for name in ("x", "t1500")]
    graph = helper.make_graph(nodes, "chain", value[:1], value[1:], weights)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    final = arranged(_diagram(proto))
    assert 20 < len(list(shown(final))) <= LARGEST
    assert len([box for box in final.boxes() if box.nodes]) == 1500
    _check_order(final)
