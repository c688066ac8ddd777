"""Attribution methods against Captum's on the network's own torch source: the same maps, side by side.

    python benchmarks/attribution.py [NETWORK …]

Rivals run in one process, in turn, on the same threads, on a batch of 8 images of 224 x 224 (methods of many steps: 1
image). Captum has the source module as its users have it: evaluation mode, NCHW, parameters as they are made. Ours has
the exported file, read once, as `Model.torch()` keeps it; what its users get on top (decoding, predictions, pictures,
the certificate) is left out on both sides. That the maps agree is checked before anything is timed. The ratio is the
median of the rounds' ratios.

Memory: integrated gradients with 50 steps on DenseNet-121, one image, in a fresh process each; what is printed is the
process's peak.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxray
import torch
from onnxray.engine.gradient.rules import GUIDED
from onnxray.engine.methods.gradients import image_gradients, versions_gradients
from onnxray.engine.targets import ClassScore

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
import torchvision_networks as networks

NETWORKS = ("mobilenet_v2", "squeezenet1_1", "resnet18")
BARS = {"mobilenet_v2": 2.0, "squeezenet1_1": 1.5, "resnet18": 1.35}
SIZE, BATCH, STEPS, ROUNDS, CLASS = 224, 8, 50, 7, 3
LARGEST, MEMORY = "densenet121", 2 << 30
AGREE = (
    0.02  # length of the difference, as a share: in float32 rounding decides ties of ReLU and MaxPool here and there
)

Rivals = tuple[Callable[[], np.ndarray], Callable[[], np.ndarray]]  # Captum's, ours


def main(names: list[str]) -> bool:
    """Print a line a network and method; whether a bar is missed."""
    missed = []
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as processes:
        for name in names or NETWORKS:
            slow = processes.submit(_compared, name).result()
            missed += [f"{name} {method}" for method in slow]
        theirs, ours = (processes.submit(_peak, ours).result() for ours in (False, True))
    print(
        f"{LARGEST:15} integrated gradients, {STEPS} steps: peak {theirs / 2**30:.2f} GiB, ours {ours / 2**30:.2f} GiB"
    )
    missed += ["memory"] if ours > MEMORY else []
    print(f"below the bar: {', '.join(missed) or 'none'}")
    return bool(missed)


def _compared(name: str) -> list[str]:
    """Print a line a method; those that miss the bar."""
    missed = []
    with TemporaryDirectory() as folder:
        source, model = _both(name, Path(folder))
        for method, rivals in _methods(source, model, networks.images(name, BATCH)).items():
            theirs, ours = (function() for function in rivals)
            apart = float(np.linalg.norm(theirs - ours) / np.linalg.norm(theirs))
            assert apart < AGREE, f"{name} {method}: the maps are {apart:.2g} of their length apart"
            times = _in_turn(rivals)
            ratio, bar = float(np.median(times[:, 0] / times[:, 1])), BARS.get(name, 1.0)
            missed += [method] if ratio < bar else []
            medians = np.median(times, 0)
            print(
                f"{name:15} {method:22} Captum {medians[0]:7.3f} s, ours {medians[1]:7.3f} s   ratio {ratio:.2f} (bar "
                f"{bar}), apart {apart:.1g}{'   MISSED' if ratio < bar else ''}",
                flush=True,
            )
    return missed


def _both(name: str, folder: Path) -> tuple[torch.nn.Module, onnxray.Model]:
    networks.ARCHITECTURES[name] = replace(networks.ARCHITECTURES[name], size=SIZE)
    path = networks.exported(name, "legacy", folder, any_batch=True)
    return networks.network(name).requires_grad_(True), onnxray.load(path)


def _methods(source: torch.nn.Module, model: onnxray.Model, images: torch.Tensor) -> dict[str, Rivals]:
    from captum import attr

    batch, one = images.numpy(), images[:1]
    target = ClassScore(CLASS)

    def captum(method: Any, inputs: torch.Tensor, **options: Any) -> Callable[[], np.ndarray]:
        def run() -> np.ndarray:
            found = method.attribute(inputs.clone().requires_grad_(), target=CLASS, **options)
            return found.detach().numpy()  # type: ignore[no-any-return]

        return run

    def gradient(rule: Any = None) -> np.ndarray:
        return image_gradients(model, batch, target, rule=rule)[1]

    def integrated() -> np.ndarray:
        places, weights = np.polynomial.legendre.leggauss(STEPS)
        first = one.numpy()
        versions = (first * np.float32((place + 1) / 2) for place in places)
        pairs = zip(weights / 2, versions_gradients(model, versions, target), strict=True)
        return first * sum(weight * found[1] for weight, found in pairs)  # type: ignore[no-any-return]

    rivals: dict[str, Rivals] = {
        "saliency": (captum(attr.Saliency(source), images, abs=False), gradient),
        "input × gradient": (captum(attr.InputXGradient(source), images), lambda: batch * gradient()),
        "integrated gradients": (
            captum(attr.IntegratedGradients(source), one, n_steps=STEPS, internal_batch_size=BATCH),
            integrated,
        ),
    }
    if not _reuses_activations(source):  # Captum's hooks need a module for each
        rivals["guided backprop"] = (captum(attr.GuidedBackprop(source), images), lambda: gradient(GUIDED))
    return rivals


def _reuses_activations(source: torch.nn.Module) -> bool:
    calls: list[int] = []
    relus = [module for module in source.modules() if isinstance(module, torch.nn.ReLU)]
    hooks = [module.register_forward_hook(lambda module, *_: calls.append(id(module))) for module in relus]
    with torch.no_grad():
        source(torch.zeros(1, 3, SIZE, SIZE))
    for hook in hooks:
        hook.remove()
    return not calls or len(set(calls)) < len(calls)


def _in_turn(rivals: Rivals) -> np.ndarray:
    """Seconds of each rival in each round, [rounds, rivals]."""
    times = np.zeros((ROUNDS, len(rivals)))
    for row in times:
        for column, function in enumerate(rivals):
            start = time.perf_counter()
            function()
            row[column] = time.perf_counter() - start
    return times


def _peak(ours: bool) -> int:
    """Bytes that a process held at most, for integrated gradients by one side."""
    with TemporaryDirectory() as folder:
        source, model = _both(LARGEST, Path(folder))
        _methods(source, model, networks.images(LARGEST, 1))["integrated gradients"][ours]()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
