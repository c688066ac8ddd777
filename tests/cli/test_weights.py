"""`onnxray weights` from the outside."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny_models
from PIL import Image

Cli = Callable[..., tuple[int, str, str]]
_SQUEEZENET = "models/derived/squeezenet1.1.onnx"


def test_the_table(cli: Cli, tmp_path: Path) -> None:
    code, out, err = cli("weights", tiny_models.save(tmp_path / "tiny.onnx"))
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].strip() == "tiny.onnx"
    assert [name in out for name in ("conv1_w", "fc_w", "conv1_b")] == [True, True, False]
    assert "122 (122) in 4 tensors" not in out  # 18 + 2 + 96 + 3
    assert "119 (119) in 4 tensors" in out
    assert "2 bias; --all shows them" in out


def test_all_shows_vectors_too(cli: Cli, tmp_path: Path) -> None:
    _, out, _ = cli("weights", tiny_models.save(tmp_path / "tiny.onnx"), "--all")
    assert "conv1_b" in out
    assert "not shown" not in out


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_rows_fit_the_terminal(
    cli: Cli, shared: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    code, out, _ = cli("weights", shared(_SQUEEZENET))
    assert code == 0
    rows = [line for line in out.splitlines() if "×1×1" in line or "×3×3" in line]
    assert len(rows) == 26
    assert max(map(len, out.splitlines())) <= max(width, 80)


def test_json_holds_every_row(cli: Cli, shared: Callable[[str], Path]) -> None:
    code, out, _ = cli("weights", shared(_SQUEEZENET), "--bgr", "--json")
    found = json.loads(out)
    assert code == 0
    assert len(found["rows"]) == 52
    assert sum(row["elements"] for row in found["rows"]) == 1235496
    assert len(found["first_layer"]["grey_energy"]) == 64
    assert found["first_layer"]["channels"] == "BGR"


def test_pictures_and_numbers_are_written(cli: Cli, shared: Callable[[str], Path], tmp_path: Path) -> None:
    code, out, _ = cli("weights", shared(_SQUEEZENET), "--layer", "features.0.weight", "-o", tmp_path / "out")
    assert code == 0
    assert "2 pictures and weights.json" in out
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["001_features.0.weight.png", "histograms.png", "weights.json"]
    with Image.open(tmp_path / "out" / names[0]) as picture:
        assert min(picture.size) > 400
    assert len(json.loads((tmp_path / "out" / "weights.json").read_text())["rows"]) == 1


def test_every_layer_with_filters_has_a_picture(cli: Cli, tmp_path: Path) -> None:
    code, _, _ = cli("weights", tiny_models.save(tmp_path / "tiny.onnx"), "-o", tmp_path / "out")
    assert code == 0
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == [
        "001_conv1_w.png",
        "002_fc_w.png",
        "histograms.png",
    ]


def test_a_vector_has_a_picture_when_it_is_asked_for(cli: Cli, tmp_path: Path) -> None:
    model = tiny_models.save(tmp_path / "tiny.onnx")
    code, out, _ = cli("weights", model, "--layer", "conv1_b", "-o", tmp_path / "out")
    assert code == 0
    assert "conv1_b" in out
    assert len(list((tmp_path / "out").glob("*.png"))) == 2


def test_export(cli: Cli, tmp_path: Path) -> None:
    code, out, _ = cli("weights", tiny_models.save(tmp_path / "tiny.onnx"), "--export", tmp_path / "out")
    assert code == 0
    assert "4 arrays" in out
    assert np.load(tmp_path / "out" / "fc_w.npy").shape == (3, 32)


def test_an_unknown_layer_is_one_line(cli: Cli, tmp_path: Path) -> None:
    code, out, err = cli(
        "weights", tiny_models.save(tmp_path / "tiny.onnx"), "--layer", "conv1_v", "-o", tmp_path / "x"
    )
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "did you mean conv1_w" in err
    assert not (tmp_path / "x").exists()
