"""Options that one format has: declared by its row, handed to its reader, refused for all other files."""

from __future__ import annotations

import inspect
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import onnx
import pytest
import tiny_models
import typer
from onnxray import importers
from onnxray.cli.main import VERBS
from onnxray.cli.options import takes_model
from onnxray.engine.model import load as load_model
from onnxray.importers import FormatOption, Importer, load
from onnxray.importers.certificate import certify
from onnxray.importers.errors import InputError


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the reader of a format with options was called with; the format takes the place of ONNX."""
    calls: list[dict[str, Any]] = []

    def read(path: Path, companion: Path | None, **options: Any) -> onnx.ModelProto:
        calls.append(options)
        return onnx.load(path)

    def reference(path: Path, companion: Path | None, proto: onnx.ModelProto, names: list[str], **options: Any) -> None:
        calls.append(options)
        raise InputError("no reader")

    module = ModuleType("onnxray.importers.with_options")
    module.read, module.reference = read, reference  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    options = {"arch": FormatOption(str, "Which network."), "allow_code": FormatOption(bool, "Run it.")}
    row = Importer("with_options", (".onnx",), "is_onnx", options=options, needs=("shapes", "size"))
    monkeypatch.setitem(importers.IMPORTERS, "onnx", row)
    return calls


def test_the_reader_gets_its_options_and_what_it_needs(received: list[dict[str, Any]], tmp_path: Path) -> None:
    path = tiny_models.save(tmp_path / "tiny.onnx")
    load(path, arch="a:b", allow_code=True, size=8, mean=1.0)
    load(path, arch=None)
    assert received == [{"arch": "a:b", "allow_code": True, "size": 8}, {}]


def test_the_certificate_reads_with_the_same_options(received: list[dict[str, Any]], tmp_path: Path) -> None:
    model = load_model(tiny_models.save(tmp_path / "tiny.onnx"), arch="a:b", size=8)
    certify(model.path, model.companion, model.proto, options=model.options)
    assert received == [{"arch": "a:b", "size": 8}] * 2


def test_a_wrong_type_is_refused(received: list[dict[str, Any]], tmp_path: Path) -> None:
    path = tiny_models.save(tmp_path / "tiny.onnx")
    with pytest.raises(InputError, match=r"allow_code expects True or False, found 'yes'"):
        load(path, allow_code="yes")
    assert received == []


def test_another_formats_option_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tiny_models.save(tmp_path / "tiny.onnx")
    row = Importer("caffe", (), "is_caffe", options={"phase": FormatOption(str, "")})
    monkeypatch.setitem(importers.IMPORTERS, "caffe", row)
    with pytest.raises(InputError, match=r"tiny\.onnx: phase is an option for caffe files; this one is onnx"):
        load(path, phase="a:b")
    load(path, phase=None)


def test_the_command_line_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {
        "key": FormatOption(str, "Which part."),
        "allow_code": FormatOption(bool, "Run it."),
        "parts": FormatOption(dict, "What is what."),
    }
    monkeypatch.setitem(importers.IMPORTERS, "caffe", Importer("caffe", (), "is_caffe", options=options))
    given: list[dict[str, Any]] = []
    monkeypatch.setattr("onnxray.engine.model.load", lambda path, **words: given.append(words))
    app = typer.Typer()

    @app.command()
    @takes_model
    def verb(model) -> None:  # type: ignore[no-untyped-def]
        """A verb."""

    app(["net.onnx", "--allow-code", "--key", "weights", "--parts", "a=b", "--parts", "c=d=e"], standalone_mode=False)
    app(["net.onnx"], standalone_mode=False)
    assert [words["allow_code"] for words in given] == [True, None]
    assert [words["key"] for words in given] == ["weights", None]
    assert [words["parts"] for words in given] == [{"a": "b", "c": "d=e"}, None]
    with pytest.raises(InputError, match=r"--parts expects NAME=VALUE, found 'a'"):
        app(["net.onnx", "--parts", "a"], standalone_mode=False)


WITHOUT_MODEL = ("demo", "doctor", "formats")


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in WITHOUT_MODEL])
def test_every_verb_that_reads_a_model_has_every_option(verb: str) -> None:
    parameters = inspect.signature(getattr(import_module(f"onnxray.cli.verbs.{verb}"), verb)).parameters
    first = next(iter(parameters.values()))
    assert first.annotation.__metadata__[0].metavar == "MODEL"
    own = {name for importer in importers.IMPORTERS.values() for name in importer.options}
    common = {"companion", "shape", "size", "mean", "scale", "bgr", "labels", "resize", "layout"}
    assert own | common <= parameters.keys()


@pytest.mark.parametrize("verb", WITHOUT_MODEL)
def test_the_others_read_none(verb: str) -> None:
    parameters = inspect.signature(getattr(import_module(f"onnxray.cli.verbs.{verb}"), verb)).parameters
    assert not parameters.keys() & {"path", "model", "file"}
