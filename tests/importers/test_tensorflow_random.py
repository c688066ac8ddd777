"""Random TensorFlow graphs against NumPy, operator by operator by definition: equal, or refused by name.

ONNXRAY_CASES=2000 draws more than a test run does, ONNXRAY_SEED elsewhere;
ONNXRAY_TENSORFLOW_PYTHON names a Python that has TensorFlow, which then runs them too.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
from onnxray.importers.errors import InputError
from tensorflow_cases import draw
from tensorflow_runs import TENSORFLOW, disagreement, run_ours, run_tensorflow, write_for_tensorflow

COUNT = int(os.environ.get("ONNXRAY_CASES", "80"))
SEED = int(os.environ.get("ONNXRAY_SEED", "0"))


def test_random_graphs_are_the_same(tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    wrong = []
    results: list[tuple[str, list[np.ndarray]]] = []
    for seed in range(SEED, SEED + COUNT):
        net, outputs = draw(seed)
        path = tmp_path / f"{len(results)}.pb"
        path.write_bytes(net.bytes())
        what = f"{seed} {[node.op for node in net.message.node if node.op != 'Const']}"
        try:
            found = run_ours(path, outputs, net.feeds)
        except InputError as error:
            counts["refused"] += 1
            print(f"{what}: {error}")
            continue
        write_for_tensorflow(path, outputs, net.feeds)
        results.append((what, found))
        reasons = [disagreement(net.values[name], ours) for name, ours in zip(outputs, found, strict=True)]
        counts["wrong" if any(reasons) else "equal"] += 1
        wrong += [f"{what}: {'; '.join(filter(None, reasons))}"] if any(reasons) else []
    print(dict(counts))
    if TENSORFLOW:
        wrong += against_tensorflow(tmp_path, results)
    assert not wrong, "\n".join(wrong)
    assert counts["equal"] >= 0.95 * COUNT, counts


def against_tensorflow(folder: Path, results: list[tuple[str, list[np.ndarray]]]) -> list[str]:
    """What TensorFlow computes otherwise."""
    counts: Counter[str] = Counter()
    wrong = []
    for (what, ours), theirs in zip(results, run_tensorflow(folder, len(results)), strict=True):
        if isinstance(theirs, str):
            counts["not run by TensorFlow"] += 1
            print(f"{what}: TensorFlow: {theirs}")
            continue
        reasons = [reason for pair in zip(theirs, ours, strict=True) if (reason := disagreement(*pair))]
        counts["wrong" if reasons else "equal"] += 1
        wrong += [f"TensorFlow: {what}: {'; '.join(reasons)}"] if reasons else []
    print(f"TensorFlow: {dict(counts)}")
    return wrong
