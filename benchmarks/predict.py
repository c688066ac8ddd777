"""A prediction pass over many images against a bare onnxruntime loop over the same decoded batches.

    python benchmarks/predict.py [MODEL.onnx IMAGES_FOLDER]

Both run in this process, in turn, on the same onnxruntime build and threads; the ratio is the median of the rounds'
ratios, which a change of the machine's speed hardly touches. The bare loop gets the prepared float32
batches and does nothing but `InferenceSession.run`; onnxray gets the same pictures, decoded, and prepares them, runs
them, takes the softmax and the five best classes. The bar is 1.15. A third line is the whole way from the files.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxray
import onnxruntime
from onnxray.engine.images import ImageBatches, displayable, find_images

SHARED = Path(os.environ.get("ONNXRAY_SHARED", Path(__file__).resolve().parents[2] / "shared"))
MODEL = SHARED / "models/derived/squeezenet1.1.onnx"
IMAGENET = SHARED / "data/imagenet_sample_256/dev"
BAR = 1.15
ROUNDS = 15
IMAGES = 160  # a round takes seconds, so that both rivals meet the same machine
BATCH = 16  # what predict uses


def main(path: str, folder: str) -> float:
    """Print the medians and return the ratio."""
    model = onnxray.load(path)
    files = find_images(folder)[:IMAGES]
    batches = [batch for _, batch in ImageBatches(files, model, BATCH)]
    pictures = np.stack([displayable(image, model.spec) for batch in batches for image in batch])
    rivals = {
        "bare onnxruntime": _bare(path, batches),
        "onnxray predict": lambda: onnxray.predict(model, pictures),
        "onnxray predict, from the files": lambda: onnxray.predict(model, files),
    }
    seconds = _in_turn(rivals)
    ratios = seconds / seconds[:, :1]
    for column, name in enumerate(rivals):
        value, ratio = np.median(seconds[:, column]), np.median(ratios[:, column])
        print(f"{name:32} {1000 * value / len(pictures):6.2f} ms an image   ratio {ratio:.3f}")
    print(f"bar: onnxray predict at most {BAR}; {len(pictures)} images, {ROUNDS} rounds")
    return float(np.median(ratios[:, 1]))


def _bare(path: str, batches: list[np.ndarray]) -> Callable[[], object]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda: [session.run(None, {name: batch}) for batch in batches]


def _in_turn(rivals: dict[str, Callable[[], object]]) -> np.ndarray:
    """Seconds of each rival in each round, [rounds, rivals]."""
    times = np.zeros((ROUNDS + 1, len(rivals)))
    for row in times:
        for column, function in enumerate(rivals.values()):
            start = time.perf_counter()
            function()
            row[column] = time.perf_counter() - start
    return times[1:]  # the first round opens sessions and fills caches


if __name__ == "__main__":
    model, images = sys.argv[1:] if len(sys.argv) == 3 else (MODEL, IMAGENET)
    sys.exit(main(str(model), str(images)) > BAR)
