"""`onnxray graph`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_models

Cli = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("form", ["svg", "png", "dot", "html"])
def test_writes_the_file_and_says_so(cli: Cli, tmp_path: Path, form: str) -> None:
    path = tmp_path / f"out.{form}"
    code, out, err = cli("graph", tiny_models.save(tmp_path / "net.onnx"), "-o", path)
    assert (code, out.strip(), err) == (0, str(path), "")
    assert path.stat().st_size > 500


def test_names_the_file_after_the_model(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = cli("graph", tiny_models.save(tmp_path / "net.onnx"))
    assert (code, out.strip()) == (0, "net.svg")
    assert (tmp_path / "net.svg").exists()


def test_time_is_measured(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "out.dot"
    code, _, err = cli("graph", tiny_models.save(tmp_path / "net.onnx"), "-o", path, "--metric", "time")
    assert (code, err) == (0, "")
    assert "µs" in path.read_text("utf-8")


def test_expand_and_direction(cli: Cli, tmp_path: Path) -> None:
    model = tiny_models.save(tmp_path / "net.onnx")
    texts = []
    for options in ((), ("--expand",), ("--direction", "LR")):
        assert cli("graph", model, "-o", tmp_path / "out.dot", *options)[0] == 0
        texts.append((tmp_path / "out.dot").read_text("utf-8"))
    assert texts[0].count("pos=") < texts[1].count("pos=")
    assert "rankdir=LR" in texts[2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("-o", "out.gif"), "error: a drawing is written as .svg, .png, .pdf, .dot, .html; found out.gif"),
        (("-o", "no/such/folder/out.dot"), "error: cannot write no/such/folder/out.dot (No such file or directory)"),
        (("--metric", "size"), "error: metric expects params, macs, time, receptive_field, activation_bytes; found"),
        (("--direction", "up"), "error: direction expects TB, LR; found 'up'"),
    ],
)
def test_bad_options_are_one_line(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = cli("graph", tiny_models.save(tmp_path / "net.onnx"), *options)
    assert (code, out) == (2, "")
    assert err.startswith(message)
    assert len(err.splitlines()) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["net.onnx"]
