"""The real Caffe models: parity with OpenCV of every output and every layer, and what they are good for."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import tiny_caffe
from onnxray.importers import load
from onnxray.importers.certificate import BAR, certify
from onnxray.importers.input_spec import read_input_spec

Shared = Callable[[str], Path]

MODELS = {  # (caffemodel, prototxt) -> outputs that OpenCV gives
    "lenet": ("lenet_mnist/lenet_iter_10000.caffemodel", "lenet_mnist/lenet_deploy.prototxt", ["prob"]),
    "lenet for training": (
        "lenet_mnist/lenet_iter_10000.caffemodel",
        "lenet_mnist/lenet_train_test.prototxt",
        ["prob"],
    ),
    "cifar": (
        "cifar10_quick/cifar10_quick_iter_5000.caffemodel",
        "cifar10_quick/cifar10_quick_deploy.prototxt",
        ["prob"],
    ),
    "cifar prediction": (
        "cifar10_quick/cifar10_quick_iter_5000.caffemodel",
        "cifar10_quick/prediction_example.prototxt",
        [],  # it ends in ArgMax, which OpenCV lacks
    ),
    "ultraface": ("ultraface_rfb320/RFB-320.caffemodel", "ultraface_rfb320/RFB-320.prototxt", ["boxes", "scores"]),
}


@pytest.mark.parametrize("name", MODELS)
def test_every_layer_within_the_bar(name: str, shared: Shared) -> None:
    weights, prototxt, outputs = MODELS[name]
    path, companion = shared(f"models/caffe/{weights}"), shared(f"models/caffe/{prototxt}")
    proto = load(path, companion=companion)
    certificate = certify(path, companion, proto, per_layer=True)
    assert [row.name for row in certificate.outputs] == outputs
    assert not certificate.failed
    assert certificate.worst is not None
    assert certificate.worst.relative <= BAR == 1e-4
    compared = {row.name for row in (*certificate.outputs, *certificate.inner)}
    blobs = {node.output[0] for node in proto.graph.node if "/" not in node.name and node.op_type != "Cast"}
    assert blobs - compared <= {"argmax"}


def digits(shared: Shared) -> tuple[np.ndarray, np.ndarray]:
    """(images [10000, 1, 28, 28] in 0..255, labels)."""
    images = gzip.decompress(shared("data/mnist_test/t10k-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress(shared("data/mnist_test/t10k-labels-idx1-ubyte.gz").read_bytes())
    pixels = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 1, 28, 28)
    return pixels.astype(np.float32), np.frombuffer(labels, np.uint8, offset=8)


@pytest.mark.parametrize("prototxt", ["lenet_deploy.prototxt", "lenet_train_test.prototxt", None])
def test_lenet_reads_digits(prototxt: str | None, shared: Shared, tmp_path: Path) -> None:
    """With the scale that the files state, from either prototxt or rebuilt from the caffemodel alone."""
    path = shared("models/caffe/lenet_mnist/lenet_iter_10000.caffemodel")
    if prototxt is None:
        alone = tmp_path / path.name
        alone.write_bytes(path.read_bytes())
        proto = load(alone)
    else:
        proto = load(path, companion=path.parent / prototxt)
    spec = read_input_spec(proto)
    assert spec is not None
    assert (spec.channel_order, spec.size, spec.scale) == ("GREY", (28, 28), (0.00390625,))
    images, labels = digits(shared)
    batches = np.split(images * spec.scale[0], 20)
    scores = np.concatenate([tiny_caffe.run(proto, {"data": batch})["prob"] for batch in batches])
    assert scores.shape == (10000, 10)
    assert (scores.argmax(1) == labels).mean() >= 0.985


def test_ultraface_equals_its_onnx_twin(shared: Shared) -> None:
    ours = load(shared("models/caffe/ultraface_rfb320/RFB-320.caffemodel"))
    twin = onnx.load(shared("models/onnx/ultraface_rfb320/version-RFB-320.onnx"))
    image = tiny_caffe.noise((1, 3, 240, 320), spread=0.6)
    found = tiny_caffe.run(ours, {"input": image})
    # The twin goes on to decode the boxes: 460 holds its raw numbers, which is where the Caffe network ends.
    expected = tiny_caffe.blobs(twin, {"input": image}, ["scores", "460"])
    np.testing.assert_allclose(found["scores"], expected["scores"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(found["boxes"], expected["460"], rtol=0, atol=1e-5 * np.ptp(expected["460"]))


def test_cifar_network_knows_the_images(shared: Shared) -> None:
    """On lossless training images, with their own mean (its mean file was not published); red first."""
    proto = load(shared("models/caffe/cifar10_quick/cifar10_quick_iter_5000.caffemodel"))
    stored = np.load(shared("data/cifar10/cifar10_lossless_train1000.npz"))
    images = stored["x"].transpose(0, 3, 1, 2).astype(np.float32)
    scores = tiny_caffe.run(proto, {"data": images - images.mean(0)})["prob"]
    assert (scores.argmax(1) == stored["y"]).mean() > 0.7
