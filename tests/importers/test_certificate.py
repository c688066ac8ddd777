"""The parity certificate: what it measures, and what it admits when it cannot measure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny_caffe
import tiny_models
from onnxray.importers import load, opencv_version
from onnxray.importers.caffe import oracle
from onnxray.importers.caffe.source import open_source
from onnxray.importers.certificate import (
    BAR,
    Certificate,
    Reference,
    certify,
    compare,
    compare_arrays,
    read_certificate,
    run_onnx,
    write_certificate,
)
from tiny_caffe import layer

Shared = Callable[[str], Path]
IMAGE = (1, 3, 8, 8)
CONV = layer("Convolution", "data", "conv1", convolution_param="num_output: 4 kernel_size: 3 pad: 1")


def test_differences_are_measured_in_the_source_s_range() -> None:
    theirs = np.array([[-3.0, 1.0, 5.0]], np.float32)
    row = compare_arrays("x", theirs, theirs + np.array([[0, 0.002, -0.001]], np.float32))
    assert row.range == 8
    assert row.difference == pytest.approx(0.002, rel=1e-3)
    assert row.relative == pytest.approx(0.00025, rel=1e-3)
    assert not row.passed
    assert compare_arrays("x", theirs, theirs + np.float32(7e-4)).passed


@pytest.mark.parametrize(
    ("theirs", "ours", "passed"),
    [
        (np.ones((1, 4)), np.ones((4, 1, 1)), True),  # dimensions of one do not count
        (np.ones((2, 3)), np.ones((3, 2)), False),
        (np.array([1.0, 2.0]), np.array([1.0, np.nan]), False),
        (np.full(3, 5.0), np.full(3, 5.0), True),  # no range: its size stands in
        (np.full(3, 5.0), np.full(3, 5.1), False),
        (np.zeros(3), np.zeros(3), True),
        (np.zeros((0, 7)), np.zeros((0, 7)), True),
    ],
)
def test_odd_pairs(theirs: np.ndarray, ours: np.ndarray, passed: bool) -> None:
    assert compare_arrays("x", theirs, ours).passed is passed


def test_any_tensor_of_a_graph_by_name() -> None:
    proto = tiny_models.model()
    image = tiny_caffe.noise((1, 1, 8, 8))
    found = run_onnx(proto, {"image": image}, ["scores", "relu1"])
    assert found["relu1"].shape == (1, 2, 8, 8)
    assert found["relu1"].min() == 0
    assert found["scores"].sum() == pytest.approx(1)
    assert [value.name for value in proto.graph.output] == ["scores"]  # the model handed in is as it was


def test_a_wrong_graph_fails() -> None:
    """One weight off by a hundredth shows in every tensor behind it."""
    right, wrong = tiny_models.model(seed=0), tiny_models.model(seed=0)
    raw = np.frombuffer(wrong.graph.initializer[0].raw_data, np.float32).copy()
    raw[0] += 0.01
    wrong.graph.initializer[0].raw_data = raw.tobytes()
    feeds = {"image": tiny_caffe.noise((1, 1, 8, 8))}
    truth = run_onnx(right, feeds, ["scores", "conv1"])
    assert compare(right, Reference("itself", "it", feeds, truth)).verified
    certificate = compare(wrong, Reference("another", "it", feeds, truth))
    assert not certificate.verified
    assert "conv1" in {row.name for row in certificate.failed}


def test_it_is_kept_in_the_file() -> None:
    proto = tiny_models.model()
    feeds = {"image": tiny_caffe.noise((1, 1, 8, 8))}
    certificate = compare(proto, Reference("itself", "it", feeds, run_onnx(proto, feeds, ["scores", "conv1"])))
    assert read_certificate(proto) is None
    write_certificate(proto, certificate)
    assert read_certificate(proto) == certificate
    write_certificate(proto, Certificate(note="no"))
    assert read_certificate(proto) == Certificate(note="no")


def test_onnx_needs_no_certificate(tmp_path: Path) -> None:
    path = tiny_models.save(tmp_path / "tiny.onnx")
    certificate = certify(path, None, load(path))
    assert (certificate.verified, certificate.note) == (False, "it is ONNX already")


def test_without_opencv_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, binary = tiny_caffe.write(tmp_path, tiny_caffe.deploy(CONV, IMAGE))
    monkeypatch.setattr(opencv_version, "find_spec", lambda name: None)
    certificate = certify(binary, text, load(binary))
    assert not certificate.verified
    assert 'pip install "onnxray[verify]"' in certificate.note


def test_a_crash_of_opencv_is_survived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As OpenCV 4.14 does on a BatchNorm without global statistics."""
    dying = tmp_path / "dying.py"
    dying.write_text("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    monkeypatch.setattr(oracle, "OPENCV", dying)
    text, binary = tiny_caffe.write(tmp_path, tiny_caffe.deploy(CONV, IMAGE))
    certificate = certify(binary, text, load(binary))
    assert not certificate.outputs
    assert "crashed, signal 11" in certificate.note


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("ArgMax", {}),  # OpenCV has no such layer
        ("LRN", {"lrn_param": "local_size: 3 alpha: 0.5 k: 2"}),  # OpenCV forgets k
        ("Log", {"log_param": "shift: 100"}),  # OpenCV forgets the shift
        ("InnerProduct", {"inner_product_param": "num_output: 4 transpose: true"}),  # OpenCV does not transpose
    ],
)
def test_layers_beyond_opencv_leave_the_rest_compared(kind: str, params: dict[str, str], tmp_path: Path) -> None:
    layers = CONV + "\n" + layer("ReLU", "conv1", "relu") + "\n" + layer(kind, "relu", **params)
    text, binary = tiny_caffe.write(tmp_path, tiny_caffe.deploy(layers, IMAGE))
    certificate = certify(binary, text, load(binary))
    assert not certificate.verified
    assert certificate.missing == ("out",)
    assert [row.name for row in certificate.inner] == ["relu"]
    assert not certificate.failed
    assert kind in certificate.reads


def test_the_witness_is_independent(tmp_path: Path) -> None:
    """A weight that the importer would read wrongly: the certificate notices."""
    text, binary = tiny_caffe.write(tmp_path, tiny_caffe.deploy(CONV, IMAGE))
    proto = load(binary)
    raw = np.frombuffer(proto.graph.initializer[0].raw_data, np.float32)
    proto.graph.initializer[0].raw_data = raw[::-1].tobytes()
    certificate = certify(binary, text, proto)
    assert certificate.reads == "the original files"
    assert not certificate.verified
    assert [row.name for row in certificate.failed] == ["conv1"]


def test_files_that_opencv_refuses_are_written_anew(shared: Shared) -> None:
    path = shared("models/caffe/lenet_mnist/lenet_iter_10000.caffemodel")
    companion = path.with_name("lenet_train_test.prototxt")
    certificate = certify(path, companion, load(path, companion=companion))
    assert certificate.verified
    assert certificate.reads == "our prototxt, the original caffemodel"
    assert certificate.reference.startswith("OpenCV 4")
    assert certificate.worst is not None
    assert certificate.worst.relative < BAR / 10


def test_the_prototxt_written_for_the_witness_is_the_same_network(shared: Shared, tmp_path: Path) -> None:
    path = shared("models/caffe/ultraface_rfb320/RFB-320.caffemodel")
    proto = load(path)
    net = open_source(path, None).net
    feeds = {"input": np.zeros((1, 3, 240, 320), np.float32)}
    (tmp_path / "ours.prototxt").write_bytes(oracle.write_prototxt(net, feeds))
    (tmp_path / "ours.caffemodel").write_bytes(oracle.write_caffemodel(net))
    again = load(tmp_path / "ours.caffemodel")
    again.graph.name = proto.graph.name
    assert again.graph == proto.graph
