"""What every verb shares: help, version, errors as one line, exit codes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

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


def test_interruption_has_its_own_exit_code(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("onnxray.engine.model.load", interrupted)
    assert cli("summary", "model.onnx")[0] == 130


def test_doctor_names_every_part(cli: Cli) -> None:
    code, out, _ = cli("doctor")
    assert code == 0
    for part in ("onnx", "torch", "kernels", "CUDA", "Graphviz", "runtime"):
        assert part in out
