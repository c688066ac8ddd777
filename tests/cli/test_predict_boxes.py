"""`onnxray predict --detect`: the table, JSON, CSV and pictures against the engine's own numbers."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnxray.engine.methods.detect import detect
from onnxray.engine.model import load
from PIL import Image
from tiny_darknet import cfg, conv, section, write

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """A detector that knows three classes, and nothing."""
    head = section("yolo", num=2, classes=3, anchors=[4, 4, 9, 5])
    path, _ = write(tmp_path, cfg(conv(8, stride=4) + conv(16, activation="linear", batch_normalize=0) + head))
    (tmp_path / "my.names").write_text("cat\ndog\nhen\n")
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed, name in enumerate(("a", "b")):
        pixels = np.random.default_rng(seed).integers(0, 256, (40, 60, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    (folder / "broken.png").write_text("no image")
    return folder


def test_table(network: Path, photos: Path, cli: Run) -> None:
    found = detect(load(network), photos, threshold=0.3, overlap=0.2)
    code, out, err = cli("predict", network, photos, "--detect", "--threshold", "0.3", "--overlap", "0.2")
    assert code == 0 and len(found.scores) > 2
    assert f"{len(found.scores)} boxes above 0.3, of one class sharing 0.2 at most" in " ".join(out.split())
    assert out.count("a.png") == out.count("b.png") == 1 and "hen" in out
    assert "skipped 1 of 3 images" in err and err.count("\n") == 1


def test_json_and_csv(network: Path, photos: Path, cli: Run) -> None:
    image = photos / "a.png"
    found = detect(load(network), image)
    code, out, _ = cli("predict", network, image, "--detect", "--json")
    assert code == 0 and json.loads(out) == json.loads(json.dumps(found.to_json()))
    _, out, _ = cli("predict", network, image, "--detect", "--csv")
    rows = list(csv.reader(io.StringIO(out)))
    assert rows[0] == ["image", "class", "label", "score", "left", "top", "right", "bottom"]
    assert [float(row[3]) for row in rows[1:]] == found.scores.tolist()


def test_pictures(network: Path, photos: Path, tmp_path: Path, cli: Run) -> None:
    code, out, _ = cli("predict", network, photos / "a.png", "--detect", "-o", tmp_path / "a.boxes.png")
    assert code == 0 and str(tmp_path / "a.boxes.png") in out
    with Image.open(tmp_path / "a.boxes.png") as drawn, Image.open(photos / "a.png") as photo:
        assert drawn.size == photo.size and drawn.tobytes() != photo.tobytes()
    code, out, _ = cli("predict", network, photos, "--detect", "-o", tmp_path / "out")
    assert code == 0 and "2 pictures in" in out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["001_a.png", "002_b.png"]


def test_a_converted_file_knows_its_heads(network: Path, photos: Path, tmp_path: Path, cli: Run) -> None:
    assert cli("convert", network, "-o", tmp_path / "converted.onnx")[0] == 0
    ours, theirs = (detect(load(path), photos / "a.png") for path in (network, tmp_path / "converted.onnx"))
    assert len(ours.scores) > 2 and ours.labels == theirs.labels
    assert np.array_equal(ours.boxes, theirs.boxes) and np.array_equal(ours.scores, theirs.scores)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["photos", "--detect", "-o", "all.png"], "-o expects a folder for 3 images"),
        (["photos/a.png", "--detect", "-o", "a.jpg"], "-o expects a .png or a folder"),
        (["photos/a.png", "--detect", "-o", "photos/a.png"], "is one of the images"),
        (["photos/a.png", "-o", "a.png"], "it goes with --detect"),
        (["photos/a.png"], "this network is a detector"),
        (["photos/a.png", "--detect", "--truth-from-name"], "--truth-from-name is for classes"),
    ],
)
def test_bad_words(
    words: list[str], reason: str, network: Path, photos: Path, cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(network.parent)
    before = sorted(network.parent.rglob("*"))
    code, _, err = cli("predict", network, *words)
    assert code == 2 and reason in err and err.count("\n") <= 2
    assert sorted(network.parent.rglob("*")) == before
