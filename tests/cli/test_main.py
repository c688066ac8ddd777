"""What every verb shares: help, version, errors as one line, exit codes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_models

Cli = Callable[..., tuple[int, str, str]]


def test_help_lists_every_verb(cli: Cli) -> None:
    from onnxray.cli.main import VERBS

    code, out, _ = cli("--help")
    assert code == 0
    assert all(verb in out for verb in VERBS)


def test_version(cli: Cli) -> None:
    import onnxray

    assert cli("--version") == (0, f"onnxray {onnxray.__version__}\n", "")


def test_unknown_verb_is_refused_with_the_nearest(cli: Cli) -> None:
    code, _, err = cli("sumary", "model.onnx")
    assert code == 2
    assert "summary" in err


def test_a_user_error_is_one_line_and_exit_code_2(cli: Cli) -> None:
    code, out, err = cli("summary", "absent.onnx")
    assert (code, out) == (2, "")
    assert err.startswith("error: no such file")
    assert err.count("\n") == 1


def test_debug_raises(cli: Cli) -> None:
    from onnxray import InputError

    with pytest.raises(InputError):
        cli("summary", "absent.onnx", "--debug")


def test_a_bug_says_so(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr("onnxray.engine.model.load", broken)
    code, _, err = cli("summary", "model.onnx")
    assert code == 1
    assert err.startswith("bug in onnxray: RuntimeError: two lines")
    assert err.count("\n") == 1


def test_a_place_that_cannot_be_written_is_no_bug(cli: Cli, tmp_path: Path) -> None:
    model = tiny_models.save(tmp_path / "net.onnx")
    (tmp_path / "file").write_text("kept")
    (tmp_path / "folder.onnx").mkdir()
    for words in (
        ("weights", model, "-o", tmp_path / "file"),
        ("weights", model, "--export", tmp_path / "file"),
        ("convert", model, "-o", tmp_path / "folder.onnx"),
    ):
        code, _, err = cli(*words)
        assert code == 2, words
        assert err.startswith("error: ")
        assert err.count("\n") == 1
    assert (tmp_path / "file").read_text() == "kept"
    assert {path.name for path in tmp_path.iterdir()} == {model.name, "file", "folder.onnx"}


def test_too_little_memory_is_no_bug(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def greedy(*_: object, **__: object) -> None:
        raise MemoryError("Unable to allocate 17.2 GiB")

    monkeypatch.setattr("onnxray.engine.model.load", greedy)
    code, _, err = cli("summary", "model.onnx")
    assert (code, err) == (2, "error: not enough memory here (Unable to allocate 17.2 GiB)\n")


def test_interruption_has_its_own_exit_code(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("onnxray.engine.model.load", interrupted)
    assert cli("summary", "model.onnx")[0] == 130
