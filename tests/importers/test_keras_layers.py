"""Random Keras models with random weights against Keras itself: equal, or refused by name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import keras_architectures
import keras_networks
import numpy as np
import onnx
import pytest
import tiny_keras
from onnxray.importers import load
from onnxray.importers.errors import InputError

CASES = int(os.environ.get("ONNXRAY_CASES", "50"))
SEED = int(os.environ.get("ONNXRAY_SEED", "0"))
BAR = 1e-4  # of the largest number
# What may be refused, each by the name of its layer.
REFUSALS = (
    "(CenterCrop): an image of",
    "(Dot): inputs of",
    "merges sequences with masks, which versions of Keras 3 do differently",
    "needs the size of its input, which the file leaves open",
    "bilinear with channels first, in a model whose images have them last",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models, each in its forms, and what Keras computes."""
    folder = tmp_path_factory.mktemp("keras")
    words = [sys.executable, keras_networks.__file__, str(SEED), str(CASES), str(folder)]
    subprocess.run(words, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return folder


@pytest.mark.parametrize("end", [".keras", ".h5"])
@pytest.mark.parametrize("build", keras_architectures.NETWORKS, ids=lambda build: build.__name__)
def test_whole_networks_are_equal(build: Callable[[object], object], end: str, folder: Path) -> None:
    case = folder / f"{build.__name__}.npz"
    assert _difference(load(case.with_suffix(end)), case) <= BAR


def test_every_case_is_equal_or_refused_by_name(folder: Path) -> None:
    cases = [path for path in folder.glob("*.npz") if path.stem.isdigit()]
    assert len(cases) > 0.8 * CASES  # the others Keras itself refused
    equal, refused, wrong = 0, [], []
    for case in cases:
        for path in filter(Path.exists, (case.with_suffix(end) for end in (".keras", ".h5", ".weights.h5"))):
            companion = case.with_suffix(".json") if path.name.endswith(".weights.h5") else None
            try:
                apart = _difference(load(path, companion=companion), case)
            except InputError as error:
                refused.append(str(error))
                continue
            equal += apart <= BAR
            if not apart <= BAR:
                wrong.append((path.name, apart, str(np.load(case)["note"])))
    print(f"{equal} files equal, {len(refused)} refused, {len(wrong)} wrong, of {len(cases)} models")
    assert not wrong
    assert not [reason for reason in refused if not any(known in reason for known in REFUSALS)]
    assert equal > 5 * len(refused)


def _difference(proto: onnx.ModelProto, case: Path) -> float:
    """Largest difference from Keras' results, as a share of their largest number."""
    with np.load(case) as stored:
        values, results = (
            [stored[name] for name in stored.files if name.startswith(kind)] for kind in ("value", "result")
        )
    turned = not _channels_first(case)
    values, results = (
        [tiny_keras.first(array) if turned and array.ndim == 4 else array for array in arrays]
        for arrays in (values, results)
    )
    found = tiny_keras.run(proto, *values)
    if [ours.shape for ours in found] != [theirs.shape for theirs in results]:
        return np.inf
    apart = [float(np.abs(ours - theirs).max()) for ours, theirs in zip(found, results, strict=True)]
    return max(each / max(float(np.abs(theirs).max()), 1e-30) for each, theirs in zip(apart, results, strict=True))


def _channels_first(case: Path) -> bool:
    """Whether the model's first layer that has an order has channels first: then its images are left alone."""
    with np.load(case) as stored:
        note = json.loads(str(stored["note"]))
    formats = [found for entry in note for found in _formats(entry)]
    return bool(formats) and formats[0] == "channels_first"


def _formats(entry: object) -> list[str]:
    if not (isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], str)) or entry[0] == "Flatten":
        return []
    config = entry[1] if isinstance(entry[1], dict) else {}
    inner = _formats(config["layer"]) if "layer" in config else []
    return [config["data_format"]] if "data_format" in config else inner
