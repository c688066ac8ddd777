"""Occlusion by a patch of 16 x 16 every 8 pixels, against Captum and against onnxruntime: milliseconds a position.

    python benchmarks/occlusion.py [NETWORK …]       torchvision's networks, 224 x 224, against Captum's Occlusion
    python benchmarks/occlusion.py --files [PART …]  every real model file, against whole networks on onnxruntime

Rivals run in one process, in turn, on the same threads. Captum has the network's torch source in evaluation mode, NCHW,
and that number of perturbations_per_eval of 1, 2, 4 … 32 which is the fastest here; as its time a position is the same
everywhere, it does a quarter of them (a stride of 16). onnxruntime runs batches of 32 covered images, a tenth of the
positions. Ours does all of them, planning included, on the exported file, as it is read; what comes before and after in
`onnxray occlude` (decoding, the certificate, pictures) is left out on all sides. First the answers are compared: at the
positions that both have, with the plain network in float32. The ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxray
import torch
from onnxray.engine.methods.covered import Covering
from onnxray.engine.methods.feature_maps import image_size
from onnxray.engine.methods.patches import Places, places
from onnxray.engine.targets import ClassScore, Function

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
import torchvision_networks as networks
from model_specs import MODEL_SPECS, load_model

SHARED = Path(os.environ.get("ONNXRAY_SHARED", Path(__file__).resolve().parent.parent.parent / "shared"))
BARS = {"vgg16": 10.0, "googlenet": 8.0, "squeezenet1_1": 8.0, "resnet18": 4.0, "mobilenet_v2": 6.0}  # over Captum
FILES_BAR = 1.0  # over onnxruntime
SIZE, PATCH, STRIDE, THEIR_STRIDE, CLASS = 224, 16, 8, 16, 3
AT_ONCE = (1, 2, 4, 8, 16, 32)
ROUNDS, SHARE = 3, 10
NEAR = 1e-4  # of the scores' range: in float32 both round


def main(words: Sequence[str]) -> bool:
    """Print a line a network; whether a bar is missed."""
    compare, names = (
        (_with_captum, words or list(BARS)) if "--files" not in words else (_with_onnxruntime, _files(words))
    )
    missed = []
    for name in names:
        with ProcessPoolExecutor(1, get_context("spawn")) as process:  # a fresh one each
            missed += [name] if process.submit(compare, name).result() else []
    print(f"below the bar: {', '.join(missed)}" if missed else "every bar is met")
    return bool(missed)


def _files(words: Sequence[str]) -> list[str]:
    parts = [word for word in words if word != "--files"]
    return [name for name in MODEL_SPECS if not parts or any(part in name for part in parts)]


def _with_captum(name: str) -> bool:
    networks.torchvision_models()  # which Captum imports
    from captum.attr import Occlusion

    networks.ARCHITECTURES[name] = replace(networks.ARCHITECTURES[name], size=SIZE)
    source, image = networks.network(name), networks.images(name, 1)
    with TemporaryDirectory() as folder:
        model = onnxray.load(networks.exported(name, "legacy", Path(folder), any_batch=True))
    at, few = places((SIZE, SIZE), PATCH, STRIDE), places((SIZE, SIZE), PATCH, THEIR_STRIDE)
    target = ClassScore(CLASS)

    def captum(at_once: int) -> None:
        with torch.no_grad():
            Occlusion(source).attribute(
                image, (3, PATCH, PATCH), (3, THEIR_STRIDE, THEIR_STRIDE), target=CLASS, perturbations_per_eval=at_once
            )

    def ours() -> np.ndarray:
        return _scores(Covering(model, [target], at), image.numpy(), target)

    _same(name, ours(), at, _plain(source, image, at))
    tried = {n: [_seconds(lambda: captum(n)) for _ in range(ROUNDS)] for n in AT_ONCE}  # noqa: B023
    best = min(AT_ONCE, key=lambda n: np.median(tried[n]))
    return _compare(name, f"Captum ({best} at once)", lambda: captum(best), ours, len(few), len(at), BARS[name])


def _plain(source: torch.nn.Module, image: torch.Tensor, at: Places) -> np.ndarray:
    """Every tenth position by the whole network."""
    found = np.full(len(at), np.nan)
    with torch.no_grad():
        for number in range(0, len(at), SHARE):
            (top, left), (bottom, right) = at.begin[number], at.end[number]
            changed = image.clone()
            changed[..., top:bottom, left:right] = 0
            found[number] = source(changed)[0, CLASS]
    return found


def _with_onnxruntime(name: str) -> bool:
    model = load_model(lambda path: SHARED / path, name)
    size = image_size(model)
    patch = min(PATCH, min(size) // 4)
    at, few = places(size, patch, max(1, patch // 2)), places(size, patch, patch * 2)
    shape = (1, *next(iter(model.input_shapes.values()))[1:])
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    target = _target(model)
    whole = Covering(model, [target], few)
    whole.why_whole = "to compare"
    way = Covering(model, [target], at).why_whole or "by windows"

    def ours() -> np.ndarray:
        return _scores(Covering(model, [target], at), image, target)

    exact = Covering(model, [target], at)
    exact.why_whole = "to compare"
    _same(name, ours(), at, _scores(exact, image, target))
    label = f"onnxruntime ({way})"
    return _compare(name, label, lambda: _scores(whole, image, target), ours, len(few), len(at), FILES_BAR)


def _target(model: onnxray.Model) -> Any:
    """The first output's sum: whatever the network is for."""
    return Function(layer=model.graph.outputs[0], function=lambda value: value.flatten(1).double().sum(1), name="sum")


def _scores(covering: Covering, image: np.ndarray, target: Any) -> np.ndarray:
    found, _ = covering.scores(image, np.zeros_like(image), [target], lambda share: None)
    return found[0, 0]  # type: ignore[no-any-return]


def _same(name: str, found: np.ndarray, at: Places, expected: np.ndarray) -> None:
    known = np.isfinite(expected)
    apart = np.abs(found - expected)[known].max() / max(np.ptp(expected[known]), np.abs(expected[known]).max())
    if not apart <= NEAR:
        sys.exit(f"{name}: the scores are {apart:.2g} of their range apart")


def _compare(
    name: str,
    rival: str,
    theirs: Callable[[], Any],
    ours: Callable[[], Any],
    their_positions: int,
    our_positions: int,
    bar: float,
) -> bool:
    times = np.array([[_seconds(theirs) / their_positions, _seconds(ours) / our_positions] for _ in range(ROUNDS)])
    ratio, (their_time, our_time) = float(np.median(times[:, 0] / times[:, 1])), 1000 * np.median(times, 0)
    print(
        f"{Path(name).name:28} {rival} {their_time:7.2f} ms, ours {our_time:7.2f} ms   ratio {ratio:5.2f} (bar {bar})"
        f"{'   MISSED' if ratio < bar else ''}",
        flush=True,
    )
    return ratio < bar


def _seconds(run: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
