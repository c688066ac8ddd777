"""Random Keras models with random weights against Keras itself: equal, or refused by name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import keras_networks
import numpy as np
import onnx
import pytest
import tiny_keras
from onnxray.importers import load
from onnxray.importers.errors import InputError

CASES = int(os.environ.get("ONNXRAY_KERAS_CASES", "50"))
SEED = int(os.environ.get("ONNXRAY_KERAS_SEED", "0"))
BAR = 1e-4  # of the largest number
# What may be refused, each by the name of its layer.
REFUSALS = (
    "(CenterCrop): an image of",
    "(Dot): inputs of",
    "needs the size of its input, which the file leaves open",
    "bilinear with channels first, in a model whose images have them last",
)


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The models, each in its forms, and what Keras computes."""
    folder = tmp_path_factory.mktemp("keras")
    words = [sys.executable, "-P", keras_networks.__file__, str(SEED), str(CASES), str(folder)]
    subprocess.run(words, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    found = sorted(folder.glob("*.npz"), key=lambda path: int(path.stem))
    assert len(found) > 0.8 * CASES  # the others Keras itself refused
    return found


def test_every_case_is_equal_or_refused_by_name(cases: list[Path]) -> None:
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
    """Largest difference from Keras' result, as a share of its largest number."""
    with np.load(case) as stored:
        value, expected = stored["value"], stored["result"]
    first = _channels_first(case)
    value, expected = (array if first or array.ndim != 4 else tiny_keras.first(array) for array in (value, expected))
    (found,) = tiny_keras.run(proto, value)
    if found.shape != expected.shape:
        return np.inf
    return float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-30))


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
