"""`onnxray checkup`: the table, the sheet, JSON, and one line for what cannot be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import faulty_networks
import pytest
import tiny_models
from faulty_networks import Weights
from onnxray.engine.checkup.checkup import checkup
from onnxray.engine.model import load
from PIL import Image

Run = Callable[..., tuple[int, str, str]]

READING = ("--mean", "127.5", "--scale", "1/50", "--rgb", "--resize", "stretch")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index, pixels in enumerate(faulty_networks.PICTURES):
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return folder


def _plant(weights: Weights) -> None:
    weights["b2"][5] = -1e3
    weights["b3"][2] = 1e3
    weights["w4"][3], weights["b4"][3] = weights["w4"][0], weights["b4"][0]


def _rows(out: str) -> list[list[str]]:
    return [line.split() for line in out.splitlines() if line.strip().startswith("conv")]


def test_faults_are_listed_and_drawn(tmp_path: Path, pictures: Path, cli: Run) -> None:
    network = faulty_networks.save(tmp_path / "net.onnx", plant=_plant)
    (pictures / "broken.png").write_bytes(b"no picture")
    sheet = tmp_path / "checkup.png"
    code, out, err = cli("checkup", network, "--images", pictures, *READING, "-o", sheet)
    assert code == 0, err
    assert _rows(out) == [
        ["conv2", "5", "dead", "0", "≤", "0"],
        ["conv3", "2", "always", "on", "0", "<", "0.001"],
        ["conv4", "0", "3", "duplicate", "1", ">", "0.9999"],
    ]
    assert "3 channels with a fault; looked at 31 units and 31 filters, 5 images." in out
    assert "may still answer up to 60.0 % of such images" in out and str(sheet) in out
    assert "skipped 1 of 6 images" in err and "broken.png" in err
    with Image.open(sheet) as picture:
        assert picture.height > 3 * 150


def test_a_healthy_network_is_called_healthy_in_one_line(tmp_path: Path, pictures: Path, cli: Run) -> None:
    network = faulty_networks.save(tmp_path / "net.onnx")
    sheet = tmp_path / "checkup.png"
    code, out, err = cli("checkup", network, "--images", pictures, *READING)
    assert (code, err) == (0, "")
    assert out == "net is healthy: 31 units and 31 filters, 5 images.\n"
    code, out, _ = cli("checkup", network, "--images", pictures, *READING, "--layer", "conv2", "-o", sheet)
    assert code == 0 and out.startswith("net is healthy in these layers: 8 units and 8 filters, 5 images.\n")
    assert sheet.exists()


def test_a_network_without_units_says_so(tmp_path: Path, pictures: Path, cli: Run) -> None:
    text = """
    <ir_version: 8, opset_import: ["" : 17]>
    linear (float[N, 3, 8, 8] image) => (float[N, 4, 6, 6] answer)
    <float[4, 3, 3, 3] w>
    { answer = Conv (image, w) }
    """
    code, out, err = cli("checkup", tiny_models.save(tmp_path / "l.onnx", text), "--images", pictures, *READING)
    assert code == 0, err
    assert out.splitlines() == [
        "l is healthy: 0 units and 4 filters, 5 images.",
        "No activation function behind a convolution was found: only filters were judged.",
    ]


def test_json_is_the_engines(tmp_path: Path, pictures: Path, cli: Run) -> None:
    network = faulty_networks.save(tmp_path / "net.onnx", plant=_plant)
    options = ("--layer", "conv2", "--layer", "*clip3", "--json", "--memory", "3GB")
    code, out, err = cli("checkup", network, "--images", pictures, *READING, *options)
    assert code == 0, err
    settings = {"mean": (127.5,), "scale": (1 / 50,), "channel_order": "RGB", "resize": "stretch"}
    right = checkup(load(network, **settings), pictures, ["conv2", "*clip3"]).to_json()
    assert json.loads(out) == json.loads(json.dumps(right))
    assert [finding["kind"] for finding in right["findings"]] == ["dead", "always on"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "expected --images with a folder of images such as the network is made for, found none"),
        (("--images", "absent"), "absent"),
        (("--images", "{pictures}", "--layer", "conv9"), "no convolution or activation function is called 'conv9'"),
        (("--images", "{pictures}", "-o", "x.jpg"), "-o expects a .png, found x.jpg"),
        (("--images", "{pictures}", "-o", "{pictures}/0.png"), "0.png is one of the images"),
        (("--images", "{pictures}", "--memory", "1MB"), "the memory budget of 1 MiB leaves 0 B"),
        (("--images", "{pictures}", "--memory", "much"), "a memory budget is a size such as 2GB"),
        (("--images", "{broken}"), "broken.png"),
    ],
)
def test_one_line_for_what_cannot_be(
    tmp_path: Path, pictures: Path, cli: Run, options: tuple[str, ...], message: str
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    words = [word.format(pictures=pictures, broken=broken) for word in options]
    code, out, err = cli("checkup", faulty_networks.save(tmp_path / "net.onnx"), *words, *READING)
    assert (code, out) == (2, "") and message in err and len(err.strip().splitlines()) == 1


def test_a_network_without_convolutions_is_refused(tmp_path: Path, pictures: Path, cli: Run) -> None:
    text = """
    <ir_version: 8, opset_import: ["" : 17]>
    dense (float[N, 3, 2, 2] image) => (float[N, 3] scores)
    <float[12, 3] w>
    { flat = Flatten (image) scores = MatMul (flat, w) }
    """
    code, out, err = cli("checkup", tiny_models.save(tmp_path / "d.onnx", text), "--images", pictures, *READING)
    assert (code, out) == (2, "")
    assert "expected a network with convolutions of stored weights, found Flatten, MatMul" in err
