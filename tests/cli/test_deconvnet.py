"""`onnxray deconvnet`: its answers are the engine's; bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnxray.engine.backward.projections import projections
from onnxray.engine.model import load
from PIL import Image

Run = Callable[..., tuple[int, str, str]]


def test_units_are_the_engines(network: Path, photos: Path, tmp_path: Path, cli: Run) -> None:
    options = ("--layer", "relu1", "--units", "1,0", "--images-per-unit", "2")
    sheet, kept = tmp_path / "units.png", tmp_path / "kept"
    code, out, err = cli("deconvnet", network, photos, *options, "-o", sheet, "--save", kept, "--json")
    assert code == 0 and sheet.exists(), err
    right = projections(load(network), photos, "relu1", units=[1, 0], images_per_unit=2)
    assert np.array_equal(np.load(tmp_path / "kept.npz")["maps"], right.maps) and len(right.maps)
    assert json.loads(out)["units"] == list(right.units)
    code, out, err = cli("deconvnet", network, photos, *options, "-o", tmp_path / "folder")
    assert code == 0 and "1 sheets in" in out and len(list((tmp_path / "folder").iterdir())) == 1, err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--layer", "nothing"), "the network has no layer 'nothing'"),
        (
            ("--layer", "relu1", "--units", "a,b"),
            "--units expects top9, all or channels by number",
        ),
        (("--layer", "relu1", "--units", "99"), "units expects top9, all or numbers from 0 to"),
        (("--layer", "relu1", "-o", "units.jpg"), "-o expects a .png or a folder, found units.jpg"),
    ],
)
def test_one_line_for_what_cannot_be(
    options: tuple[str, ...], message: str, network: Path, photos: Path, cli: Run
) -> None:
    code, out, err = cli("deconvnet", network, photos, *options)
    assert (code, out) == (2, "") and message in err and err.count("\n") == 1


def test_checkpoints_are_columns(network: Path, photos: Path, tmp_path: Path, cli: Run) -> None:
    earlier = tmp_path / "earlier.onnx"
    earlier.write_bytes(network.read_bytes())
    options = ("--layer", "relu1", "--units", "0,1", "--checkpoints", earlier, "--checkpoints", earlier)
    code, out, err = cli("deconvnet", network, photos, *options, "-o", tmp_path / "evolution.png")
    assert code == 0 and "evolution.png" in out, err
    with Image.open(tmp_path / "evolution.png") as sheet:
        assert sheet.width >= 3 * 112
    code, out, err = cli("deconvnet", network, photos, "--layer", "relu1", "--checkpoints", tmp_path / "none.onnx")
    assert (code, out) == (2, "") and err.count("\n") == 1
