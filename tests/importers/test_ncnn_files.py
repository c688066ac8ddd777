"""What is read from NCNN files of either form: names, sizes, weights in every storage, heads; and their other half."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from ncnn_cases import Case, rows_of
from onnx import numpy_helper
from onnxray.importers import load
from onnxray.importers.certificate import run_onnx
from onnxray.importers.errors import InputError
from onnxray.importers.heads import read_heads
from onnxray.importers.input_spec import read_input_spec
from onnxray.importers.sniff import recognise
from tiny_ncnn import Row, given, noise, raw, tagged, text, write

KERNEL = noise(4, 3, 3, 3)
CONV = Row("Convolution", "conv", ["data"], ["conv"], {0: 4, 1: 3, 4: 1, 5: 1, 6: 108, 9: 1},
           tagged(KERNEL) + raw(noise(4)))  # fmt: skip
POOL = Row("Pooling", "pool", ["conv"], ["pool"], {0: 1, 4: 1})
NETWORK = [given("data", 3, 8, 10), CONV, POOL, Row("Softmax", "prob", ["pool"], ["prob"])]


def shapes(proto: onnx.ModelProto) -> list[list[int | str]]:
    return [
        [dim.dim_value or dim.dim_param for dim in value.type.tensor_type.shape.dim]
        for value in (*proto.graph.input, *proto.graph.output)
    ]


def test_nodes_are_called_like_layers_and_tensors_like_blobs(tmp_path: Path) -> None:
    graph = load(write(tmp_path, NETWORK)).graph
    assert [node.name for node in graph.node] == ["conv", "conv/activation", "pool", "pool/flat", "prob"]
    assert [node.output[0] for node in graph.node][1::2] == ["conv", "pool"]
    assert [value.name for value in graph.output] == ["prob"]


@pytest.mark.parametrize("as_binary", [False, True])
def test_either_file_of_either_form_is_told_by_content(tmp_path: Path, as_binary: bool) -> None:
    path = write(tmp_path, NETWORK, as_binary=as_binary)
    assert recognise(path) == recognise(tmp_path / "net.bin") == "ncnn"
    image = noise(1, 3, 8, 10)
    found = []
    for file in (path, tmp_path / "net.bin"):
        proto = load(file)
        found.append(run_onnx(proto, {proto.graph.input[0].name: image}, [proto.graph.output[0].name]))
    assert shapes(proto) == [["batch", 3, 8, 10], ["batch", 4]]
    np.testing.assert_array_equal(*[next(iter(values.values())) for values in found])


@pytest.mark.parametrize(
    "storage, error", [("float", 0), ("again", 0), ("half", 2e-3), ("table", 2e-2)], ids=lambda value: str(value)
)
def test_weights_are_floats_however_they_are_stored(tmp_path: Path, storage: str, error: float) -> None:
    row = Row(CONV.type, CONV.name, CONV.bottoms, CONV.tops, CONV.params, tagged(KERNEL, storage) + raw(noise(4)))
    proto = load(write(tmp_path, [NETWORK[0], row]))
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    assert stored["conv/weights"].dtype == np.float32
    assert np.abs(stored["conv/weights"] - KERNEL).max() <= error


def test_int8_layers_round_what_enters_them(tmp_path: Path) -> None:
    weights = tagged(np.rint(KERNEL * 20), "int8") + raw(noise(4)) + raw(np.full(4, 20.0)) + raw(np.array([50.0]))
    row = Row(CONV.type, "conv", ["data"], ["conv"], {**CONV.params, 8: 2}, weights)
    proto = load(write(tmp_path, [NETWORK[0], row]))
    assert [node.op_type for node in proto.graph.node] == ["Clip", "QuantizeLinear", "DequantizeLinear", "Conv", "Relu"]
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    assert np.abs(stored["conv/weights"] - KERNEL).max() <= 0.5 / 20 + 1e-6


def test_copies_and_what_changes_nothing_become_no_nodes(tmp_path: Path) -> None:
    rows = [
        given("data", 3, 8, 10),
        Row("Split", "split", ["data"], ["a", "b"]),
        Row("Noop", "noop", ["a"], ["c"]),
        Row("Packing", "packing", ["b"], ["d"]),
        Row("Cast", "cast", ["d"], ["e"], {0: 1, 1: 2}),
        Row("MemoryData", "constant", [], ["m"], {0: 10, 1: 8, 2: 3}, raw(noise(3, 8, 10))),
        Row("MemoryData", "half", [], ["n"], {0: 10, 21: 0}, tagged(noise(10), "half")),
        Row("BinaryOp", "sum", ["c", "e"], ["sum"]),
        Row("BinaryOp", "more", ["sum", "m"], ["more"], {0: 0}),
        Row("BinaryOp", "most", ["more", "n"], ["most"], {0: 2}),
        Row("Split", "last", ["most"], ["x", "y"]),
    ]
    proto = load(write(tmp_path, rows))
    assert [node.op_type for node in proto.graph.node] == ["Add", "Add", "Unsqueeze", "Mul", "Identity", "Identity"]
    image = noise(1, 3, 8, 10)
    expected = (image * 2 + noise(3, 8, 10)) * noise(10).astype(np.float16)
    found = run_onnx(proto, {"data": image}, ["x", "y"])
    for value in found.values():
        np.testing.assert_allclose(value, expected, atol=1e-5)


# ---- the size of the input


def test_an_input_without_a_size_has_the_channels_of_its_reader(tmp_path: Path) -> None:
    path = write(tmp_path, [given("data"), *NETWORK[1:]])
    assert shapes(load(path))[0] == ["batch", 3, "height", "width"]
    assert shapes(load(path, size=(8, 10)))[0] == ["batch", 3, 8, 10]
    assert shapes(load(path, shapes={"data": (1, 3, 16, 20)}))[0] == [1, 3, 16, 20]
    spec = read_input_spec(load(path, size=(8, 10)))
    assert spec is not None and spec.size == (8, 10)


def test_the_size_said_replaces_that_of_the_file(tmp_path: Path) -> None:
    assert shapes(load(write(tmp_path, NETWORK), size=(16, 20)))[0] == ["batch", 3, 16, 20]


def test_a_list_that_enters_is_as_long_as_its_weights(tmp_path: Path) -> None:
    dense = Row("InnerProduct", "fc", ["data"], ["fc"], {0: 2, 2: 14}, tagged(noise(2, 7)))
    assert shapes(load(write(tmp_path, [given("data"), dense]))) == [["batch", 7], ["batch", 2]]


def test_where_nothing_tells_the_size_it_is_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path, [given("data"), Row("Softmax", "prob", ["data"], ["prob"])])
    with pytest.raises(InputError, match=r"layer data \(Input\): the file does not say the size .* --shape"):
        load(path)
    assert shapes(load(path, shapes={"data": (1, 7)})) == [[1, 7], [1, 7]]


def test_a_layer_that_depends_on_the_size_says_so(tmp_path: Path) -> None:
    case = Row("Reorg", "reorg", ["conv"], ["out"], {0: 2})
    path = write(tmp_path, [given("data"), CONV, case])
    with pytest.raises(InputError, match=r"layer reorg \(Reorg\): depends on the size of the input"):
        load(path)
    assert shapes(load(path, size=(8, 10)))[1] == ["batch", 16, 4, 5]


# ---- detectors


def _maps(channels: int) -> list[Row]:
    kernel = [Row("Convolution", f"head{place}", [f"s{place}"], [f"head{place}"], {0: channels, 1: 1, 6: 3 * channels},
                  tagged(noise(channels, 3, 1, 1))) for place in (0, 1)]  # fmt: skip
    shrunk = Row("Pooling", "shrunk", ["s1"], ["s2"], {0: 0, 1: 2, 2: 2})
    kernel[1].bottoms = ["s2"]
    return [given("data", 3, 8, 8), Row("Split", "split", ["data"], ["s0", "s1"]), shrunk, *kernel]


YOLO = Row("Yolov3DetectionOutput", "out", ["head0", "head1"], ["boxes"],
           {0: 4, 1: 2, 2: 0.5, 3: 0.4, 4: [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], 5: [2.0, 3.0, 0.0, 1.0],
            6: [1.0, 2.0]})  # fmt: skip
REGION = Row("YoloDetectionOutput", "out", ["head0"], ["boxes"], {0: 4, 1: 2, 4: [1.0, 2.0, 3.0, 4.0]})
PRIORS = Row("PriorBox", "priors", ["head0", "data"], ["priors"], {0: [4.0], 9: -233, 10: -233, 13: 0.5})
SSD = Row("DetectionOutput", "out", ["head0", "head1", "priors"], ["boxes"], {0: 2})


def detectors() -> list[list[Row]]:
    """A network of each kind."""
    return [[*_maps(18), YOLO], [*_maps(18), REGION], [*_maps(18), PRIORS, SSD]]


def test_a_yolo_detector_ends_in_its_maps_and_says_how_boxes_come_of_them(tmp_path: Path) -> None:
    proto = load(write(tmp_path, [*_maps(18), YOLO]))
    assert [value.name for value in proto.graph.output] == ["head0", "head1"]
    first, second = read_heads(proto)
    assert (first.kind, first.tensors, first.classes) == ("yolo", ("head0",), 4)
    assert first.options["anchors"] == [[5, 6], [7, 8]] and first.options["image"] == [8, 8]
    assert second.options["anchors"] == [[1, 2], [3, 4]] and second.options["image"] == [8, 8]


def test_masks_written_as_the_bits_of_floats_are_those_floats(tmp_path: Path) -> None:
    """As NCNN's converter writes them: 1077936128 is 3."""
    params = {**YOLO.params, 5: [1073741824, 1077936128, 0, 1065353216]}
    first, _ = read_heads(load(write(tmp_path, [*_maps(18), Row(YOLO.type, "out", YOLO.bottoms, YOLO.tops, params)])))
    assert first.options["anchors"] == [[5, 6], [7, 8]]


def test_a_region_detector_ends_in_its_map(tmp_path: Path) -> None:
    (head,) = read_heads(load(write(tmp_path, [*_maps(18), REGION])))
    assert (head.kind, head.tensors, head.options["anchors"]) == ("region", ("head0",), [[1, 2], [3, 4]])


def test_a_detector_of_prior_boxes_ends_in_what_it_reads(tmp_path: Path) -> None:
    proto = load(write(tmp_path, [*_maps(18), PRIORS, SSD]))
    assert [value.name for value in proto.graph.output] == ["head0", "head1", "priors"]
    assert shapes(proto)[-1] == [1, 2, 8 * 8 * 4]
    assert read_heads(proto) == ()


# ---- the other half


@pytest.mark.parametrize("names", [("net.param", "net.bin"), ("net.ncnn.param", "net.ncnn.bin"),
                                   ("net.param.bin", "net.bin"), ("deploy.param", "weights.bin")])  # fmt: skip
def test_the_weights_are_found_beside_the_network(tmp_path: Path, names: tuple[str, str]) -> None:
    source = tmp_path / "source"
    source.mkdir()
    shutil.copy(write(source, NETWORK), tmp_path / names[0])
    shutil.copy(source / "net.bin", tmp_path / names[1])
    assert len(load(tmp_path / names[0]).graph.node) == 5


def test_a_companion_settles_it(tmp_path: Path) -> None:
    path = write(tmp_path, NETWORK)
    (tmp_path / "net.bin").rename(tmp_path / "b.bin")
    (tmp_path / "a.bin").write_bytes(b"\0" * 8)
    with pytest.raises(InputError, match=r"several lie beside it: a\.bin, b\.bin; name it with --companion"):
        load(path)
    for file, other in ((path, tmp_path / "b.bin"), (tmp_path / "b.bin", path)):
        if file == path:
            assert len(load(file, companion=other).graph.node) == 5
        else:
            file = file.rename(tmp_path / "net.bin")
            assert len(load(file, companion=other).graph.node) == 5


def test_comments_blank_lines_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = write(tmp_path, NETWORK)
    lines = text(NETWORK).splitlines()
    path.write_text("\ufeff" + "\r\n\r\n".join([*lines[:2], "# a comment", *lines[2:]]), encoding="utf-8")
    assert len(load(path).graph.node) == 5


def test_arrays_in_the_newer_form(tmp_path: Path) -> None:
    path = write(tmp_path, rows_of([Case("Slice", params={0: [2, 4]}, tops=2)]))
    path.write_text(path.read_text().replace("-23300=2,2,4", "0=2,4"))
    assert shapes(load(path))[1:] == [["batch", 2, 9, 8], ["batch", 4, 9, 8]]
