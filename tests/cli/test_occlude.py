"""`onnxray occlude`: its answers are the engine's; the plan; Ctrl-C; bad input."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnxray.cli import attributions
from onnxray.cli.interrupt import Interrupt
from onnxray.engine.methods.occlusion import occlusion
from onnxray.engine.methods.occlusion_plan import occlusion_plan
from onnxray.engine.model import load
from PIL import Image

Run = Callable[..., tuple[int, str, str]]


def test_maps_are_the_engines(network: Path, photos: Path, tmp_path: Path, cli: Run) -> None:
    options = ("--patch", "3x2", "--stride", "2", "--fill", "#102030", "--target", "1", "--target", "0")
    code, out, err = cli("occlude", network, photos, *options, "-o", tmp_path / "out.png", "--save", tmp_path / "kept")
    assert code == 0, err
    right = occlusion(load(network), photos, patch=(3, 2), stride=2, fill="#102030", target=[1, 0])
    kept = np.load(tmp_path / "kept.npz")
    assert right.raw is not None and right.raw.shape == (6, 4, 4)
    assert np.array_equal(kept["raw"], right.raw) and np.array_equal(kept["maps"], right.maps)
    assert f"{right.scores[0]:.4g}" in out and "patch 3 x 2" in out and "out.png" in out
    assert (tmp_path / "out.png").exists()


def test_a_layer_is_covered(network: Path, photos: Path, tmp_path: Path, cli: Run) -> None:
    options = ("--layer", "relu1", "--patch", "2", "--stride", "2", "--fill", "mean", "--target", "1")
    code, out, err = cli("occlude", network, photos, *options, "-o", tmp_path / "o.png", "--save", tmp_path / "kept")
    assert code == 0 and "of relu1: how much the score falls when the place is covered" in " ".join(out.split()), err
    right = occlusion(load(network), photos, layer="relu1", patch=2, stride=2, fill="mean", target=1)
    assert np.array_equal(np.load(tmp_path / "kept.npz")["raw"], right.raw)
    code, out, err = cli("occlude", network, "--layer", "relu1", "--plan")
    assert code == 0 and "places of relu1" in out, err
    code, _, err = cli("occlude", network, photos, "--layer", "nothing")
    assert code == 2 and err.count("\n") == 1 and "no layer 'nothing'" in err


def test_patches_of_several_sizes_side_by_side(network: Path, photos: Path, tmp_path: Path, cli: Run) -> None:
    sheet = tmp_path / "sizes.png"
    code, out, err = cli("occlude", network, photos, "--patch", "2", "--patch", "4", "-o", sheet)
    assert code == 0, err
    assert "patch 2 x 2" in out and "patch 4 x 4" in out
    with Image.open(sheet) as picture:
        assert picture.width > 3 * 200


def test_the_plan_needs_no_image(network: Path, cli: Run) -> None:
    code, out, err = cli("occlude", network, "--plan", "--patch", "2", "--stride", "3")
    assert code == 0, err
    plan = occlusion_plan(load(network), patch=2, stride=3)
    assert f"{plan.gain:.2f} times fewer" in out and "3×3 = 9 positions" in out
    assert f"It runs by {plan.by}" in out
    code, out, _ = cli("occlude", network, "--plan", "--patch", "2", "--stride", "3", "--json")
    found = json.loads(out)
    assert code == 0 and found["layers"][0]["macs"] == plan.layers[0].macs and found["gain"] == plan.gain


def test_ctrl_c_keeps_what_is_done(
    network: Path, photos: Path, tmp_path: Path, cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pressed at the first sign of life."""

    class Pressing:
        def __enter__(self) -> Any:
            return lambda done, total: signal.raise_signal(signal.SIGINT)

        def __exit__(self, *error: object) -> None: ...

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(attributions, "progress_bar", lambda task: Pressing())
    monkeypatch.setattr("onnxray.engine.methods.covered._AT_ONCE", 4)
    sheet = tmp_path / "some.png"
    options = ("--patch", "2", "--stride", "2", "--target", "1")
    code, _, err = cli("occlude", network, photos, *options, "-o", sheet, "--save", tmp_path / "some")
    assert code == 130 and "stopped after 4 of 48 positions" in err and sheet.exists()
    found = np.load(tmp_path / "some.npz")["raw"]
    whole = occlusion(load(network), photos, patch=2, stride=2, target=1).raw
    done = np.isfinite(found)
    assert done.sum() == 4 and whole is not None
    np.testing.assert_allclose(found[done], whole[done], atol=1e-5 * np.ptp(whole))
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_in_the_last_batch_of_a_run_ends_all_runs(
    network: Path, photos: Path, tmp_path: Path, cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Pressing:
        def __enter__(self) -> Any:
            return lambda done, total: signal.raise_signal(signal.SIGINT) if done == total else None

        def __exit__(self, *error: object) -> None: ...

    monkeypatch.setattr(attributions, "progress_bar", lambda task: Pressing())
    monkeypatch.setattr(Interrupt, "press", lambda self, *_: setattr(self, "pressed", True))  # it stays pressed
    sizes = ("--patch", "2", "--patch", "4", "--patch", "5")
    code, out, err = cli("occlude", network, photos, *sizes, "-o", tmp_path / "one.png")
    assert code == 130 and "stopped after 1 of 3 runs; the rest is missing" in err
    assert "patch 2 x 2" in out and "patch 4 x 4" not in out


def test_pressed_twice_it_ends_at_once(
    network: Path, photos: Path, tmp_path: Path, cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Pressing:
        def __enter__(self) -> Any:
            return lambda done, total: [signal.raise_signal(signal.SIGINT) for _ in range(2)]

        def __exit__(self, *error: object) -> None: ...

    monkeypatch.setattr(attributions, "progress_bar", lambda task: Pressing())
    code, out, _ = cli("occlude", network, photos, "--patch", "2", "-o", tmp_path / "none.png")
    assert code not in (0, 2) and not out
    assert not (tmp_path / "none.png").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--patch", "0"), "patch expects a whole number of at least 1, found 0"),
        (("--patch", "9"), "a patch of 9 x 9 is larger than what it covers, 8 x 8"),
        (("--patch", "2x"), "--patch expects pixels, 16, or rows x columns, 24x16; found '2x'"),
        (("--patch", "2", "--stride", "-3"), "--stride expects pixels, 16, or rows x columns, 24x16; found '-3'"),
        (("--patch", "2", "--fill", "#12"), "fill expects zero, black, mean, blur, noise, shift:PIXELS or a colour"),
        (("--patch", "2", "-o", "x.jpg"), "-o expects a .png or a folder, found x.jpg"),
        (("--patch", "2", "--target", "99"), "the network has no class 99"),
    ],
)
def test_one_line_for_what_cannot_be(
    network: Path, photos: Path, cli: Run, options: tuple[str, ...], message: str
) -> None:
    code, out, err = cli("occlude", network, photos, *options)
    assert (code, out) == (2, "") and message in err and len(err.strip().splitlines()) == 1


def test_images_are_needed_unless_it_plans(network: Path, cli: Run) -> None:
    code, _, err = cli("occlude", network, "--patch", "2")
    assert code == 2 and "expected an image to cover, found none; --plan needs none" in err
