"""`onnxray explain`: the table, pictures, files and errors against the engine's own numbers."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxray
import onnxruntime
import pytest
import tiny_models
from onnxray.cli.attributions import OPTIONS
from onnxray.engine.methods import ATTRIBUTIONS, attribution_method
from onnxray.engine.methods.grad_cam import grad_cam
from onnxray.engine.methods.saliency import saliency
from onnxray.engine.model import Model, load
from PIL import Image

Run = Callable[..., tuple[int, str, str]]


def test_table_and_sheet(network: Path, photos: Path, tmp_path: Path, cli: Run) -> None:
    sheet = tmp_path / "sheet.png"
    code, out, err = cli("explain", network, photos, "-o", sheet)
    assert code == 0, err
    right = grad_cam(load(network), photos)
    for row, image in enumerate(right.images):
        line = next(line for line in out.splitlines() if Path(image).name in line)
        assert right.targets[row] in line and f"{right.scores[row]:.4g}" in line
    assert "Grad-CAM of relu1: " in out
    assert "softmax is cut off" in out
    assert f"Certificate: {right.certificate}"[:60] in out
    assert str(sheet) in out
    with Image.open(sheet) as picture:
        assert min(picture.size) > 3 * 200


def test_a_folder_gets_a_picture_an_image(network: Path, photos: Path, tmp_path: Path, cli: Run) -> None:
    code, out, _ = cli("explain", network, photos, "--method", "saliency", "-o", tmp_path / "out")
    assert code == 0
    assert "3 pictures in" in out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["001_0.png", "002_1.png", "003_2.png"]


def test_without_a_name_the_picture_is_called_after_network_and_method(
    network: Path, photos: Path, cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos.parent)
    code, out, _ = cli("explain", network, photos, "--method", "saliency", "--signed")
    assert code == 0
    assert (photos.parent / "tiny.saliency.png").exists() and "tiny.saliency.png" in out


def test_json_and_saved_maps(network: Path, photos: Path, tmp_path: Path, cli: Run) -> None:
    words = ["--method", "saliency", "--target", "conv1:1", "--json", "--save", tmp_path / "kept.npz"]
    code, out, _ = cli("explain", network, photos, *words)
    assert code == 0
    right = saliency(load(network), photos, target="conv1:1")
    found = json.loads(out)
    assert found["scores"] == right.scores.tolist()
    assert found["targets"] == ["conv1, channel 1"] * 3
    np.testing.assert_array_equal(np.load(tmp_path / "kept.npz")["maps"], right.maps)
    assert not (tmp_path / "tiny.saliency.png").exists() and not Path("tiny.saliency.png").exists()


def test_a_class_by_name(network: Path, photos: Path, tmp_path: Path, cli: Run) -> None:
    (tmp_path / "labels.txt").write_text("Egyptian cat\n[red]dog[/red]\nowl\n")
    words = ["--labels", tmp_path / "labels.txt", "-o", tmp_path / "o.png", "--target"]
    code, out, _ = cli("explain", network, photos, *words, "egyptian_CAT")
    assert code == 0 and out.count("Egyptian cat (0)") == 3
    code, out, _ = cli("explain", network, photos, *words, "1")
    assert code == 0 and out.count("[red]dog[/red] (1)") == 3


def test_broken_images_and_a_copy_that_differs_are_said(
    network: Path, photos: Path, tmp_path: Path, cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failed:
        passed = False

        def summary(self) -> str:
            return "the copy differs at node conv1"

    monkeypatch.setattr(Model, "torch_certificate", lambda self, batch, gradients: Failed())
    (photos / "broken.png").write_text("no image")
    code, _, err = cli("explain", network, photos, "-o", tmp_path / "o.png")
    assert code == 0
    assert "warning: these gradients may not be the network's own: the copy differs at node conv1" in err
    assert "skipped 1 of 4 images" in err
    assert "nothing says how pixels enter the network" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--method", "lime"], "no method 'lime'"),
        (["--target", "3"], "the network has no class 3: expected 0 to 2"),
        (["--target", "conf1"], "no class and no layer is called 'conf1'; did you mean conv1"),
        (["--method", "saliency", "--target", "conv1:2"], "has no channel 2: expected 0 to 1"),
        (["--layer", "flat"], "expected a feature map [N, C, H, W]"),
        (["--method", "saliency", "--layer", "conv1"], "saliency has no option --layer"),
        (["--signed"], "grad_cam has no option --signed"),
        (["-o", "out.jpg"], "-o expects a .png or a folder"),
        (["-o", "photos/0.png"], "photos/0.png is one of the images"),
        (["-o", "photos/0.png/"], "photos/0.png is one of the images"),
        (["--save", ""], "expected a file name to save under"),
        (["--target", "conv1:2"], "has no channel 2: expected 0 to 1"),
        (["--target", "conv1:0:9:0"], "conv1 [1, 2, 8, 8] has no neuron 0, 9, 0, at 9"),
        (["--memory", "1MB"], "the memory budget of 1 MiB leaves 0 B: give "),
    ],
)
def test_one_line_for_what_is_wrong(
    words: list[str], message: str, network: Path, photos: Path, cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos.parent)
    code, out, err = cli("explain", network, photos, *words)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


# -- comparing ---


def test_methods_side_by_side(network: Path, photos: Path, tmp_path: Path, cli: Run) -> None:
    words = ["--compare-methods", "saliency,grad-cam", "-o", tmp_path / "s.png", "--save", tmp_path / "kept"]
    code, out, err = cli("explain", network, photos, *words, "--signed", "--target", "0", "--target", "2")
    assert code == 0, err
    assert "Saliency of image" in out and "Grad-CAM of relu1" in out
    assert out.count("class 0") == 3 and out.count("class 2") == 3
    with Image.open(tmp_path / "s.png") as sheet:
        assert sheet.width > 3 * 200 and sheet.height > 6 * 200
    right = saliency(load(network), photos, target=[0, 2], signed=True)
    np.testing.assert_array_equal(np.load(tmp_path / "kept.Saliency.npz")["maps"], right.maps)
    assert (tmp_path / "kept.Grad-CAM.6.overlay.png").exists()


def test_every_method_that_fits(photos: Path, tmp_path: Path, cli: Run) -> None:
    """A dense network has no feature map: the CAMs are left out, and it is said why."""
    text = """<ir_version: 8, opset_import: ["" : 17]>
    dense (float[N, 1, 8, 8] image) => (float[N, 3] scores) <float[64, 3] w> {
        flat = Flatten (image)
        scores = MatMul (flat, w)
    }"""
    path = tmp_path / "dense.onnx"
    onnx.save(tiny_models.model(text), path)
    code, out, err = cli("explain", path, photos / "0.png", "--method", "all", "-o", tmp_path / "s.png")
    assert code == 0, err
    assert "Saliency of image" in out
    assert "Left out: Grad-CAM: no feature map" in out
    assert (tmp_path / "s.png").exists()


def test_layers_side_by_side(network: Path, photos: Path, cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos.parent)
    code, out, err = cli("explain", network, photos, "--compare-layers", "conv1,relu1")
    assert code == 0, err
    assert "tiny.layers.png" in out and (photos.parent / "tiny.layers.png").exists()
    assert "conv1 of conv1" in out and "relu1 of relu1" in out
    code, out, _ = cli("explain", network, photos, "--compare-layers", "conv1,relu1", "--json")
    assert code == 0
    assert [result["layer"] for result in json.loads(out)] == ["conv1", "relu1"]


def test_checks_of_several_methods_are_one_table(network: Path, photos: Path, tmp_path: Path, cli: Run) -> None:
    words = ("--compare-methods", "deep_lift,grad_cam", "--check", "-o", tmp_path / "s.png", "--json")
    checks = {entry["method"]: entry["checks"] for entry in json.loads(cli("explain", network, photos, *words)[1])}
    code, out, err = cli("explain", network, photos, *words[:-1])
    assert code == 0, err
    rows = {
        title: next(line for line in out.splitlines() if line.lstrip().startswith(f"{title}  "))
        for title in ("DeepLIFT", "Grad-CAM")
    }
    for method, title in (("deep_lift", "DeepLIFT"), ("grad_cam", "Grad-CAM")):
        for check in checks[method]:
            assert check["value"] is None or f"{check['value']:.3g}" in rows[title]
            assert f") {check['name']}; " in " ".join(out.split())
    assert "–" in rows["Grad-CAM"]  # it promises no sums


def test_notes_and_certificates_say_whose_they_are(network: Path, photos: Path, tmp_path: Path, cli: Run) -> None:
    words = ("--compare-methods", "eigen_cam,grad_cam", "-o", tmp_path / "s.png")
    code, out, err = cli("explain", network, photos, *words)
    assert code == 0, err
    out = " ".join(out.split())
    assert "Note (Eigen-CAM): the map is the same for every target" in out
    assert "Note: the final softmax is cut off" in out  # both methods'
    assert "Certificate (Eigen-CAM): none needed" in out and "Certificate (Grad-CAM): torch equals" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--compare-methods", "saliency,lime"], "no method 'lime'"),
        (["--compare-methods", "saliency", "--layer", "conv1"], "none of these methods has an option --layer"),
        (["--compare-layers", "conv1", "--method", "saliency"], "saliency has no option --layer"),
        (["--compare-layers", "flat,logits"], "expected a feature map"),
    ],
)
def test_one_line_for_what_cannot_be_compared(
    words: list[str], message: str, network: Path, photos: Path, cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos.parent)
    code, out, err = cli("explain", network, photos, *words)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_every_option_of_every_method_is_on_the_command_line() -> None:
    taken = {name: set(inspect.signature(attribution_method(name)).parameters) for name in ATTRIBUTIONS}
    shared = {"model", "images", "target", "memory", "progress"}
    assert all(shared <= names for names in taken.values())
    assert set.union(*taken.values()) - shared == set(OPTIONS)
    assert all(callable(getattr(onnxray, name)) for name in ATTRIBUTIONS)


def test_maps_are_checked(network: Path, photos: Path, tmp_path: Path, cli: Run) -> None:
    words = ["--method", "deep_lift", "--check", "-o", tmp_path / "s.png"]
    code, out, err = cli("explain", network, photos / "0.png", *words)
    assert code == 0, err
    for line in ("check of DeepLIFT", "completeness gap", "insertion AUC", "every layer random"):
        assert line in out
    code, out, _ = cli("explain", network, photos / "0.png", *words, "--json")
    assert code == 0
    assert [row["name"] for row in json.loads(out)["checks"]][:2] == ["completeness gap", "deletion AUC"]


def test_export_writes_the_model(network: Path, tmp_path: Path, cli: Run) -> None:
    heat = tmp_path / "heat.onnx"
    code, out, err = cli("explain", network, "--method", "saliency", "--target", "1", "--export", heat)
    assert code == 0 and "heatmap [N, 8, 8]" in out and "target [targets]" in out, err
    batch = np.random.default_rng(0).normal(size=(2, 1, 8, 8)).astype(np.float32)
    session = onnxruntime.InferenceSession(heat, providers=["CPUExecutionProvider"])
    maps, explained = session.run(["heatmap", "explained"], {session.get_inputs()[0].name: batch})
    assert maps.shape == (2, 8, 8) and maps.min() >= 0 < maps.max() and explained.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--export", "heat.txt"), "--export expects a file name that ends in .onnx, found heat.txt"),
        (("--export", "nowhere/heat.onnx"), "the folder of --export nowhere/heat.onnx does not exist"),
        (("--export", "heat.onnx", "--steps", "3"), "--export has no place for --steps"),
        (("--export", "heat.onnx", "--method", "rise"), "--export of --method expects saliency"),
        (("--export", "heat.onnx", "--target", "relu1:1"), "--export expects one class as --target, found relu1:1"),
        ((), "expected an image to explain, found none; --export needs none"),
    ],
)
def test_one_line_for_what_cannot_be_exported(options: tuple[str, ...], message: str, network: Path, cli: Run) -> None:
    code, out, err = cli("explain", network, *options)
    assert (code, out) == (2, "") and message in err and err.count("\n") == 1
