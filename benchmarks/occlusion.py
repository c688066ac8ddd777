"""Occlusion by a patch of 16 x 16 every 8 pixels, against Captum and against onnxruntime: milliseconds a position.

    python benchmarks/occlusion.py [NETWORK …]       torchvision's networks, 224 x 224, against Captum's Occlusion
    python benchmarks/occlusion.py --files [PART …]  every real model file, against whole networks on onnxruntime

Rivals run in turn, each in a process of its own with as many threads. Captum has the network's torch source in
evaluation mode, NCHW, and that number of perturbations_per_eval of 1, 2, 4 … 32 which is the fastest here; as its time
a position is the same everywhere, it does a quarter of them (a stride of 16). onnxruntime runs batches of 32 covered
images, a tenth of the positions. Ours does all of them, planning included, on the exported file, as it is read; what
comes before and after in `onnxray occlude` (decoding, the certificate, pictures) is left out on all sides. First the
answers are compared: at the positions that both have, with the plain network in float32. The ratio is the median of
the rounds' ratios.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxray
import torch
from onnxray.engine.images import image_input
from onnxray.engine.methods.covered import Covering
from onnxray.engine.methods.feature_maps import image_size
from onnxray.engine.methods.patches import Places, places
from onnxray.engine.methods.surfaces import surface
from onnxray.engine.targets import ClassScore, Function

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
import torchvision_networks as networks
from model_specs import MODEL_SPECS, load_model
from sides import Sides

SHARED = Path(os.environ.get("ONNXRAY_SHARED", Path(__file__).resolve().parent.parent.parent / "shared"))
BARS = {"vgg16": 10.0, "googlenet": 8.0, "squeezenet1_1": 8.0, "resnet18": 4.0, "mobilenet_v2": 6.0}  # over Captum
FILES_BAR = 1.0  # over onnxruntime
SIZE, PATCH, STRIDE, THEIR_STRIDE, CLASS = 224, 16, 8, 16, 3
AT_ONCE = (1, 2, 4, 8, 16, 32)
ROUNDS, SHARE = 3, 10
NEAR = 1e-4  # of the scores' range: in float32 both round


def main(words: Sequence[str]) -> bool:
    """Print a line a network; whether a bar is missed."""
    files = "--files" in words
    names = _files(words) if files else words or list(BARS)
    missed = [name for name in names if (_with_onnxruntime if files else _with_captum)(name)]
    print(f"below the bar: {', '.join(missed)}" if missed else "every bar is met")
    return bool(missed)


def _files(words: Sequence[str]) -> list[str]:
    parts = [word for word in words if word != "--files"]
    return [name for name in MODEL_SPECS if not parts or any(part in name for part in parts)]


def _compare(name: str, rival: str, sides: Sides, theirs: str, positions: tuple[int, int], bar: float) -> bool:
    """`theirs`: the function's name; ours is called alike."""
    times = 1000 * sides.seconds(theirs, ROUNDS) / positions
    ratio, (their_time, our_time) = float(np.median(times[:, 0] / times[:, 1])), np.median(times, 0)
    print(
        f"{Path(name).name:28} {rival} {their_time:7.2f} ms, ours {our_time:7.2f} ms   ratio {ratio:5.2f} (bar {bar})"
        f"{'   MISSED' if ratio < bar else ''}",
        flush=True,
    )
    return ratio < bar


def _same(name: str, found: np.ndarray, expected: np.ndarray) -> None:
    known = np.isfinite(expected)
    apart = np.abs(found - expected)[known].max() / max(np.ptp(expected[known]), np.abs(expected[known]).max())
    if not apart <= NEAR:
        sys.exit(f"{name}: the scores are {apart:.2g} of their range apart")


def _scores(covering: Covering, image: np.ndarray, target: Any) -> np.ndarray:
    found, _ = covering.scores(image, lambda row, planes: np.zeros_like(planes), [target], lambda share: None)
    return found[0, 0]


# -- Captum ---


def _with_captum(name: str) -> bool:
    at, few = places((SIZE, SIZE), PATCH, STRIDE), places((SIZE, SIZE), PATCH, THEIR_STRIDE)
    with Sides(_captum_or_ours, name) as sides:
        plain, found = sides.answers("scores")
        _same(name, found, plain)
        tried = {str(n): np.median(sides.theirs(str(n), ROUNDS)) for n in AT_ONCE}
        best = min(tried, key=tried.__getitem__)
        return _compare(name, f"Captum ({best} at once)", sides, best, (len(few), len(at)), BARS[name])


def _captum_or_ours(ours: bool, name: str) -> dict[str, Callable[[], Any]]:
    networks.torchvision_models()  # which Captum imports
    from captum.attr import Occlusion

    networks.ARCHITECTURES[name] = replace(networks.ARCHITECTURES[name], size=SIZE)
    source, image = networks.network(name), networks.images(name, 1)
    at, target = places((SIZE, SIZE), PATCH, STRIDE), ClassScore(CLASS)
    if ours:
        with TemporaryDirectory() as folder:
            model = onnxray.load(networks.exported(name, "legacy", Path(folder), any_batch=True))
        run = partial(_planned_scores, model, at, image.numpy(), target)
        return dict.fromkeys(["scores", *map(str, AT_ONCE)], run)

    def captum(at_once: int) -> None:
        with torch.no_grad():
            Occlusion(source).attribute(
                image, (3, PATCH, PATCH), (3, THEIR_STRIDE, THEIR_STRIDE), target=CLASS, perturbations_per_eval=at_once
            )

    return {"scores": partial(_plain, source, image, at)} | {str(n): partial(captum, n) for n in AT_ONCE}


def _planned_scores(model: onnxray.Model, at: Places, image: np.ndarray, target: Any) -> np.ndarray:
    return _scores(_covering(model, target, at), image, target)


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


# -- onnxruntime ---


def _with_onnxruntime(name: str) -> bool:
    with Sides(_whole_or_ours, name) as sides:
        whole, found = sides.answers("scores")
        _same(name, found, whole)
        few, way = sides.answers("about")
        bar = FILES_BAR if way == "windows" else 0.0  # else both are the same run
        return _compare(name, f"onnxruntime ({way})", sides, "some", (few, len(whole)), bar)


def _whole_or_ours(ours: bool, name: str) -> dict[str, Callable[[], Any]]:
    model = load_model(lambda path: SHARED / path, name)
    size = image_size(model)
    patch = min(PATCH, min(size) // 4)
    at, few = places(size, patch, max(1, patch // 2)), places(size, patch, 2 * patch)
    shape = (1, *image_input(model)[1][1:])
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    # The first output's sum: whatever the network is for.
    target = Function(model.graph.outputs[0], lambda value: value.flatten(1).double().sum(1), "sum")
    if ours:
        run = partial(_planned_scores, model, at, image, target)
        return {"scores": run, "some": run, "about": lambda: _covering(model, target, at).why_whole or "windows"}
    all_whole, some_whole = (_whole(model, target, positions) for positions in (at, few))
    return {
        "scores": lambda: _scores(all_whole, image, target),
        "some": lambda: _scores(some_whole, image, target),
        "about": lambda: len(few),
    }


def _covering(model: onnxray.Model, target: Any, at: Places) -> Covering:
    return Covering(model, [target], surface(model, None, [target]), at)


def _whole(model: onnxray.Model, target: Any, at: Places) -> Covering:
    covering = _covering(model, target, at)
    covering.why_whole = "to compare"
    return covering


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
