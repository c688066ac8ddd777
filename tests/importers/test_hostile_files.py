"""What a hostile file may try in any format: code, nesting, claims. One line each time, and no code ever runs."""

from __future__ import annotations

import json
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_caffe
import tiny_keras
import tiny_models
import tiny_tflite
from onnxray.importers import load
from onnxray.importers.caffe.wire_schema import message_class
from onnxray.importers.errors import InputError

DEPTH = 10_000


class Evil:
    """Unpickling it writes a file."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"echo x > {self.canary}",)


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def field(number: int, content: bytes) -> bytes:
    """A protobuf field that holds a message or text."""
    length, size = b"", len(content)
    while size >= 0x80:
        length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


def nested(*numbers: int) -> bytes:
    """Messages in each other, 10,000 deep, by these fields in turn."""
    content = b""
    for depth in range(DEPTH):
        content = field(numbers[depth % len(numbers)], content)
    return content


# A graph in an attribute of a node of a graph; layers; functions as attributes of functions; a graph's types.
NESTED: dict[str, tuple[str, bytes]] = {
    "ONNX graphs": ("net.onnx", b"\x08\x08" + field(7, nested(6, 5, 1)) + field(8, b"\x10\x11")),
    "ONNX types": ("net.onnx", b"\x08\x08" + field(7, field(11, nested(1, 4, 2))) + field(8, b"\x10\x11")),
    "Caffe layers": ("net.caffemodel", field(2, nested(1))),
    "TensorFlow functions": ("net.pb", field(1, field(1, b"x") + field(5, field(2, nested(10, 2, 2))))),
    "a SavedModel": ("net.pb", b"\x08\x01" + field(2, field(1, b"") + field(2, nested(1)))),
}


@pytest.mark.parametrize("name", NESTED)
def test_protobuf_nested_ten_thousand_deep(name: str, tmp_path: Path) -> None:
    file, content = NESTED[name]
    (tmp_path / file).write_bytes(content)
    assert file in refused(tmp_path / file)


HOSTILE: dict[str, Callable[[Path, Evil], object]] = {
    "weights.keras": lambda path, evil: _keras(path, **{"model.weights.h5": pickle.dumps(evil)}),
    "config.keras": lambda path, evil: _keras(path, **{"config.json": pickle.dumps(evil)}),
    "lambda.h5": lambda path, evil: tiny_keras.write_h5(path, _lambda(evil), {}),
    "joblib.zip": lambda path, evil: _zip(path, {"model.joblib": pickle.dumps(evil)}),
    "model.joblib": lambda path, evil: path.write_bytes(pickle.dumps(evil)),
    "compressed.joblib": lambda path, evil: path.write_bytes(zlib.compress(pickle.dumps(evil))),
    "model.npz": lambda path, evil: _zip(path, {"a.npy": pickle.dumps(evil)}),
}


def _zip(path: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def _keras(path: Path, **members: bytes) -> None:
    _zip(path, {"metadata.json": b"{}", "config.json": b"{}", "model.weights.h5": b"", **members})


def _lambda(evil: Evil) -> Any:
    code = [pickle.dumps(evil).hex(), None, None]
    return tiny_keras.sequential(tiny_keras.layer("Lambda", "f", function=code, batch_input_shape=[None, 4]))


@pytest.mark.parametrize("name", HOSTILE)
def test_pickles_wherever_they_lie_are_never_run(name: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    HOSTILE[name](tmp_path / name, Evil(canary))
    assert name in refused(tmp_path / name) or name == "lambda.h5"
    assert not canary.exists()
    pickle.loads(pickle.dumps(Evil(canary)))  # the canary sings
    assert canary.exists()


def test_pickles_beside_the_parts_of_an_archive_are_not_opened(tmp_path: Path) -> None:
    dense = tiny_keras.layer("Dense", "d", units=3, batch_input_shape=[None, 4])
    arrays = {f"layers/dense/vars/{index}": tiny_keras.noise(*shape) for index, shape in enumerate([(4, 3), (3,)])}
    pickled = pickle.dumps(Evil(tmp_path / "canary"))
    members = {"model.pkl": pickled, "assets/a.joblib": pickled, "weights.npz": pickled}
    path = tiny_keras.write_keras(tmp_path / "net.keras", tiny_keras.sequential(dense), arrays, **members)
    assert load(path).graph.node
    assert not (tmp_path / "canary").exists()


def test_a_link_that_leads_nowhere_or_in_a_circle_is_refused(tmp_path: Path) -> None:
    for name, target in {"gone.onnx": "nowhere.onnx", "circle.onnx": "circle.onnx"}.items():
        (tmp_path / name).symlink_to(target)
        assert name in refused(tmp_path / name)


def test_archive_members_that_are_links_are_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "net.keras"
    dense = tiny_keras.layer("Dense", "d", units=3, batch_input_shape=[None, 4])
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", json.dumps(tiny_keras.sequential(dense)))
        link = zipfile.ZipInfo("model.weights.h5")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    assert "expected a Keras file" in refused(path)


def _onnx(path: Path) -> None:
    proto = tiny_models.model()
    proto.graph.initializer[0].dims[:] = [1 << 60]
    path.write_bytes(proto.SerializeToString())


def _caffe(path: Path) -> None:
    net = message_class("Net")()
    net.layer.add(name="ip", type="InnerProduct").blobs.add(data=bytes(8)).shape.dim.extend([1 << 30, 1 << 30])
    path.write_bytes(net.SerializeToString())
    path.with_suffix(".prototxt").write_text(
        tiny_caffe.deploy(tiny_caffe.layer("InnerProduct", top="ip", inner_product_param="num_output: 5"))
    )


def _tflite(path: Path) -> None:
    shape = struct.pack("<4i", 4, 3, 3, 3)  # of the weights
    content = tiny_tflite.small()
    assert content.count(shape) == 1
    path.write_bytes(content.replace(shape, struct.pack("<4i", 1 << 15, 1 << 15, 1 << 15, 1 << 15)))


CLAIMS: dict[str, Callable[[Path], None]] = {"net.onnx": _onnx, "net.caffemodel": _caffe, "net.tflite": _tflite}


@pytest.mark.parametrize("name", CLAIMS)
def test_weights_that_claim_two_to_the_sixty_are_refused(name: str, tmp_path: Path) -> None:
    CLAIMS[name](tmp_path / name)
    message = refused(tmp_path / name)
    assert "claim" in message or "holds 2 numbers" in message or "bytes" in message
