"""TensorFlow graphs whose number of images is open: it stays so where that is sure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxray
import pytest
from onnxray.importers.certificate import run_onnx
from tensorflow_graphs import Net, small, write


def batches(path: Path, **options: object) -> list[int | str]:
    """The first axis of all inputs and outputs."""
    graph = onnxray.load(path, **options).proto.graph
    ends = (*graph.input, *graph.output)
    return [(dim := value.type.tensor_type.shape.dim[0]).dim_param or dim.dim_value for value in ends]


def flattened() -> Net:
    """`small`, its image as one row of numbers a picture: [-1, 80] by way of the image's own shape."""
    net = small()
    shape = net.node("Shape", ["relu"], T="FLOAT32")
    count = net.node(
        "StridedSlice",
        [shape, net.ints([0]), net.ints([1]), net.ints([1])],
        T="INT32",
        Index="INT32",
        shrink_axis_mask=1,
    )
    wanted = net.node("Pack", [count, net.ints(48)], T="INT32", N=2, axis=0)
    net.node("Reshape", ["relu", wanted], "flat", T="FLOAT32", Tshape="INT32")
    net.node("MatMul", ["flat", net.constant(net.numbers(48, 2))], "end", T="FLOAT32")
    return net


def test_any_number_of_images(tmp_path: Path) -> None:
    """Whatever is computed from their number, as far as a reshape takes it."""
    path = write(tmp_path / "net.pb", flattened())
    assert batches(path) == ["N"] * 3
    assert batches(path, shapes={"x": (4, 3, 6, 5)}) == [4] * 3
    proto = onnxray.load(path).proto
    onnx.checker.check_model(proto, full_check=True)
    images = np.random.default_rng(0).normal(size=(5, 3, 6, 5)).astype(np.float32)
    names = ["answer", "end"]
    together = run_onnx(proto, {"x": images}, names)
    for number in range(5):
        alone = run_onnx(proto, {"x": images[number : number + 1]}, names)
        assert all(np.allclose(together[name][number], alone[name][0], atol=1e-5) for name in names)


@pytest.mark.parametrize("kind", ["Tile", "Mul", "MatMul"])
def test_one_image_where_it_is_not_sure(tmp_path: Path, kind: str) -> None:
    """Their number in a shape that is no reshape's, as a number, or as rows of a constant."""
    net = flattened()
    (count,) = [node.name for node in net.message.node if node.op == "StridedSlice"]
    if kind == "Tile":
        repeats = net.node("Pack", [net.ints(1), count], T="INT32", N=2, axis=0)
        net.node("Tile", ["end", repeats], "last", T="FLOAT32")
    elif kind == "Mul":
        number = net.node("Cast", [count], SrcT="INT32", DstT="FLOAT32")
        net.node("Mul", ["end", net.node("Sqrt", [number], T="FLOAT32")], "last", T="FLOAT32")
    else:
        rows = net.node("Pack", [count, count], T="INT32", N=2, axis=0)
        square = net.node("Fill", [rows, net.constant(1.0)], T="FLOAT32")
        net.node("MatMul", [square, "end"], "last", T="FLOAT32")
    assert batches(write(tmp_path / "net.pb", net)) == [1] * 3


@pytest.mark.parametrize(("wanted", "expected"), [([1, 48], [1, 1, 1]), ([2, -1], ["N", "N", 2])])
def test_reshapes_across_images(tmp_path: Path, wanted: list[int], expected: list[int | str]) -> None:
    """Fixed where the file has the shape for one image; as it says where it leaves the rest open."""
    net = small()
    net.node("Reshape", ["relu", net.ints(wanted)], "end", T="FLOAT32", Tshape="INT32")
    assert batches(write(tmp_path / "net.pb", net)) == expected


def test_another_input_is_fixed(tmp_path: Path) -> None:
    net = small()
    net.input(net.numbers(1, 4), "bias")
    net.node("AddV2", ["answer", "bias"], "end", T="FLOAT32")
    assert batches(write(tmp_path / "net.pb", net)) == [1] * 3
