"""`onnxray summary`: the table and its machine-readable forms."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_models
from onnxray.engine.structure.receptive_field import ReceptiveField

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return tiny_models.save(tmp_path / "tiny.onnx")


def test_table(cli: Cli, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    code, out, err = cli("summary", tiny)
    assert (code, err) == (0, "")
    conv = next(line for line in out.splitlines() if " Conv " in line)
    assert conv.split()[1:] == ["Conv", "2×8×8", "20", "1.15", "k", "512", "B", "3/1/-1"]
    assert "119 (119)" in out
    assert "1 Relu, 1 Flatten: no parameters, no MACs; --all shows them" in " ".join(out.split())


def test_all_shows_every_node(cli: Cli, tiny: Path) -> None:
    _, layers, _ = cli("summary", tiny, "--csv")
    _, nodes, _ = cli("summary", tiny, "--csv", "--all")
    assert len(layers.splitlines()) == 1 + 4
    assert len(nodes.splitlines()) == 1 + 6


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_no_line_is_wider_than_the_terminal(
    cli: Cli, shared: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    """And at 80 columns numbers and fields are still whole."""
    monkeypatch.setenv("COLUMNS", str(width))
    _, out, _ = cli("summary", shared("models/derived/squeezenet1.1.onnx"))
    assert max(map(len, out.splitlines())) <= width
    last = next(line for line in out.splitlines() if "classifier.1" in line)
    for text in ("1000×14×14", "513 k", "100 M", "766 KiB"):
        assert text in last
    assert last.replace(" ", "").endswith("207/16/-88")


def test_json(cli: Cli, tiny: Path) -> None:
    code, out, err = cli("summary", tiny, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["total_macs"] == 1248
    conv = found["rows"][0]
    assert (conv["op"], conv["params"], conv["shape"]) == ("Conv", 20, [1, 2, 8, 8])
    assert conv["receptive_field"] == {"kind": "local", "size": [3, 3], "stride": [1, 1], "start": [-1, -1]}


def test_csv(cli: Cli, tiny: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(cli("summary", tiny, "--csv")[1])))
    assert [row["op"] for row in rows] == ["Conv", "MaxPool", "Gemm", "Softmax"]
    assert (rows[0]["macs"], rows[0]["shape"], rows[0]["field_size"]) == ("1152", "1x2x8x8", "3x3")
    assert rows[2]["field_kind"] == "global"


def test_markdown(cli: Cli, tiny: Path) -> None:
    lines = cli("summary", tiny, "--md")[1].splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + 4
    assert {line.count("|") for line in table} == {8}


def test_forms_exclude_each_other(cli: Cli, tiny: Path) -> None:
    code, out, err = cli("summary", tiny, "--json", "--csv")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1


def test_an_assumed_size_is_said(cli: Cli, tmp_path: Path) -> None:
    text = '<ir_version: 8, opset_import: ["" : 17]> g (float[n,3,h,w] x) => (y) { y = MaxPool<kernel_shape=[2,2]>(x) }'
    path = tiny_models.save(tmp_path / "open.onnx", text)
    assert "input x 1×3×224×224 assumed; fix with --shape" in cli("summary", path)[1]
    fixed = cli("summary", path, "--shape", "x=1x3x32x48")[1]
    assert "input x 1×3×32×48" in fixed
    assert "assumed" not in fixed


def test_an_unknown_operator_is_a_question_mark(cli: Cli, tmp_path: Path) -> None:
    text = """<ir_version: 8, opset_import: ["" : 17, "some.where" : 1]> g (float[1,2,4,4] x) => (z)
    <float[2,2,1,1] w> { y = Conv(x, w) z = some.where.Novelty(y) }"""
    code, out, _ = cli("summary", tiny_models.save(tmp_path / "new.onnx", text))
    assert code == 0
    assert "at least 64; not known for 1 node:" in out
    assert next(line for line in out.splitlines() if "Novelty" in line).count("?") >= 2


@pytest.mark.parametrize(
    ("field", "text"),
    [
        (None, "–"),
        (ReceptiveField("none"), "–"),
        (ReceptiveField("unknown"), "?"),
        (ReceptiveField("global"), "global"),
        (ReceptiveField("local", (212, 212), (32, 32), (-90, -90)), "212 / 32 / -90"),
        (ReceptiveField("local", (7, 3), (0.5, 1), (-3, -1)), "7×3 / 0.5×1 / -3×-1"),
        (ReceptiveField("local", (None, 35), (None, 8), (None, -17)), "all×35 / –×8 / –×-17"),
    ],
)
def test_fields_in_words(field: ReceptiveField | None, text: str) -> None:
    assert str(field or ReceptiveField("none")) == text


def test_a_fresh_process_loads_nothing_heavy(shared: Callable[[str], Path]) -> None:
    code = (
        "import sys; from onnxray.cli.main import main; assert main(sys.argv[1:]) == 0;"
        "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    words = ["summary", str(shared("models/derived/squeezenet1.1.onnx")), "--csv"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert not set(done.stderr.split()) & {"onnxruntime", "torch", "matplotlib", "PIL", "zarr", "cv2", "netron"}
