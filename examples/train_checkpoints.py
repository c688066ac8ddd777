"""A small network learns MNIST digits in a minute and is kept at eight moments: what do its units answer to, and
from when on?

    python examples/train_checkpoints.py IMAGES.idx3-ubyte.gz LABELS.idx1-ubyte.gz digits/
    onnxray deconvnet digits/step_2000.onnx digits/photos --layer /4/Relu --units 0,1,2,3,4,5,6,7 \
        --scale 1/255 --mean 0 $(ls digits/step_*.onnx | sed '$d;s/^/--checkpoints /') -o evolution.png
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

STEPS = (0, 10, 30, 100, 300, 600, 1000, 2000)  # at which the network is kept
BATCH, SHOWN, SEED = 64, 200, 0
RATE, MOMENTUM = 0.02, 0.9


def main(images: Path, labels: Path, folder: Path) -> None:
    """Train, and write the states of the network and some digits to look at."""
    torch.manual_seed(SEED)
    digits, answers = _read(images, 16).reshape(-1, 28, 28), _read(labels, 8)
    (folder / "photos").mkdir(parents=True, exist_ok=True)
    for number, digit in enumerate(digits[-SHOWN:]):
        Image.fromarray(digit).save(folder / "photos" / f"{number:03}.png")
    inputs = torch.from_numpy(digits[:-SHOWN, None].astype(np.float32) / 255)
    targets = torch.from_numpy(answers[:-SHOWN].astype(np.int64))
    network = _network()
    optimiser = torch.optim.SGD(network.parameters(), RATE, MOMENTUM)
    for step in range(STEPS[-1] + 1):
        if step in STEPS:
            _keep(network, folder / f"step_{step:04}.onnx")
            with torch.no_grad():
                right = (network(inputs[:2000]).argmax(1) == targets[:2000]).float().mean()
            print(f"step {step}: {100 * right:.1f} % of 2000 digits")
        rows = torch.randint(len(inputs), (BATCH,))
        loss = nn.functional.cross_entropy(network(inputs[rows]), targets[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def _network() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(32 * 7 * 7, 10)),
    )


def _keep(network: nn.Module, path: Path) -> None:
    names = {"input_names": ["image"], "output_names": ["logits"]}
    torch.onnx.export(
        network, (torch.zeros(1, 1, 28, 28),), path, dynamo=False, dynamic_axes={"image": {0: "N"}}, **names
    )


def _read(path: Path, header: int) -> np.ndarray:
    """The bytes of an idx file behind its header."""
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=header)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*map(Path, sys.argv[1:]))
