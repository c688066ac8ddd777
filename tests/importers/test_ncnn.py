"""The NCNN files of the shared folder: converted, certified, and giving what their twins in other formats give."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxray
import pytest
from onnxray.engine.methods.predict import predict
from onnxray.importers import load
from onnxray.importers.certificate import BAR, certify, run_onnx
from onnxray.importers.provenance import read_source
from onnxray.importers.sample_inputs import sample_inputs

Shared = Callable[[str], Path]

CAR, DOG = 2, 16
SQUEEZENET = "models/ncnn/squeezenet_v1.1/squeezenet_v1.1.param"
# File, what it needs to be told, its outputs; the second one's file says no size.
MODELS = {
    "squeezenet": ("squeezenet_v1.1/squeezenet_v1.1.param", {}, ["prob"]),
    "ultraface": ("ultraface_rfb320/RFB-320.bin", {"size": (240, 320)}, ["boxes", "scores"]),
    "ultraface of any size": ("ultraface_rfb320/RFB-320.param", {}, ["boxes", "scores"]),
    "yolo-fastest": ("yolo-fastest-1.1/yolo-fastest-1.1.param", {}, ["120_854", "129_922"]),
}


@pytest.mark.parametrize("name", MODELS)
def test_it_converts_and_equals_ncnn_at_every_blob(shared: Shared, name: str) -> None:
    pytest.importorskip("ncnn")
    file, options, outputs = MODELS[name]
    path = shared(f"models/ncnn/{file}")
    proto = load(path, **options)
    assert [value.name for value in proto.graph.output] == outputs
    certificate = certify(path, None, proto, per_layer=True, options=options)
    assert certificate.verified, list(certificate.verdict())
    assert len(certificate.inner) > 30
    assert not any(node.op_type == "Split" for node in proto.graph.node)  # copies, in NCNN


def test_squeezenet_on_photos(shared: Shared) -> None:
    """MANIFEST: 58 % and 84 % on another hundred."""
    model = onnxray.load(shared(SQUEEZENET), mean=(104, 117, 123), channel_order="BGR")
    found = predict(model, sorted(shared("data/imagenet_sample_256/dev").glob("*.jpg"))[::5], top=5)
    truth = np.array([int(Path(name).name.split("_")[0]) for name in found.images])
    hits = found.indices == truth[:, None]
    assert len(truth) == 100 and hits[:, 0].mean() >= 0.5 and hits.any(1).mean() >= 0.75


def test_yolo_fastest_finds_the_car_and_the_dog(shared: Shared) -> None:
    """As sure as its Darknet twin. MANIFEST: NCNN's decoding says 0.92 and 0.85, by a formula that lacks a term."""
    model = onnxray.load(shared("models/ncnn/yolo-fastest-1.1/yolo-fastest-1.1.param"), scale=1 / 255)
    found = onnxray.detect(model, shared("data/detection_photos/dog.jpg"), threshold=0.5)
    scores = dict(zip(found.indices.tolist(), found.scores.tolist(), strict=True))
    assert scores[CAR] == pytest.approx(0.88, abs=0.01) and scores[DOG] == pytest.approx(0.68, abs=0.01)


@pytest.mark.parametrize("verb", [("summary",), ("graph", "-o", "net.html"), ("activations", "PHOTO", "-o", "maps"),
                                  ("explain", "PHOTO", "-o", "map.png")], ids=lambda verb: verb[0])  # fmt: skip
def test_verbs_take_the_files(shared: Shared, cli: Callable[..., tuple[int, str, str]], tmp_path: Path,
                              monkeypatch: pytest.MonkeyPatch, verb: tuple[str, ...]) -> None:  # fmt: skip
    photo = sorted(shared("data/imagenet_sample_256/dev").glob("*.jpg"))[0]
    monkeypatch.chdir(tmp_path)
    code, _, error = cli(verb[0], shared(SQUEEZENET), *(photo if word == "PHOTO" else word for word in verb[1:]))
    assert code == 0, error


def test_both_files_are_remembered(shared: Shared) -> None:
    source = read_source(load(shared("models/ncnn/squeezenet_v1.1/squeezenet_v1.1.bin")))
    assert source["format"] == "ncnn"
    assert set(source["sha256"]) == {"squeezenet_v1.1.param", "squeezenet_v1.1.bin"}


def test_squeezenet_is_its_onnx_twin_to_half_precision(shared: Shared) -> None:
    """The .bin holds the weights as float16: they are the twin's, cut to that."""
    ours = load(shared(SQUEEZENET))
    twin = onnx.load(shared("models/derived/squeezenet1.1.onnx"))
    kernels = [kernel for kernel in _kernels(ours) if kernel.ndim == 4]
    theirs = [kernel for kernel in _kernels(twin) if kernel.ndim == 4]
    assert len(kernels) == len(theirs) == 26
    for kernel, original in zip(kernels, theirs, strict=True):
        np.testing.assert_allclose(kernel, original, rtol=1e-3, atol=1e-6)
    image = sample_inputs(ours)["data"] - 120
    outputs = [next(iter(run_onnx(proto, {proto.graph.input[0].name: image}, [proto.graph.output[0].name]).values()))
               for proto in (ours, twin)]  # fmt: skip
    assert outputs[0].argmax() == outputs[1].argmax()


def _kernels(proto: onnx.ModelProto) -> list[np.ndarray]:
    """Of the convolutions, in order."""
    stored = {tensor.name: tensor for tensor in proto.graph.initializer}
    return [onnx.numpy_helper.to_array(stored[node.input[1]]) for node in proto.graph.node if node.op_type == "Conv"]


@pytest.mark.parametrize(
    "twin", ["caffe/ultraface_rfb320/RFB-320.caffemodel", "onnx/ultraface_rfb320/version-RFB-320.onnx"]
)
def test_ultraface_equals_its_twins(shared: Shared, twin: str) -> None:
    ours = load(shared("models/ncnn/ultraface_rfb320/RFB-320.param"), size=(240, 320))
    theirs = load(shared(f"models/{twin}"))
    image = np.random.default_rng(0).normal(size=(1, 3, 240, 320)).astype(np.float32)
    found = run_onnx(ours, {"input": image}, ["boxes", "scores"])
    values = run_onnx(theirs, {theirs.graph.input[0].name: image}, ["scores"])
    assert np.abs(found["scores"] - values["scores"]).max() <= BAR
    assert found["boxes"].shape == (1, 4420, 4)


def test_yolo_fastest_equals_its_darknet_twin(shared: Shared) -> None:
    """Up to the heads, whose boxes each framework decodes in its own way; these weights are half precision."""
    ours = load(shared("models/ncnn/yolo-fastest-1.1/yolo-fastest-1.1.param"))
    twin = load(shared("models/darknet/yolo-fastest-1.1/yolo-fastest-1.1.cfg"))
    image = np.random.default_rng(0).uniform(size=(1, 3, 320, 320)).astype(np.float32)
    heads = []
    for proto in (ours, twin):
        sizes = {
            value.name: value.type.tensor_type.shape.dim for value in (*proto.graph.value_info, *proto.graph.output)
        }
        convolved = [node.output[0] for node in proto.graph.node if node.op_type == "Conv"]
        names = [name for name in convolved if sizes[name][1].dim_value == 255]
        heads.append(list(run_onnx(proto, {proto.graph.input[0].name: image}, names).values()))
    assert [head.shape for head in heads[0]] == [(1, 255, 10, 10), (1, 255, 20, 20)]
    for head, expected in zip(*heads, strict=True):
        assert np.corrcoef(head.ravel(), expected.ravel())[0, 1] > 0.999
