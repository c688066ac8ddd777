"""`onnxray predict`: the table, JSON, CSV and accuracy against the engine's own numbers."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny_models
from onnxray.engine.methods.predict import predict
from onnxray.engine.model import load
from PIL import Image

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return tiny_models.save(tmp_path / "tiny.onnx")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Pictures named after the class that the network sees first, but one; and a broken one."""
    folder = tmp_path / "photos"
    folder.mkdir()
    pictures = np.random.default_rng(0).integers(0, 256, (4, 8, 8), dtype=np.uint8)
    first = predict(load(tiny_models.save(tmp_path / "same.onnx")), list(pictures)).indices[:, 0]
    truth = [*first[:3], (first[3] + 1) % 3]
    for index, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{truth[index]}_{index}.png")
    (folder / "0_broken.png").write_text("no image")
    return folder


def test_table(network: Path, photos: Path, cli: Run) -> None:
    code, out, err = cli("predict", network, photos, "--top", "2")
    assert code == 0
    assert out.count("_0.png") == 1
    assert "the network ends in a softmax" in " ".join(out.split())
    assert "skipped 1 of 5 images: " in err and "0_broken.png: expected an image" in err
    assert err.count("\n") == 2


@pytest.mark.parametrize(("words", "warned"), [([], True), (["--mean", 0, "--scale", "1/255"], False)])
def test_says_what_was_assumed_of_the_pixels(
    words: list[object], warned: bool, network: Path, photos: Path, cli: Run
) -> None:
    image = next(path for path in sorted(photos.iterdir()) if "broken" not in path.name)
    code, _, err = cli("predict", network, image, *words)
    assert code == 0
    assert err.startswith("warning: nothing says how pixels enter the network") == warned
    assert ("--mean, --scale" in err) == warned


def test_says_that_the_mean_image_is_missing(shared: Callable[[str], Path], cli: Run) -> None:
    folder = shared("models/caffe/cifar10_quick")
    words = [folder / "cifar10_quick_iter_5000.caffemodel", shared("data/skimage_images/chelsea.png")]
    code, _, err = cli("predict", *words, "--companion", folder / "cifar10_quick_deploy.prototxt", "--rgb")
    assert code == 0
    assert err.startswith("warning: ") and "assumed mean 0;" in err


def test_labels_are_printed_as_they_are(network: Path, photos: Path, tmp_path: Path, cli: Run) -> None:
    labels = ["[red]ripe[/red]", "[/]", ":dog: 50 %d"]
    (tmp_path / "names.txt").write_text("\n".join(labels))
    for verb in ("predict", "activations"):
        image = next(path for path in sorted(photos.iterdir()) if "broken" not in path.name)
        code, out, err = cli(
            verb, network, image, "--top", "3", "--labels", tmp_path / "names.txt", "--mean", 0, "--scale", 1
        )
        assert (code, err) == (0, ""), verb
        assert all(label in out for label in labels), verb


def test_json_and_csv_agree_with_the_engine(network: Path, photos: Path, cli: Run) -> None:
    right = predict(load(network), photos, top=2)
    code, out, _ = cli("predict", network, photos, "--top", "2", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["indices"] == right.indices.tolist()
    assert found["probabilities"] == right.probabilities.tolist()
    assert [Path(path).name for path, _ in found["skipped"]] == ["0_broken.png"]
    code, out, _ = cli("predict", network, photos, "--top", "2", "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0
    assert [int(row["class"]) for row in rows] == right.indices.ravel().tolist()
    assert [float(row["logit"]) for row in rows] == pytest.approx(np.ravel(right.logits).tolist())
    assert [int(row["rank"]) for row in rows] == [1, 2] * 4


def test_accuracy_from_names(network: Path, photos: Path, cli: Run) -> None:
    code, out, _ = cli("predict", network, photos, "--top", "1", "--truth-from-name")
    assert code == 0
    assert "accuracy on 4 images: top-1 75.0 %" in out
    code, out, _ = cli("predict", network, photos, "--truth-from-name", "--json")
    assert json.loads(out)["accuracy"]["top-1"] == 0.75


def test_labels_and_names_that_tell_no_class(network: Path, photos: Path, tmp_path: Path, cli: Run) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("cat\ndog\nowl\n")
    code, out, _ = cli("predict", network, photos, "--labels", labels)
    assert code == 0
    assert "cat" in out and "dog" in out and "owl" in out
    Image.new("L", (8, 8)).save(photos / "cat.png")
    code, out, err = cli("predict", network, photos, "--truth-from-name")
    assert (code, out) == (2, "")
    assert "cat.png" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere.png"], "there is no such file"),
        (["tiny.onnx"], "expected an image"),
        (["photos", "--memory", "much"], "2GB or 500MB"),
        (["photos", "--provider", "gpus"], "no provider 'gpus'"),
    ],
)
def test_one_line_for_what_is_wrong(
    words: list[str], message: str, network: Path, photos: Path, cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos.parent)
    code, out, err = cli("predict", network, *words)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
