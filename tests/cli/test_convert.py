"""`onnxray convert`: the file it writes, the certificate it prints, and when it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import tiny_caffe
import tiny_models
from onnxray.engine.model import load
from onnxray.importers.certificate import read_certificate
from tiny_caffe import layer

Cli = Callable[..., tuple[int, str, str]]
Shared = Callable[[str], Path]


def test_lenet(cli: Cli, shared: Shared, tmp_path: Path) -> None:
    target = tmp_path / "lenet.onnx"
    code, out, err = cli("convert", shared("models/caffe/lenet_mnist/lenet_iter_10000.caffemodel"), "-o", target)
    assert (code, err) == (0, "")
    assert "9 nodes, 431,080 weights" in out
    assert "verified: 1 tensor within 0.0001 of OpenCV" in out
    certificate = read_certificate(onnx.load(target))
    assert certificate is not None
    assert certificate.verified


def test_the_onnx_file_is_read_as_the_source_is(cli: Cli, shared: Shared, tmp_path: Path) -> None:
    """Preprocessing, shapes, provenance and results survive; only the certificate is added."""
    source, target = shared("models/caffe/lenet_mnist/lenet_iter_10000.caffemodel"), tmp_path / "lenet.onnx"
    assert cli("convert", source, "-o", target, "--no-verify")[0] == 0
    before, after = load(source), load(target)
    assert after.spec == before.spec
    assert after.source == before.source
    assert after.input_shapes == before.input_shapes
    image = tiny_caffe.noise((1, 1, 28, 28))
    theirs, ours = (tiny_caffe.run(model.proto, {"data": image})["prob"] for model in (before, after))
    np.testing.assert_array_equal(ours, theirs)


def test_per_layer(cli: Cli, shared: Shared, tmp_path: Path) -> None:
    source = shared("models/caffe/lenet_mnist/lenet_deploy.prototxt")
    code, out, _ = cli("convert", source, "-o", tmp_path / "x.onnx", "--per-layer")
    assert code == 0
    for blob in ("conv1", "pool2", "ip1_before_relu1", "ip1", "prob"):
        assert blob in out
    assert "verified: 8 tensors" in out


def test_a_part_that_opencv_lacks(cli: Cli, shared: Shared, tmp_path: Path) -> None:
    source = shared("models/caffe/cifar10_quick/prediction_example.prototxt")
    code, out, _ = cli("convert", source, "-o", tmp_path / "x.onnx")
    assert code == 0
    assert "verified in part: 1 tensor" in out
    assert "not compared: argmax" in out


def test_beside_the_source_by_default(cli: Cli, tmp_path: Path) -> None:
    text, _ = tiny_caffe.write(tmp_path, tiny_caffe.deploy(layer("ReLU")))
    code, out, _ = cli("convert", text, "--no-verify")
    assert code == 0
    assert "verified" not in out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.caffemodel", "net.onnx", "net.prototxt"]


def test_options_reach_the_file(cli: Cli, tmp_path: Path) -> None:
    text, _ = tiny_caffe.write(tmp_path, tiny_caffe.deploy(layer("ReLU")))
    assert cli("convert", text, "--no-verify", "--rgb", "--mean", "104,117,123")[0] == 0
    spec = load(tmp_path / "net.onnx").spec
    assert (spec.channel_order, spec.mean) == ("RGB", (104, 117, 123))


def test_onnx_again(cli: Cli, tmp_path: Path) -> None:
    source = tiny_models.save(tmp_path / "tiny.onnx")
    code, _, err = cli("convert", source)
    assert code == 2
    assert "would replace the input" in err
    code, out, _ = cli("convert", source, "-o", tmp_path / "copy.onnx")
    assert code == 0
    assert "not verified: it is ONNX already" in out


def test_an_earlier_certificate_is_kept(cli: Cli, tmp_path: Path) -> None:
    text, _ = tiny_caffe.write(tmp_path, tiny_caffe.deploy(layer("Sigmoid")))
    assert cli("convert", text)[0] == 0
    assert cli("convert", tmp_path / "net.onnx", "-o", tmp_path / "again.onnx")[0] == 0
    certificate = read_certificate(onnx.load(tmp_path / "again.onnx"))
    assert certificate is not None
    assert certificate.verified


def test_refusals_leave_no_file(cli: Cli, tmp_path: Path) -> None:
    text, binary = tiny_caffe.write(tmp_path, tiny_caffe.deploy(layer("ReLU")))
    before = sorted(tmp_path.iterdir())
    text.write_text(tiny_caffe.deploy(layer("Fancy")))
    for words, said in (
        ([text], "Fancy (layer out)"),
        ([text, "-o", tmp_path / "x.caffemodel"], "Fancy"),
        ([tmp_path / "none.prototxt"], "none.prototxt"),
        ([binary, "--companion", tmp_path / "none"], "names no file"),
    ):
        code, out, err = cli("convert", *words)
        assert (code, out) == (2, "")
        assert said in err
        assert len(err.strip().splitlines()) == 1
    text.write_text(tiny_caffe.deploy(layer("ReLU")))
    assert cli("convert", text, "-o", tmp_path / "x.tflite")[0] == 2
    assert cli("convert", text, "-o", tmp_path / "no" / "x.onnx")[0] == 2
    assert sorted(tmp_path.iterdir()) == before
