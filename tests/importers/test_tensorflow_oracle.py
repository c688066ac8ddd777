"""TensorFlow as the witness of a certificate: what it is given, and what it is not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxray
import pytest
from onnxray.importers.certificate import certify
from onnxray.importers.errors import InputError
from onnxray.importers.tensorflow.network import Entry, Network
from onnxray.importers.tensorflow.reader import Node
from onnxray.importers.tensorflow.tensorflow_oracle import ELSEWHERE, reference
from tensorflow_graphs import Net, saved, small, write
from tensorflow_runs import TENSORFLOW

needs_tensorflow = pytest.mark.skipif(not TENSORFLOW, reason="ONNXRAY_TENSORFLOW_PYTHON names none")


def with_a_file_written(path: Path) -> Net:
    """A network that TensorFlow would run only after it has written a file."""
    net = small()
    net.node("Const", [], "content", dtype="STRING")
    for name, text in (("name", str(path)), ("content_2", "evil")):
        tensor = net.message.node.add(name=name, op="Const").attr
        tensor.add(key="dtype").value.type = 7
        value = tensor.add(key="value").value.tensor
        value.dtype, value.string_val[:] = 7, [text.encode()]
    net.node("WriteFile", ["name", "content_2"], "write")
    (conv,) = [node for node in net.message.node if node.name == "conv"]
    conv.input.append("^write")
    return net


def stand_in(folder: Path) -> Path:
    """A program in the place of TensorFlow's Python: it keeps what it is given and refuses."""
    script = folder / "python"
    script.write_text(f'#!/bin/sh\ncp "$3" {folder}/given.pb\ncp "$5" {folder}/wanted.json\necho no >&2\nexit 3\n')
    script.chmod(0o700)
    return script


def test_a_python_that_cannot_be_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "net.pb", small())
    monkeypatch.setenv(ELSEWHERE, str(tmp_path / "nowhere"))
    note = certify(path, None, onnxray.load(path).proto).note
    assert "TensorFlow cannot run this network" in note and "nowhere cannot be started: No such file" in note


def test_what_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file itself, but nothing of it that does more than compute."""
    monkeypatch.setenv(ELSEWHERE, str(stand_in(tmp_path)))
    plain = write(tmp_path / "plain.pb", small())
    writing = write(tmp_path / "writing.pb", with_a_file_written(tmp_path / "evil"))
    for path in (plain, writing, saved(tmp_path / "model", small())):
        note = certify(path, None, onnxray.load(path).proto).note
        assert note == "TensorFlow cannot run this network (no)"
        given = (tmp_path / "given.pb").read_bytes()
        assert (given == plain.read_bytes()) is (path == plain)
        assert b"WriteFile" not in given and b"Conv2D" in given
        assert json.loads((tmp_path / "wanted.json").read_text()) == ["answer"]


def test_branches_that_are_not_taken_are_not_run(tmp_path: Path) -> None:
    path = write(tmp_path / "net.pb", small())
    node = Node("read", "ReadFile", [], {})
    network = Network([node], [Entry("x", "FLOAT32", (1,))], [("answer", "answer")])
    (tmp_path / "net.pbtxt").write_text("node { }")
    with pytest.raises(InputError, match=r"operators that TensorFlow would run, in branches .*: ReadFile"):
        reference(tmp_path / "net.pbtxt", network, onnxray.load(path).proto, ["answer"], set(), "python")


@needs_tensorflow
def test_a_certificate_by_tensorflow(tmp_path: Path) -> None:
    path = write(tmp_path / "net.pb", small())
    certificate = certify(path, None, onnxray.load(path).proto, per_layer=True)
    assert certificate.verified and certificate.reads == "the original file"
    assert certificate.reference.startswith("TensorFlow 2.")
    assert {row.name for row in certificate.inner} == {"conv", "relu"}
    assert {row.shape for row in certificate.inner} == {(1, 4, 4, 3)}


@needs_tensorflow
def test_nothing_else_happens(tmp_path: Path) -> None:
    path = write(tmp_path / "net.pb", with_a_file_written(tmp_path / "evil"))
    certificate = certify(path, None, onnxray.load(path).proto)
    assert certificate.verified and certificate.reads == "its nodes, written as one frozen graph by us"
    assert not (tmp_path / "evil").exists()


@needs_tensorflow
def test_a_network_that_is_not_the_same(tmp_path: Path) -> None:
    path = write(tmp_path / "net.pb", small())
    proto = onnxray.load(path).proto
    weights = next(tensor for tensor in proto.graph.initializer if len(tensor.dims) == 4)
    weights.raw_data = (1.01 * np.frombuffer(weights.raw_data, np.float32)).tobytes()
    assert certify(path, None, proto).failed
