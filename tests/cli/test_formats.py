"""`onnxray formats`: the table is that of the code, and the README's is the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import onnxray
import pytest
from conftest import REPOSITORY
from onnxray.cli.verbs.formats import markdown
from onnxray.importers import IMPORTERS
from onnxray.importers.support import SUPPORT, format_called, formats

Cli = Callable[..., tuple[int, str, str]]


def test_every_importer_has_its_words_and_a_page() -> None:
    assert SUPPORT.keys() == IMPORTERS.keys()
    for row in formats():
        assert row.words.title and row.words.reads and row.words.refuses and row.words.witness
        assert (REPOSITORY / "docs" / f"{row.words.page or row.name}.md").is_file()
    assert [row.name for row in onnxray.formats()] == list(SUPPORT)


def test_the_readme_has_the_same_table() -> None:
    """When this fails: `onnxray formats --md` prints the lines that belong there."""
    lines = (REPOSITORY / "README.md").read_text().splitlines()
    missing = [line for line in markdown(formats()) if line not in lines]
    assert not missing


def test_layers_are_those_of_the_importers_tables() -> None:
    found = {row.name: set(row.layers) for row in formats()}
    assert not found["onnx"] and not found["pytorch"]  # no table of ours decides
    assert {name for name, layers in found.items() if not layers} == {"onnx", "pytorch"}
    assert {"Convolution", "SSD"} & found["caffe"] == {"Convolution"}
    assert {"Conv2D", "Bidirectional", "GaussianNoise"} <= found["keras"]
    assert {"Conv2D", "Bidirectional", "_FusedConv2D", "FusedBatchNormV3"} <= found["tfjs"]


def test_the_page_of_a_format(cli: Cli) -> None:
    code, out, _ = cli("formats")
    assert code == 0
    for row in formats():
        assert row.words.title in out and row.suffixes[0] in out
    assert "onnxray view" in out


def test_one_format_and_its_layers(cli: Cli) -> None:
    code, out, _ = cli("formats", "tflite", "--layers")
    assert code == 0 and out.startswith("TensorFlow Lite (") and "CONV_2D" in out and "Conv2D" not in out
    assert cli("formats", ".pt2", "--layers")[1].startswith("PyTorch (any)")
    assert format_called("Keras").name == format_called("h5").name == "keras"


def test_json_says_all(cli: Cli) -> None:
    code, out, _ = cli("formats", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert code == 0 and rows.keys() == IMPORTERS.keys()
    assert rows["caffe"]["companion"] == "prototxt or caffemodel" and len(rows["caffe"]["layers"]) > 40
    assert "custom" in rows["tfjs"]["options"] and rows["onnx"]["suffixes"] == [".onnx"]


@pytest.mark.parametrize(
    ("words", "says"),
    [(("nonsense",), "no format is called nonsense; "), (("--json", "--md"), "exclude each other")],
)
def test_bad_words(words: tuple[str, ...], says: str, cli: Cli) -> None:
    code, _, err = cli("formats", *words)
    assert code == 2 and says in err and err.count("\n") == 1


def test_what_only_netron_can_show_is_said(cli: Cli, tmp_path: Path) -> None:
    """By `convert`, which writes nothing."""
    (tmp_path / "net.pte").write_bytes(b"\x1c\0\0\0ET12" + bytes(64))
    code, _, err = cli("convert", tmp_path / "net.pte")
    assert code == 2 and "recognised as an ExecuTorch program (.pte)" in err and "`onnxray view` shows it" in err
    assert [path.name for path in tmp_path.iterdir()] == ["net.pte"]
