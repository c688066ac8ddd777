"""Gradients by the exported model on onnxruntime against the same by torch's copy of the network (bar 1).

python benchmarks/export.py [NETWORK …]
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxray
import onnxruntime as ort
from onnxray.engine.backward.heat_map import heat_map_model
from onnxray.engine.targets import ClassScore

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
import torchvision_networks as networks
from sides import Sides

NAMES = (
    *("squeezenet1_1", "resnet18", "googlenet", "mobilenet_v2", "densenet121", "efficientnet_b0", "convnext_tiny"),
    *("vit_b_16", "vgg16"),
)
OF_ONE_SIZE = "vit_b_16"  # 96 x 96 here
SIZE, IMAGES, CLASS, BAR, ROUNDS = 224, 4, 3, 1.0, 5


def main(words: Sequence[str]) -> bool:
    """Print a line a network; whether a bar is missed."""
    missed = [name for name in words or NAMES if _is_slower(name)]
    print(f"below the bar: {', '.join(missed)}" if missed else "every bar is met")
    return bool(missed)


def _is_slower(name: str) -> bool:
    with Sides(_bridge_or_export, name) as sides:
        theirs, ours = sides.answers("maps")
        apart = float(np.linalg.norm(theirs - ours) / np.linalg.norm(theirs))
        times = sides.seconds("maps", ROUNDS)
    ratio, (bridge, export) = float(np.median(times[:, 0] / times[:, 1])), 1000 * np.median(times, 0) / IMAGES
    print(
        f"{name:16} torch {bridge:7.2f} ms an image, onnxruntime {export:7.2f} ms   ratio {ratio:.2f} (bar {BAR}), "
        f"maps {apart:.1g} of their length apart{'   MISSED' if ratio < BAR else ''}",
        flush=True,
    )
    return ratio < BAR


def _bridge_or_export(ours: bool, name: str) -> dict[str, Callable[[], Any]]:
    if name != OF_ONE_SIZE:
        networks.ARCHITECTURES[name] = replace(networks.ARCHITECTURES[name], size=SIZE)
    with TemporaryDirectory() as folder:
        model = onnxray.load(networks.exported(name, "legacy", Path(folder), any_batch=True))
    images = networks.images(name, IMAGES).numpy()
    (image,) = model.graph.inputs
    if not ours:
        return {"maps": partial(_bridge, model, images, image)}
    proto = heat_map_model(model, "saliency", target=CLASS)
    options = ort.SessionOptions()
    options.log_severity_level = 3  # it warns that the target can be overridden, which is what it is for
    session = ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return {"maps": lambda: session.run(["heatmap"], {image: images})[0]}


def _bridge(model: onnxray.Model, images: np.ndarray, image: str) -> np.ndarray:
    found = model.torch().gradients(images, ClassScore(CLASS), [image])
    maps: np.ndarray = np.abs(found.gradients[image]).max(1)
    return maps


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
