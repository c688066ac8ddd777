"""The torch bridge: how long a conversion takes, and an input gradient against the network's own torch source.

    python benchmarks/bridge.py [NAME …]

Architectures are torchvision's and small ones of our own (tests/torchvision_networks.py), at the size they are used
at, each in a process of its own. Conversion is timed from a read file to a module that can run: shapes are inferred,
the module is built, its weights copied, folded and laid out; a few files of torch's other exporter are converted too.

The gradient is that of one output value an image with respect to a batch of 8. The rivals run in one process, in
turn, on the same threads: the source module as users of torch have it (evaluation mode, NCHW, parameters as they are
made, torch.autograd.grad of the score) and TorchModel.forward on the exported file with the same call. The ratio is
the median of the rounds' ratios, which a change of the machine's speed hardly touches; where other processes use the
cores too, OMP_WAIT_POLICY=passive keeps the threads of both rivals from spinning against them. Detectors take one image
at a time and find ever other boxes: they are converted, not timed.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnxray
import torch
from onnxray.engine.gradient.rules import PLAIN
from onnxray.engine.gradient.torch_model import TorchModel

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
import torchvision_networks as networks

SIZE, SIZES = 224, {"inception_v3": 299}
OWN = ("zfnet", "segnet", "deconvnet", "unet", "hourglass")  # at the size they are made for
DETECTORS = ("ssdlite", "fasterrcnn_mobilenet_320")
OTHER_EXPORTER = ("resnet18", "mobilenet_v2", "convnext_tiny", "vit_b_16")
BARS = {"mobilenet_v2": 2.0, "squeezenet1_1": 1.5, "resnet18": 1.35}
LEAST = 0.95  # of any other
MEDIAN_SECONDS, MOST_SECONDS = 0.3, 5.0
BATCH, ROUNDS, CONVERSIONS = 8, 11, 3


def main(names: list[str]) -> bool:
    """Print a line a network; whether a bar is missed."""
    unknown = [name for name in names if name not in networks.ARCHITECTURES]
    if unknown:
        sys.exit(f"no architecture {unknown[0]!r}; there are {', '.join(networks.ARCHITECTURES)}")
    # A process each: memory that earlier networks left behind makes the next one faster or slower.
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as processes:
        found = dict(zip(names, processes.map(_measured, names), strict=True))
    seconds = [second for conversions, _ in found.values() for second in conversions]
    missed = [name for name, (_, ratio) in found.items() if ratio < BARS.get(name, LEAST)]
    median, most = float(np.median(seconds)), max(seconds)
    print(f"conversion: median {median:.3f} s (bar {MEDIAN_SECONDS}), most {most:.3f} s (bar {MOST_SECONDS})")
    print(f"gradients: below the bar: {', '.join(missed) or 'none'}")
    return bool(missed) or median > MEDIAN_SECONDS or most > MOST_SECONDS


def _measured(name: str) -> tuple[list[float], float]:
    """Seconds of the conversions; the gradients' ratio, of detectors inf."""
    _at_full_size(name)
    seconds = []
    with TemporaryDirectory() as folder:
        for exporter in _exporters(name):
            path = networks.exported(name, exporter, Path(folder), any_batch=name not in DETECTORS)
            seconds.append(_conversion(path))
            print(f"{name:26} {exporter:7} conversion {seconds[-1]:6.3f} s", flush=True)
        return seconds, math.inf if name in DETECTORS else _gradients(name, path)


def _exporters(name: str) -> list[str]:
    """Those whose files are converted; the file of the last one is timed. torch's older exporter is much faster."""
    able = networks.ARCHITECTURES[name].exporters
    return list(able) if len(able) == 1 or name in OTHER_EXPORTER else ["legacy"]


def _at_full_size(name: str) -> None:
    if name not in (*OWN, *DETECTORS):
        entry = networks.ARCHITECTURES[name]
        make = (lambda models: models.vit_b_16()) if name == "vit_b_16" else entry.make
        networks.ARCHITECTURES[name] = replace(entry, make=make, size=SIZES.get(name, SIZE))


def _conversion(path: Path) -> float:
    """Seconds, the least of several."""
    found = []
    for _ in range(CONVERSIONS):
        model = onnxray.load(path)
        start = time.perf_counter()
        network = TorchModel(model)
        network._variants.get([network.tensors[name] for name in model.graph.outputs], PLAIN)
        found.append(time.perf_counter() - start)
    return min(found)


def _gradients(name: str, path: Path) -> float:
    """Print the rivals' medians; how often ours fits into the source's time."""
    source = networks.network(name).requires_grad_(True)
    model = onnxray.load(path)
    (entry,), output = model.graph.inputs, model.graph.outputs[0]
    bridge, images = model.torch(), networks.images(name, BATCH)

    def of_source(x: torch.Tensor) -> torch.Tensor:
        return networks.flat(source(x))[0]

    def of_bridge(x: torch.Tensor) -> torch.Tensor:
        return bridge.forward({entry: x}, [output])[output]

    times = _in_turn([lambda: _gradient(of_source, images), lambda: _gradient(of_bridge, images)])
    ratio = float(np.median(times[:, 0] / times[:, 1]))
    theirs, ours = np.median(times, 0) * 1000 / BATCH
    bar = BARS.get(name, LEAST)
    verdict = "" if ratio >= bar else "   MISSED"
    print(
        f"{name:26} source {theirs:7.2f} ms, bridge {ours:7.2f} ms   ratio {ratio:.2f} (bar {bar}){verdict}", flush=True
    )
    return ratio


def _gradient(function: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor) -> torch.Tensor:
    images = images.clone().requires_grad_()
    score = function(images).flatten(1)[:, 3].sum()
    return torch.autograd.grad(score, images)[0]


def _in_turn(rivals: list[Callable[[], object]]) -> np.ndarray:
    """Seconds of each rival in each round, [rounds, rivals]."""
    times = np.zeros((ROUNDS + 1, len(rivals)))
    for row in times:
        for column, function in enumerate(rivals):
            start = time.perf_counter()
            function()
            row[column] = time.perf_counter() - start
    return times[1:]  # the first round makes variants and fills caches


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or list(networks.ARCHITECTURES)))
