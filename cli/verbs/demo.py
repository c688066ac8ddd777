"""`onnxray demo`: the report of a real trained network that pip can install."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def demo(
    output: Annotated[Path, typer.Option("-o", "--output", help="The page.")] = Path("onnxray-demo.html"),
) -> None:
    """The report of EfficientNet-Lite0, trained on ImageNet, on scikit-image's sample photos."""
    from ...engine.model import load
    from ...importers.demo_network import demo_images, demo_network
    from ..report.page import write_report

    photos = demo_images()
    print("EfficientNet-Lite0 becomes ONNX (once, some ten seconds) …", file=sys.stderr)
    write_report(load(demo_network()), photos, output)
    print(f"report: {output.resolve()}")
