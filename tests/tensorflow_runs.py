"""TensorFlow graphs through the reader and onnxruntime, compared with what they should give."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from conftest import REPOSITORY
from onnxray.importers.certificate import BAR, compare_arrays, run_onnx
from onnxray.importers.channels_last import channels_first, to_last
from onnxray.importers.tensorflow.network import Network
from onnxray.importers.tensorflow.source import open_network
from onnxray.importers.tensorflow.translate import translate

TENSORFLOW = os.environ.get("ONNXRAY_TENSORFLOW_PYTHON", "")  # a Python that has TensorFlow: it then runs them too
_LEAST_APART = 1e-6


def run_ours(path: Path, outputs: Sequence[str], feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Outputs in the file's order of axes, of values in the file's."""
    return run_network(open_network(path, ",".join(outputs), None), outputs, feeds)


def run_network(network: Network, outputs: Sequence[str], feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Likewise of an opened network."""
    proto, first = translate(network, {})
    entered = {name: channels_first(value) if name in first else value for name, value in feeds.items()}
    present = {value.name for value in proto.graph.input}
    found = run_onnx(proto, {name: value for name, value in entered.items() if name in present}, outputs)
    return [found[name].transpose(to_last(4)) if name in first else found[name] for name in outputs]


def disagreement(theirs: np.ndarray, ours: np.ndarray) -> str:
    """Why two versions of an output are not the same, or nothing."""
    if theirs.shape != ours.shape:
        return f"shapes {theirs.shape} {ours.shape}"
    if theirs.dtype != ours.dtype:
        return f"types {theirs.dtype} {ours.dtype}"
    if theirs.dtype.kind in "fc":
        row = compare_arrays("", theirs, ours)
        return "" if row.relative <= BAR or row.difference <= _LEAST_APART else f"{row.relative:.2g} of its range apart"
    return "" if np.array_equal(theirs, ours) else f"{np.mean(theirs != ours):.2g} of them differ"


def write_for_tensorflow(path: Path, outputs: Sequence[str], feeds: Mapping[str, np.ndarray]) -> None:
    """What lies beside N.pb for it to be run."""
    np.savez(path.with_suffix(".npz"), **feeds)  # type: ignore[arg-type]
    path.with_suffix(".txt").write_text("\n".join(outputs))


def run_tensorflow(folder: Path, count: int) -> list[list[np.ndarray] | str]:
    """The outputs of 0.pb, 1.pb …, or why there are none."""
    subprocess.run([TENSORFLOW, REPOSITORY / "tests/tensorflow_batch.py", folder, str(count)], check=True)
    results: list[list[np.ndarray] | str] = []
    for number in range(count):
        error = folder / f"{number}.error"
        if error.exists():
            results.append(error.read_text())
            continue
        with np.load(folder / f"{number}.out.npz") as stored:
            results.append(list(stored.values()))
    return results
