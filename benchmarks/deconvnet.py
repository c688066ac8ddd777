"""Units of a layer run back to one image: ours on onnxruntime, many at once, against Captum one at a time
(bar 5); and how long all 512 of SqueezeNet 1.1's last fire module take.

    python benchmarks/deconvnet.py
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxray
import torch
from onnxray.engine.backward.mirror import mirror

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
import torchvision_networks as networks
from captum_networks import network as captum_network
from sides import Sides

NAME, LAYER, UNITS, FEW, AT_ONCE, BAR, ROUNDS = "squeezenet1_1", "features.12", 512, 16, 16, 5.0, 3
NEAR = 1e-2  # of the maps' length: in float32 rounding may tip a ReLU


def main() -> bool:
    """Print the ratio; whether the bar is missed."""
    with Sides(_captum_or_ours, NAME) as sides:
        theirs, ours = sides.answers("maps")
        apart = float(np.linalg.norm(theirs - ours) / np.linalg.norm(theirs))
        if apart > NEAR:
            sys.exit(f"the maps differ: {apart:.2g} of their length")
        times = sides.seconds("few", ROUNDS)
        ratio = float(np.median(times[:, 0] / times[:, 1]))
        print(f"the maps are {apart:.1g} of their length apart")
        their_time, our_time = times.min(0)
        print(f"{FEW} units: Captum {their_time:.2f} s, ours {our_time:.2f} s   ratio {ratio:.1f} (bar {BAR})")
        (_, all_units) = sides.answers("all")
        print(f"all {UNITS} units of an image: {all_units:.1f} s")
    return ratio < BAR


def _captum_or_ours(ours: bool, name: str) -> dict[str, Callable[[], Any]]:
    image = networks.images(name, 1)
    if not ours:
        run = partial(_captum, captum_network(name), image)
        return {"maps": run, "few": run, "all": lambda: 0.0}
    with TemporaryDirectory() as folder:
        model = onnxray.load(networks.exported(name, "legacy", Path(folder), any_batch=True))
    layer = next(node.outputs[0] for node in model.graph.nodes if node.op == "Concat" and LAYER in node.name)
    run = partial(_ours, mirror(model, layer), image.numpy())
    return {"maps": partial(run, FEW), "few": partial(run, FEW), "all": partial(_timed, partial(run, UNITS))}


def _timed(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _ours(back: Any, image: np.ndarray, units: int) -> np.ndarray:
    value, recorded = back.forward(image)
    found = []
    for start in range(0, units, AT_ONCE):
        seeds = np.zeros((min(AT_ONCE, units - start), *value.shape[1:]), np.float32)
        for number, seed in enumerate(seeds):
            seed[(start + number, *np.unravel_index(value[0, start + number].argmax(), value.shape[2:]))] = 1
        found.append(back.backward(seeds, recorded))
    return np.concatenate(found)


def _captum(source: torch.nn.Module, image: torch.Tensor) -> np.ndarray:
    networks.torchvision_models()  # which Captum imports
    from captum.attr import Deconvolution

    part = source.features[:13]
    with torch.no_grad():
        value = part(image)[0]
    found = []
    for unit in range(FEW):
        place = np.unravel_index(int(value[unit].argmax()), value.shape[1:])
        target = (unit, *(int(along) for along in place))
        found.append(Deconvolution(part).attribute(image.clone().requires_grad_(), target=target).detach().numpy()[0])
    return np.stack(found)


if __name__ == "__main__":
    sys.exit(main())
