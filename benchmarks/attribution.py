"""Attribution methods against Captum and others on the network's own torch source: the same maps, side by side.

    python benchmarks/attribution.py [NETWORK …]

Rivals run in turn, each in a process of its own with as many threads, on a batch of 8 images of 224 x 224 (methods of
many steps: 1 image). The rival is Captum; of Score-CAM pytorch-grad-cam; of RISE its authors' way of doing it, written
down here and handed ready-made masks, which ours draws. They have the source module as their users have it: evaluation
mode, NCHW, parameters as they are made, and batches of 8 (pytorch-grad-cam's own: 16). Ours has the exported file,
read once, as `Model.torch()` keeps it; what its users get on top (decoding, predictions, pictures, the certificate) is
left out on both sides. That the maps agree is checked before anything is timed, but for SmoothGrad, whose noise both
draw on their own (the tests hand both the same). The ratio is the median of the rounds' ratios.

Memory: integrated gradients with 50 steps on DenseNet-121, one image, in a fresh process each; what is printed is the
process's peak.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxray
import torch
from onnxray.engine.gradient.rules import GUIDED
from onnxray.engine.methods.gradients import image_gradients, versions_gradients
from onnxray.engine.methods.rise import random_masks, rise
from onnxray.engine.methods.score_cam import score_cam
from onnxray.engine.methods.smooth_grad import _noisy
from onnxray.engine.targets import ClassScore

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
import cam_peers
import torchvision_networks as networks
from sides import Sides

os.environ["TQDM_DISABLE"] = "1"  # pytorch-grad-cam's progress bars
FORWARD = ("Score-CAM", "RISE")  # no gradients: they run on onnxruntime
DRAWN = ("SmoothGrad",)  # both draw, so that maps differ
NETWORKS = ("mobilenet_v2", "squeezenet1_1", "resnet18")
BARS = {"mobilenet_v2": 2.0, "squeezenet1_1": 1.5, "resnet18": 1.35}  # of methods that take gradients
FORWARD_BAR = 1.0
SIZE, BATCH, STEPS, CLASS = 224, 8, 50, 3
ROUNDS, FEW = 7, 3  # of methods that take a gradient or 50, and of those that take hundreds of passes
NOISE, MASKS, GRID, SHARE = 0.15, 512, 7, 0.5
LARGEST, MEMORY = "densenet121", 2 << 30
AGREE = (
    0.02  # length of the difference, as a share: in float32 rounding decides ties of ReLU and MaxPool here and there
)


@dataclass(frozen=True)
class Rivals:
    """The same method twice."""

    theirs: Callable[[], np.ndarray]
    ours: Callable[[], np.ndarray]


def main(names: list[str]) -> bool:
    """Print a line a network and method; whether a bar is missed."""
    missed = [f"{name} {method}" for name in names or NETWORKS for method in _compared(name)]
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as processes:
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
    with Sides(_side, name) as sides:
        for method in sides.names():
            theirs, ours = sides.answers(method)
            apart = float(np.linalg.norm(theirs - ours) / np.linalg.norm(theirs))
            if method not in DRAWN and apart > AGREE:
                sys.exit(f"{name} {method}: the maps are {apart:.2g} of their length apart")
            times = sides.seconds(method, FEW if method in FORWARD else ROUNDS)
            ratio, bar = float(np.median(times[:, 0] / times[:, 1])), FORWARD_BAR if method in FORWARD else BARS[name]
            missed += [method] if ratio < bar else []
            medians = np.median(times, 0)
            print(
                f"{name:15} {method:22} theirs {medians[0]:7.3f} s, ours {medians[1]:7.3f} s   ratio {ratio:.2f} (bar "
                f"{bar}), apart {'-' if method in DRAWN else f'{apart:.1g}'}{'   MISSED' if ratio < bar else ''}",
                flush=True,
            )
    return missed


def _side(ours: bool, name: str) -> dict[str, Callable[[], np.ndarray]]:
    with TemporaryDirectory() as folder:
        source, model = _both(name, Path(folder))
    methods = _gradient_methods(source, model, networks.images(name, BATCH)) | _forward_methods(name, source, model)
    return {method: rivals.ours if ours else rivals.theirs for method, rivals in methods.items()}


def _both(name: str, folder: Path) -> tuple[torch.nn.Module, onnxray.Model]:
    networks.ARCHITECTURES[name] = replace(networks.ARCHITECTURES[name], size=SIZE)
    path = networks.exported(name, "legacy", folder, any_batch=True)
    return networks.network(name).requires_grad_(True), onnxray.load(path)


def _gradient_methods(source: torch.nn.Module, model: onnxray.Model, images: torch.Tensor) -> dict[str, Rivals]:
    from captum import attr

    batch, one = images.numpy(), images[:1]
    target = ClassScore(CLASS)

    def captum(method: Any, inputs: torch.Tensor, **options: Any) -> Callable[[], np.ndarray]:
        def run() -> np.ndarray:
            found = method.attribute(inputs.clone().requires_grad_(), target=CLASS, **options)
            return found.detach().numpy()

        return run

    def gradient(rule: Any = None) -> np.ndarray:
        return image_gradients(model, batch, target, rule=rule)[1]

    def integrated() -> np.ndarray:
        places, weights = np.polynomial.legendre.leggauss(STEPS)
        first = one.numpy()
        versions = (first * np.float32((place + 1) / 2) for place in places)
        pairs = zip(weights / 2, versions_gradients(model, versions, target), strict=True)
        return first * sum(weight * found[1] for weight, found in pairs)

    def smooth() -> np.ndarray:
        pairs = versions_gradients(model, _noisy(one.numpy(), STEPS, NOISE, 0), target)
        return sum(found[1] for found in pairs) / STEPS

    tunnel, sigma = attr.NoiseTunnel(attr.Saliency(source)), NOISE * float(one.max() - one.min())
    noisy = {"nt_samples": STEPS, "nt_samples_batch_size": BATCH, "stdevs": sigma, "abs": False}
    rivals = {
        "saliency": Rivals(captum(attr.Saliency(source), images, abs=False), gradient),
        "input × gradient": Rivals(captum(attr.InputXGradient(source), images), lambda: batch * gradient()),
        "integrated gradients": Rivals(
            captum(attr.IntegratedGradients(source), one, n_steps=STEPS, internal_batch_size=BATCH), integrated
        ),
        "SmoothGrad": Rivals(captum(tunnel, one, **noisy), smooth),
    }
    if not _reuses_activations(source):  # Captum's hooks need a module for each
        rivals["guided backprop"] = Rivals(captum(attr.GuidedBackprop(source), images), lambda: gradient(GUIDED))
    return rivals


def _forward_methods(name: str, source: torch.nn.Module, model: onnxray.Model) -> dict[str, Rivals]:
    from pytorch_grad_cam import ScoreCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    model.spec = model.spec.override("benchmark", mean=(128.0,), scale=(1 / 64,), channel_order="RGB", resize="stretch")
    picture = np.random.default_rng(0).integers(0, 256, (1, SIZE, SIZE, 3), dtype=np.uint8)
    image = torch.tensor((picture.transpose(0, 3, 1, 2) - np.float32(128)) / 64)

    def their_cam() -> np.ndarray:
        with ScoreCAM(source, [cam_peers.LAYERS[name](source)]) as method:
            return method(image, [ClassifierOutputTarget(CLASS)])

    def our_cam() -> np.ndarray:
        maps = score_cam(model, picture, target=CLASS).maps
        return (maps - maps.min()) / np.ptp(maps)

    masks = np.stack(list(random_masks(MASKS, GRID, SHARE, (SIZE, SIZE), 0)))

    def their_rise() -> np.ndarray:
        with torch.no_grad():
            batches = [source(image * part[:, None])[:, CLASS] for part in torch.tensor(masks).split(BATCH)]
        return np.tensordot(torch.cat(batches).numpy(), masks, 1)[None] / masks.sum(0)

    def our_rise() -> np.ndarray:
        found = rise(model, picture, target=CLASS, samples=MASKS, grid=GRID, share=SHARE, seed=0)
        assert found.raw is not None
        return found.raw

    return {
        "Score-CAM": Rivals(their_cam, our_cam),
        "RISE": Rivals(their_rise, our_rise),
    }


def _reuses_activations(source: torch.nn.Module) -> bool:
    calls: list[int] = []
    relus = [module for module in source.modules() if isinstance(module, torch.nn.ReLU)]
    hooks = [module.register_forward_hook(lambda module, *_: calls.append(id(module))) for module in relus]
    with torch.no_grad():
        source(torch.zeros(1, 3, SIZE, SIZE))
    for hook in hooks:
        hook.remove()
    return not calls or len(set(calls)) < len(calls)


def _peak(ours: bool) -> int:
    """Bytes that a process held at most, for integrated gradients by one side."""
    with TemporaryDirectory() as folder:
        source, model = _both(LARGEST, Path(folder))
        rivals = _gradient_methods(source, model, networks.images(LARGEST, 1))["integrated gradients"]
        (rivals.ours if ours else rivals.theirs)()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
