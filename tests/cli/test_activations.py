"""`onnxray activations`: tables, pictures, arrays and streams."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny_models
from onnxray.engine.batching import resident_bytes
from PIL import Image

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return tiny_models.save(tmp_path / "tiny.onnx")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(path)
    return path


def test_tables(network: Path, photo: Path, cli: Run) -> None:
    code, out, err = cli("activations", network, photo, "--mean", 0, "--scale", 1)
    assert (code, err) == (0, "")
    for word in ("relu1", "2×8×8", "flat", "softmax", "most active"):
        assert word in out


def test_json(network: Path, photo: Path, cli: Run) -> None:
    code, out, _ = cli("activations", network, photo, "--json", "--layer", "conv1", "--layer", "logits")
    found = json.loads(out)
    assert code == 0
    assert [layer["tensor"] for layer in found["layers"]] == ["conv1", "logits"]
    assert sum(found["layers"][0]["histogram"]) == 128
    assert found["predictions"]["indices"]


def test_pictures_and_arrays(network: Path, photo: Path, tmp_path: Path, cli: Run) -> None:
    folder = tmp_path / "new" / "out"
    code, out, _ = cli("activations", network, photo, "-o", folder, "--surface", "1", "--colormap", "grey")
    assert code == 0
    assert {path.name for path in folder.iterdir()} == {
        "01_relu1.png",
        "01_relu1_surface_1.png",
        "02_pool1.png",
        "02_pool1_surface_1.png",
        "03_flat.png",
        "activations.json",
        "activations.npz",
    }
    for path in folder.glob("*.png"):
        with Image.open(path) as picture:
            assert min(picture.size) > 200
            assert len(picture.convert("RGB").getcolors(1 << 24) or []) > 10
    assert "5 pictures" in out


def test_many_images_to_zarr(network: Path, photo: Path, tmp_path: Path, cli: Run) -> None:
    import zarr

    (tmp_path / "broken.png").write_text("no image")
    words = ("activations", network, photo, photo, tmp_path / "broken.png", "--zarr", tmp_path / "out.zarr")
    code, out, err = cli(*words, "--memory", resident_bytes() + (1 << 30), "--layer", "relu1")
    assert code == 0
    assert "1 tensors of 2 images" in " ".join(out.split())
    assert "skipped 1 of 3 images: " in err and "broken.png: expected an image" in err
    assert zarr.open_group(tmp_path / "out.zarr", mode="r")["tensors/relu1"].shape == (2, 2, 8, 8)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["photo.png", "--layer", "conv7"], "no layer 'conv7'; did you mean conv1"),
        (["photo.png", "-o", "out", "--surface", "9"], "--surface expects a channel"),
        (["photo.png", "-o", "out", "--colormap", "rainbow"], "no colour map 'rainbow'"),
        (["photo.png", "photo.png"], "expected one image, found 2"),
        (["tiny.onnx"], "expected an image"),
    ],
)
def test_one_line_and_nothing_written(
    words: list[str], message: str, network: Path, photo: Path, cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photo.parent)
    code, out, err = cli("activations", network, *words)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not Path("out").exists()
