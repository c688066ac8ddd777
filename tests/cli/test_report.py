"""The report, opened in a real browser: complete in itself, readable, true to report.json."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from PIL import Image

MASKS = """
<ir_version: 8, opset_import: ["" : 17]>
masks (float[batch, 1, 8, 8] image) => (float[batch, 2, 8, 8] mask)
<float[2, 1, 3, 3] w> { c = Conv <pads = [1, 1, 1, 1]> (image, w)  mask = Sigmoid (c) }
"""
Cli = Callable[..., tuple[int, str, str]]


@dataclass
class Visit:
    """What a browser saw of a page."""

    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    broken_pictures: list[str] = field(default_factory=list)
    overflow: int = 0  # pixels the page is wider than the window


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures and one broken file."""
    folder = tmp_path_factory.mktemp("photos")
    for seed in (0, 1):
        pixels = np.random.default_rng(seed).integers(0, 256, (40, 60, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"noise{seed}.png")
    (folder / "broken.jpg").write_bytes(b"no image")
    return folder


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    """The report of the tiny network."""
    from onnxray.cli.main import main

    folder = tmp_path_factory.mktemp("report")
    model = tiny_models.save(folder / "tiny.onnx")
    labels = folder / "labels.txt"
    labels.write_text("cat\ndog\n<b>bird & co</b>\n")
    assert (
        main(["report", str(model), "--images", str(photos), "--labels", str(labels), "-o", str(folder / "r.html")])
        == 0
    )
    return folder / "r.html"


def visit(browser: Any, page: Path, width: int = 1200, colours: str = "light") -> Visit:
    """Open `page`, scroll through all of it and note what happens."""
    seen = Visit()
    tab = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=colours)
    tab.on("request", lambda request: seen.requests.append(request.url))
    tab.on("console", lambda message: seen.complaints.append(message.text))
    tab.on("pageerror", lambda error: seen.complaints.append(str(error)))
    tab.goto(page.as_uri())
    tab.evaluate("document.querySelectorAll('img').forEach((image) => (image.loading = 'eager'))")
    tab.evaluate("Promise.all([...document.images].map((image) => image.decode().catch(() => 0)))")
    seen.broken_pictures = tab.evaluate("[...document.images].filter((i) => !i.naturalWidth).map((i) => i.alt)")
    seen.overflow = tab.evaluate("document.scrollingElement.scrollWidth - window.innerWidth")
    tab.close()
    return seen


@pytest.mark.parametrize("width", [1200, 390])
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_opens_without_error_request_or_broken_picture(chromium: Any, page: Path, width: int, colours: str) -> None:
    seen = visit(chromium, page, width, colours)
    loaded = [url for url in seen.requests if not url.startswith("data:")]
    assert loaded == [page.as_uri()]
    assert not seen.complaints
    assert not seen.broken_pictures
    assert seen.overflow <= 0


def test_a_browser_without_the_picture_would_be_caught(chromium: Any, page: Path, tmp_path: Path) -> None:
    text = page.read_text()
    broken = tmp_path / "broken.html"
    broken.write_text(
        text.replace("</main>", '<img src="data:image/png;base64,AAAA" alt="bad"><script>x.y</script></main>')
    )
    seen = visit(chromium, broken)
    assert seen.broken_pictures == ["bad"]
    assert seen.complaints


def test_sorting_a_column_reorders_the_rows(chromium: Any, page: Path) -> None:
    tab = chromium.new_page()
    tab.goto(page.as_uri())
    column = "[...document.querySelectorAll('#layers tbody tr')].map((row) => row.cells[3].dataset.v)"
    before = tab.evaluate(column)
    tab.click("#layers th:nth-child(4)")
    after = tab.evaluate(column)
    tab.close()
    assert sorted(before) == sorted(after)
    assert [float(v) for v in after] == sorted((float(v) for v in before), reverse=True)


def test_refers_to_nothing_outside(page: Path) -> None:
    text = page.read_text()
    links = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"'\s)>]+)""", text)
    assert all(link.startswith(("data:", "#")) for link in links)


def test_labels_are_escaped(page: Path) -> None:
    text = page.read_text()
    assert "&lt;b&gt;bird &amp; co&lt;/b&gt;" in text
    assert "<b>bird" not in text


def test_names_the_broken_image(page: Path) -> None:
    assert "broken.jpg" in page.read_text()


def test_says_what_was_assumed_of_the_pixels(page: Path) -> None:
    assert "nothing says how pixels enter the network" in page.read_text()


def test_every_link_has_its_place(page: Path) -> None:
    text = page.read_text()
    links = re.findall(r'href="#(\w+)"', text)
    assert "images" in links
    assert all(f'id="{link}"' in text for link in links)


@pytest.mark.parametrize("more", [False, True])
def test_promises_predictions_of_classifiers_only(tmp_path: Path, photos: Path, more: bool) -> None:
    import onnxray
    from onnxray.cli.report.page import write_report

    text = tiny_models.CONV_NET if more else MASKS
    model = onnxray.load(tiny_models.save(tmp_path / "net.onnx", text))
    page = write_report(model, [photos], tmp_path / "r.html", shown=1).path
    assert ("has the predictions of all" in page.read_text()) == more
    assert (json.loads(page.with_suffix(".json").read_text())["predictions"] is not None) == more


def test_provenance_names_converter_and_seed(page: Path) -> None:
    text = " ".join(page.read_text().split())
    assert "<dt>Converter</dt><dd>none: the file is ONNX" in text
    assert "<dt>Seed</dt><dd>0," in text


def test_heat_maps_of_every_image_with_their_certificate(page: Path) -> None:
    text = page.read_text()
    found = json.loads(page.with_suffix(".json").read_text())["pixels"]
    assert 'href="#pixels"' in text
    for method in ("Grad-CAM", "Saliency", "Guided backprop", "LRP"):
        assert f"<dt>{method}</dt><dd>{found[method]['meaning']}." in html.unescape(text)
        assert text.count(f'alt="{method} of noise') == 2
        assert [Path(name).name for name in found[method]["images"]] == ["noise0.png", "noise1.png"]
    assert found["Saliency"]["targets"] == found["Grad-CAM"]["targets"]
    assert found["Saliency"]["certified"] and found["Saliency"]["certificate"] in text
    assert "may not be the network" not in text


def test_a_copy_that_differs_is_said_on_the_page(
    tmp_path: Path, photos: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    from onnxray.engine.model import Model

    class Failed:
        passed = False

        def summary(self) -> str:
            return "the copy differs at node conv1"

    monkeypatch.setattr(Model, "torch_certificate", lambda self, batch, gradients: Failed())
    model = tiny_models.save(tmp_path / "tiny.onnx")
    code, _, err = cli("report", model, "--images", photos, "-o", tmp_path / "r.html")
    assert code == 0 and "Traceback" not in err
    text = html.unescape((tmp_path / "r.html").read_text())
    assert "may not be the network's own: the copy differs at node conv1" in text


def test_says_why_there_are_no_heat_maps(
    tmp_path: Path, photos: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    from onnxray.cli.report import pixels

    words = ["--images", photos, "-o", tmp_path / "r.html"]
    masks = tiny_models.save(tmp_path / "masks.onnx", MASKS)
    monkeypatch.setattr(pixels, "find_spec", lambda name: None)
    code, _, _ = cli("report", tiny_models.save(tmp_path / "tiny.onnx"), *words)
    assert code == 0
    assert "Gradients need torch, which is not installed." in (tmp_path / "r.html").read_text()
    code, _, _ = cli("report", masks, *words)
    assert code == 0
    assert "#pixels" not in (tmp_path / "r.html").read_text()


def test_report_json_holds_the_numbers(page: Path) -> None:
    data = json.loads(page.with_suffix(".json").read_text())
    assert data["summary"]["params"] == 20 + 99
    assert data["summary"]["macs"] == 8 * 8 * 2 * 9 + 96
    assert len(data["predictions"]["images"]) == 2
    assert data["provenance"]["sha256"]


def test_without_images_there_is_still_a_report(cli: Cli, tmp_path: Path) -> None:
    model = tiny_models.save(tmp_path / "tiny.onnx")
    code, _, err = cli("report", model, "-o", tmp_path / "r.html")
    assert (code, err) == (0, "")
    assert "#images" not in (tmp_path / "r.html").read_text()
    assert "Conv_0" in (tmp_path / "r.html").read_text()


def test_the_page_is_html_so_that_its_numbers_have_a_file_of_their_own(cli: Cli, tmp_path: Path) -> None:
    model = tiny_models.save(tmp_path / "tiny.onnx")
    code, _, err = cli("report", model, "-o", tmp_path / "out.json")
    assert code == 2
    assert ".html file" in err
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.onnx"]


def test_a_folder_without_images_is_refused_and_nothing_written(cli: Cli, tmp_path: Path) -> None:
    model = tiny_models.save(tmp_path / "tiny.onnx")
    (tmp_path / "empty").mkdir()
    code, _, err = cli("report", model, "--images", tmp_path / "empty", "-o", tmp_path / "r.html")
    assert code == 2
    assert err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "tiny.onnx"]


@pytest.mark.parametrize(
    "name",
    [
        "models/derived/squeezenet1.1.onnx",
        "models/caffe/ultraface_rfb320/RFB-320.caffemodel",
        "models/caffe/cifar10_quick/cifar10_quick_iter_5000.caffemodel",
        "models/onnx/prisma_portrait_unet/prisma_nchw.onnx",
    ],
)
def test_reports_of_real_models(chromium: Any, shared: Callable[[str], Path], tmp_path: Path, name: str) -> None:
    from model_specs import load_model
    from onnxray.cli.report.page import write_report

    written = write_report(load_model(shared, name), [shared("data/skimage_images/chelsea.png")], tmp_path / "r.html")
    assert not written.skipped
    seen = visit(chromium, written.path)
    assert not seen.complaints
    assert not seen.broken_pictures
    assert seen.overflow <= 0
