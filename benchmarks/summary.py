"""Claim: a fresh process prints the summary of a SqueezeNet-size file in under 1.0 s.

    python benchmarks/summary.py [MODEL] [RUNS]

Times whole processes side by side, the median of RUNS each: `onnxray summary`, Python that only imports onnx, and
onnx-tool's `model_profile` of the same file (no receptive fields, no peak memory). Fails when onnxray takes longer.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from onnxray.engine.model import load

LIMIT = 1.0  # seconds
SHARED = Path(os.environ.get("ONNXRAY_SHARED", Path(__file__).resolve().parents[2] / "shared"))
MODEL = SHARED / "models/derived/squeezenet1.1.onnx"


def commands(model: Path) -> dict[str, list[str]]:
    """What is timed: name -> command."""
    name, shape = next(iter(load(model).input_shapes.items()))
    image = f"{{{name!r}: numpy.zeros({shape}, numpy.float32)}}"
    profile = f"import numpy, onnx_tool; onnx_tool.model_profile({str(model)!r}, {image})"
    return {
        "onnxray summary": [sys.executable, "-m", "onnxray.cli.main", "summary", str(model)],
        "import onnx": [sys.executable, "-c", "import onnx"],
        "onnx-tool": [sys.executable, "-W", "ignore", "-c", profile],
    }


def seconds(command: list[str]) -> float:
    """One run of a fresh process."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> int:
    model = Path(sys.argv[1]) if len(sys.argv) > 1 else MODEL
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    timed = commands(model)
    taken: dict[str, list[float]] = {name: [] for name in timed}
    for _ in range(runs):  # in turns, so that all of them meet the same load
        for name, command in timed.items():
            taken[name].append(seconds(command))
    own = median(taken["onnxray summary"])
    for name, times in taken.items():
        print(f"{name:<16} {median(times):6.2f} s   onnxray takes {own / median(times):.2f} times as long")
    return 0 if own < LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
