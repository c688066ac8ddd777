"""Every form of a drawing: what Graphviz, an XML parser and a browser make of it."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import onnxray
import pytest
import tiny_models
from onnxray.engine.model import Model
from onnxray.engine.structure.drawing import graphviz_program
from onnxray.engine.structure.drawing.draw import Drawing, draw, to_dot, to_svg
from onnxray.importers.errors import InputError
from PIL import Image

SQUEEZENET = "models/derived/squeezenet1.1.onnx"
NEEDS_DOT = pytest.mark.skipif(shutil.which("dot") is None, reason="no dot on PATH")


@pytest.fixture(scope="module")
def squeezenet(shared: Callable[[str], Path]) -> Model:
    return onnxray.load(shared(SQUEEZENET))


def _graphviz(text: str, *options: str) -> str:
    done = subprocess.run([graphviz_program.program(), *options], input=text.encode(), capture_output=True, check=True)
    return done.stdout.decode()


def test_graphviz_reads_the_dot_text_as_the_same_graph(squeezenet: Model) -> None:
    """24 boxes (input, conv, 4 × Fire of 4, 3 pools, conv, pool, output), and a Fire module has 5 edges of its own."""
    plain = _graphviz(to_dot(squeezenet), "-Kneato", "-n2", "-Tplain")
    lines = [line.split()[0] for line in plain.splitlines()]
    assert lines.count("node") == 24
    assert lines.count("edge") == 4 * 4 + 11
    titles = re.findall(r"cluster_\w+", to_dot(squeezenet))
    assert len(titles) == 4


def test_positions_are_kept_by_graphviz(squeezenet: Model) -> None:
    drawing = Drawing(squeezenet)
    plain = _graphviz(drawing.dot(), "-Kneato", "-n2", "-Tplain").splitlines()
    nodes = [line.split() for line in plain if line.startswith("node")]
    placed = {words[1]: (float(words[2]) * 72, float(words[3]) * 72) for words in nodes}
    origins = [(placed[slot.id][0] - slot.x, placed[slot.id][1] + slot.y) for slot in drawing.plan.slots]
    for origin in origins:
        assert origin == pytest.approx(origins[0], abs=0.3)


@pytest.mark.parametrize("form", ["svg", "png", pytest.param("pdf", marks=NEEDS_DOT)])
def test_forms_that_graphviz_draws(squeezenet: Model, tmp_path: Path, form: str) -> None:
    path = tmp_path / f"graph.{form}"
    draw(squeezenet, path)
    data = path.read_bytes()
    if form == "png":
        picture = Image.open(io.BytesIO(data)).convert("RGB")
        colours = {colour for _, colour in picture.getcolors(1 << 24) or []}
        assert picture.height > picture.width > 200
        assert {(0xDB, 0xE8, 0xF7), (0xDC, 0xF0, 0xE2), (0xFB, 0xF0, 0xC9)} <= colours  # convolution, pooling, join
    elif form == "svg":
        assert b"Fire" in data
        assert ElementTree.fromstring(data).tag.endswith("svg")
    else:
        assert data.startswith(b"%PDF")
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_own_svg_is_well_formed_and_complete(squeezenet: Model) -> None:
    root = ElementTree.fromstring(to_svg(squeezenet, metric="macs"))
    space = "{http://www.w3.org/2000/svg}"
    boxes = [group for group in root.iter(f"{space}g") if group.get("id")]
    texts = "".join(root.itertext())
    assert len(boxes) == 24
    assert len([path for path in root.iter(f"{space}path") if path.get("class") == "wire"]) == 27
    assert "Fire ×2" in texts
    assert "388 M MACs" in texts


def test_metric_shades_the_largest_box_most(squeezenet: Model) -> None:
    """conv10 (512 -> 1000 channels, 14×14) has 512·1000·196 = 100.4 M of the 387.7 M MACs."""
    drawing = Drawing(squeezenet, metric="macs")
    heaviest = max(drawing.plan.slots, key=lambda slot: slot.look.weight)
    assert heaviest.look.weight == 1.0
    assert heaviest.look.lines == ("1000×14×14  ·  classifier.1", "100 M MACs · 25.9%")


def test_a_repeated_block_counts_every_repetition(squeezenet: Model) -> None:
    """Fire 2 and 3: 64·16 + 16·64 + 16·64·9 and 128·16 + 16·64 + 16·64·9 MACs a pixel, 56² pixels."""
    expected = 56**2 * (64 * 16 + 128 * 16 + 2 * (16 * 64 + 16 * 64 * 9))
    frame = Drawing(squeezenet, metric="macs").plan.frames[0]
    assert frame.look.lines == ("features.3 … 4", f"{expected / 1e6:.3g} M MACs · {expected / 387747520:.1%}")


def test_expand_draws_every_node(squeezenet: Model) -> None:
    assert len(Drawing(squeezenet, expand=True).plan.slots) == len(squeezenet.graph.nodes) + 2


@pytest.mark.parametrize("form", ["svg", "png", "dot", "html"])
def test_hostile_names(tmp_path: Path, form: str) -> None:
    proto = tiny_models.model()
    for index, node in enumerate(proto.graph.node):
        node.name = f'a"b<c>&\\d\n{{|}}</title><script>{index}'
    path = tmp_path / f"graph.{form}"
    draw(Model(proto, Path('<b>"net"&.onnx')), path, metric="macs")
    assert path.stat().st_size > 1000
    if form in ("svg", "html"):
        assert "<script>0" not in path.read_text("utf-8")
    if form == "dot":
        _graphviz(path.read_text("utf-8"), "-Tcanon")


def test_html_asks_for_nothing_and_answers_the_mouse(squeezenet: Model, tmp_path: Path, chromium: Any) -> None:
    path = tmp_path / "graph.html"
    draw(squeezenet, path, metric="params")
    tab = chromium.new_page(viewport={"width": 800, "height": 700})
    requests: list[str] = []
    complaints: list[str] = []
    tab.on("request", lambda request: requests.append(request.url))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    tab.goto(path.as_uri())
    tab.hover("g.box >> text=Conv 3×3 /2")
    tip = tab.inner_text("#tip")
    before = tab.get_attribute("#stage svg", "viewBox")
    tab.mouse.wheel(0, -400)
    tab.wait_for_timeout(100)
    assert tab.get_attribute("#stage svg", "viewBox") != before
    tab.close()
    assert "features.0" in tip
    assert "parameters: 1.79 k params" in tip
    assert "receptive field: field 3 px" in tip
    assert requests == [path.as_uri()]
    assert complaints == []


def test_dot_and_html_need_no_graphviz(squeezenet: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _hide_graphviz(monkeypatch, tmp_path)
    draw(squeezenet, tmp_path / "graph.dot")
    draw(squeezenet, tmp_path / "graph.html")
    with pytest.raises(InputError, match=r"apt install graphviz, or pip install \"onnxray\[graphviz\]\""):
        draw(squeezenet, tmp_path / "graph.svg")
    assert not (tmp_path / "graph.svg").exists()


def _hide_graphviz(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setattr(graphviz_program.sysconfig, "get_path", lambda name: str(folder))


def test_the_program_of_the_extra_is_found_beside_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _hide_graphviz(monkeypatch, tmp_path)
    _program(tmp_path / "graphviz-pure", "true")
    monkeypatch.setenv("PATH", os.devnull)
    assert graphviz_program.program() == str(tmp_path / "graphviz-pure")


def test_dot_on_path_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _hide_graphviz(monkeypatch, tmp_path)
    _program(tmp_path / "graphviz-pure", "true")
    _program(tmp_path / "dot", "true")
    assert graphviz_program.program() == str(tmp_path / "dot")


def test_a_hanging_graphviz_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _hide_graphviz(monkeypatch, tmp_path)
    _program(tmp_path / "dot", "exec /bin/sleep 60")
    with pytest.raises(InputError, match=r"did not draw the graph as svg within 0 s; draw it collapsed, or as html"):
        graphviz_program.run("digraph {}", "svg", seconds=0.3)


def test_a_graphviz_without_the_format_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _hide_graphviz(monkeypatch, tmp_path)
    _program(tmp_path / "graphviz-pure", "echo 'Format: \"pdf\" not recognized. Use one of: svg png' >&2; exit 1")
    with pytest.raises(InputError, match="graphviz-pure cannot write pdf; apt install graphviz"):
        graphviz_program.run("digraph {}", "pdf")


def _program(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "maks"}, "metric expects params, macs, .* found 'maks'; did you mean macs?"),
        ({"direction": "RL"}, "direction expects TB, LR; found 'RL'"),
        ({"metric": "time"}, "metric time expects times"),
    ],
)
def test_options_that_do_not_exist(squeezenet: Model, options: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Drawing(squeezenet, **options)
