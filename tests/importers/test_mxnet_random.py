"""Random MXNet networks against MXNet itself: equal, or refused by name.

ONNXRAY_CASES=2000 draws more than a test run does; ONNXRAY_SEED elsewhere.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import mxnet_python
import numpy as np
import pytest
from mxnet_batch import run_batch
from mxnet_cases import draw
from onnxray.importers import mxnet
from onnxray.importers.certificate import BAR, compare_arrays, run_onnx
from onnxray.importers.errors import InputError

COUNT = int(os.environ.get("ONNXRAY_CASES", "144"))
SEED = int(os.environ.get("ONNXRAY_SEED", "0"))
_EXACT = 1e-6  # of numbers that hardly differ among themselves


def disagreement(theirs: list[np.ndarray], ours: list[np.ndarray]) -> str:
    """Why two versions of the outputs are not the same, or nothing."""
    for number, (expected, found) in enumerate(zip(theirs, ours, strict=True)):
        if expected.shape != found.shape and expected.size * found.size != 1:
            return f"output {number}: shapes {expected.shape} {found.shape}"
        row = compare_arrays(str(number), expected, found)
        if row.relative > BAR and row.difference > _EXACT:
            return f"output {number}: {row.relative:.2g} of its range apart"
    return ""


def test_random_networks_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = mxnet_python.use(monkeypatch)
    nets = [draw(SEED + number) for number in range(COUNT)]
    feeds = []
    for number, (net, _) in enumerate(nets):
        net.write(tmp_path, str(number))
        feeds.append(net.feeds())
        np.savez(tmp_path / f"{number}.npz", **feeds[-1])
    counts: Counter[str] = Counter()
    wrong = []
    for number, ((net, family), theirs) in enumerate(zip(nets, run_batch(python, tmp_path, COUNT), strict=True)):
        what = f"{SEED + number} {family} {net.nodes[-1]}"
        if isinstance(theirs, str):
            counts["not run by MXNet"] += 1
            print(f"{what}: MXNet: {theirs}")
            continue
        try:
            proto = mxnet.read(tmp_path / f"{number}-symbol.json", None, shapes=net.inputs)
        except InputError as error:
            counts["refused"] += 1
            print(f"{what}: {error}")
            continue
        names = [value.name for value in proto.graph.output]
        used = {value.name: feeds[number][value.name] for value in proto.graph.input}
        reason = disagreement(theirs, list(run_onnx(proto, used, names).values()))
        counts["wrong" if reason else "equal"] += 1
        wrong += [f"{what}: {reason}"] if reason else []
    print(dict(counts))
    assert not wrong, "\n".join(wrong)
    assert counts["equal"] >= 0.9 * COUNT, counts
