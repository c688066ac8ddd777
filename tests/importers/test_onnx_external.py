"""External data: files inside the model's folder and nothing else, checked before they are read."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import onnxray
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxray.importers import load, onnx_file, tensors
from onnxray.importers.errors import InputError

VALUES = np.arange(12, dtype=np.float32).reshape(3, 4)


def _model(folder: Path, values: np.ndarray = VALUES, **entries: object) -> Path:
    """Gather rows of a table whose values lie in `table.bin` (unless `entries` say otherwise)."""
    tensor = numpy_helper.from_array(values, "table")
    (folder / "table.bin").write_bytes(b"head" + tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    stated = {"location": "table.bin", "offset": 4, "length": values.nbytes} | entries
    for key, value in stated.items():
        tensor.external_data.add(key=key, value=str(value))
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "rows"], ["y"])],
        "g",
        [helper.make_tensor_value_info("rows", TensorProto.INT64, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
        [tensor],
    )
    path = folder / "m.onnx"
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    )
    return path


@pytest.mark.parametrize("limit", [1 << 29, 0])
def test_values_are_the_same_read_in_or_left_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(tensors, "EMBED_LIMIT", limit)
    model = onnxray.load(_model(tmp_path))
    assert tensors.is_external(model.graph.initializers["table"]) == (limit == 0)
    np.testing.assert_array_equal(model.graph.weight("table"), VALUES)
    np.testing.assert_array_equal(model.graph.constant("table"), VALUES)
    rows = np.asarray([2, 0])
    np.testing.assert_array_equal(model.session().run({"rows": rows})["y"], VALUES[rows])
    assert model.source["sha256"].keys() == {"m.onnx", "table.bin"}


def test_smallest_tensors_are_read_in_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensors, "EMBED_LIMIT", 20)
    proto = onnx.ModelProto()
    for name, size in (("large", 16), ("small", 4)):
        tensor = TensorProto(name=name, data_type=TensorProto.UINT8, dims=[size], data_location=TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value="data")
        proto.graph.initializer.append(tensor)
    proto.graph.initializer.add().CopyFrom(proto.graph.initializer[0])
    (tmp_path / "data").write_bytes(bytes(range(16)))
    tensors.embed_external(proto.graph, tmp_path)
    assert [tensors.is_external(tensor) for tensor in proto.graph.initializer] == [False, False, True]


@pytest.mark.parametrize("limit", [1 << 29, 0])
def test_four_bit_values_are_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(tensors, "EMBED_LIMIT", limit)
    values = np.asarray([[1, -2, 3, 4], [5, 6, 7, -8], [0, 1, 2, 3]])
    packed = values.astype(helper.tensor_dtype_to_np_dtype(TensorProto.INT4))
    proto = load(_model(tmp_path, packed, length=6))
    np.testing.assert_array_equal(tensors.read_tensor(proto.graph.initializer[0], tmp_path).astype(int), values)


def test_written_models_carry_their_outside_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensors, "EMBED_LIMIT", 0)
    path = _model(tmp_path)
    target = tmp_path / "elsewhere"
    target.mkdir()
    proto = load(path)
    onnx_file.write(proto, target / "copy.onnx", tmp_path)
    assert sorted(entry.name for entry in target.iterdir()) == ["copy.onnx", "copy.onnx.data"]
    assert proto.graph.initializer[0].external_data[0].value == "table.bin"  # left as it was
    np.testing.assert_array_equal(onnxray.load(target / "copy.onnx").graph.weight("table"), VALUES)


def test_nothing_is_left_when_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensors, "EMBED_LIMIT", 0)
    path = _model(tmp_path)
    proto = load(path)
    (tmp_path / "table.bin").unlink()
    target = tmp_path / "elsewhere"
    target.mkdir()
    with pytest.raises(InputError, match="missing"):
        onnx_file.write(proto, target / "copy.onnx", tmp_path)
    assert not list(target.iterdir())


@pytest.mark.parametrize(
    "location",
    ["../../etc/passwd", "/etc/passwd", "a/../../secret", "C:\\secret", "..\\secret", "\\\\host\\share", "", "//x"],
)
def test_places_outside_the_folder_are_refused(tmp_path: Path, location: str) -> None:
    with pytest.raises(InputError, match=r"inside the model's folder.*refused"):
        load(_model(tmp_path, location=location))


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    inside = tmp_path / "model"
    inside.mkdir()
    (tmp_path / "secret").write_bytes(bytes(100))
    (inside / "link").symlink_to(tmp_path / "secret")
    (inside / "folder").symlink_to(tmp_path)
    for location in ("link", "folder/secret"):
        with pytest.raises(InputError, match="link out of the model's folder"):
            load(_model(inside, location=location))


def test_a_link_inside_the_folder_is_fine(tmp_path: Path) -> None:
    path = _model(tmp_path, location="link")
    (tmp_path / "link").symlink_to("table.bin")
    np.testing.assert_array_equal(numpy_helper.to_array(load(path).graph.initializer[0]), VALUES)


def test_a_pipe_is_refused_without_opening_it(tmp_path: Path) -> None:
    """Opening it would wait for ever."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="not a regular file"):
        load(_model(tmp_path, location="pipe"))


@pytest.mark.parametrize("location", ["missing.bin", "sub/missing.bin", "nul\0l"])
def test_a_missing_file_is_named(tmp_path: Path, location: str) -> None:
    with pytest.raises(InputError, match="is missing"):
        load(_model(tmp_path, location=location))


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"length": 1 << 60}, "claims 48 bytes, its external data 1152921504606846976"),
        ({"offset": 1 << 60}, "has 52 bytes"),
        ({"offset": 5}, "has 52 bytes"),
        ({"offset": -4}, "at offset -4"),
        ({"offset": "four"}, "no number"),
        ({"length": 44}, "claims 48 bytes, its external data 44"),
    ],
)
def test_claims_are_checked_against_the_file(tmp_path: Path, entries: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(_model(tmp_path, **entries))


@pytest.mark.parametrize("text", ["location", "table.bin"])
def test_entries_that_are_no_text(tmp_path: Path, text: str) -> None:
    path = _model(tmp_path)
    path.write_bytes(path.read_bytes().replace(text.encode(), b"\xff" * len(text)))
    with pytest.raises(InputError, match="tensor table: what it says of its external data is no text"):
        load(path)


def test_a_claim_of_2_to_the_60_elements_is_refused_at_once(tmp_path: Path) -> None:
    path = _model(tmp_path)
    proto = onnx.load(path, load_external_data=False)
    proto.graph.initializer[0].dims[:] = [1 << 58, 4]
    del proto.graph.initializer[0].external_data[1:]
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(InputError, match="claims 4611686018427387904 bytes"):
        load(path)


def test_a_table_of_three_gigabytes_is_mapped(tmp_path: Path) -> None:
    """The file is sparse: what matters is that nobody reads it whole."""
    rows = 200_000_000
    path = _model(tmp_path)
    proto = onnx.load(path, load_external_data=False)
    tensor = proto.graph.initializer[0]
    tensor.dims[:] = [rows, 4]
    del tensor.external_data[1:]
    path.write_bytes(proto.SerializeToString())
    with (tmp_path / "table.bin").open("wb") as file:
        file.truncate(rows * 16)
        file.seek(16 * 123_456_789)
        file.write(VALUES[1].tobytes())
    model = onnxray.load(path)
    np.testing.assert_array_equal(
        model.session().run({"rows": np.asarray([123_456_789, 5])})["y"], [VALUES[1], [0] * 4]
    )
    np.testing.assert_array_equal(model.graph.weight("table")[123_456_789], VALUES[1])
    assert "not hashed" in model.source["sha256"]["table.bin"]
