"""Random PaddlePaddle programs, operator by operator, against NumPy by definition: equal, or refused by name.

ONNXRAY_CASES=2000 draws more than a test run does, ONNXRAY_SEED elsewhere;
ONNXRAY_PADDLE_PYTHON names a Python that has PaddlePaddle, which then runs them too.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
from conftest import REPOSITORY
from onnxray.importers import load
from onnxray.importers.certificate import BAR, compare_arrays, run_onnx
from onnxray.importers.errors import InputError
from paddle_cases import draw

COUNT = int(os.environ.get("ONNXRAY_CASES", "128"))
SEED = int(os.environ.get("ONNXRAY_SEED", "0"))
PADDLE = os.environ.get("ONNXRAY_PADDLE_PYTHON", "")
_LEAST_APART = 2e-6


def disagreement(theirs: np.ndarray, ours: np.ndarray) -> str:
    """Why two versions of an output are not the same, or nothing."""
    if theirs.shape != ours.shape:
        return f"shapes {theirs.shape} {ours.shape}"
    if ours.dtype.kind != "f":
        return "" if np.array_equal(theirs, ours) else f"{np.mean(theirs != ours):.2g} of them differ"
    row = compare_arrays("", theirs, ours)
    return "" if row.relative <= BAR or row.difference <= _LEAST_APART else f"{row.relative:.2g} of its range apart"


def test_random_programs_are_the_same(tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    results: list[tuple[str, list[np.ndarray]]] = []
    for seed in range(SEED, SEED + COUNT):
        name, case = draw(seed)
        path = case.write(tmp_path, str(len(results)))
        what = f"{seed} {name} {case.steps[0][0]} {case.steps[0][3]}"
        try:
            proto = load(path)
        except InputError as error:
            counts["refused"] += 1
            print(f"{what}: {error}")
            continue
        present = {value.name for value in proto.graph.input}
        outputs = [value.name for value in proto.graph.output]
        assert len(outputs) == len(case.expected)
        found = run_onnx(proto, {key: value for key, value in case.feeds.items() if key in present}, outputs)
        reasons = [disagreement(*pair) for pair in zip(case.expected.values(), found.values(), strict=True)]
        counts["wrong" if any(reasons) else "equal"] += 1
        wrong += [f"{what}: {'; '.join(filter(None, reasons))}"] if any(reasons) else []
        results.append((what, list(found.values())))
        np.savez(path.with_suffix(".npz"), **case.feeds)  # type: ignore[arg-type]
        path.with_suffix(".json").write_text(json.dumps(list(case.expected)))
    print(dict(counts))
    if PADDLE:
        wrong += against_paddle(tmp_path, results)
    assert not wrong, "\n".join(wrong)
    assert counts["equal"] >= 0.85 * COUNT, counts


def against_paddle(folder: Path, results: list[tuple[str, list[np.ndarray]]]) -> list[str]:
    """What PaddlePaddle computes otherwise."""
    subprocess.run([PADDLE, REPOSITORY / "tests/paddle_batch.py", folder, str(len(results))], check=True)
    counts: Counter[str] = Counter()
    wrong = []
    for number, (what, ours) in enumerate(results):
        error = folder / f"{number}.error"
        if error.exists():
            counts["not run by PaddlePaddle"] += 1
            print(f"{what}: PaddlePaddle: {error.read_text()}")
            continue
        with np.load(folder / f"{number}.out.npz") as stored:
            reasons = [disagreement(*pair) for pair in zip(stored.values(), ours, strict=True)]
        counts["wrong" if any(reasons) else "equal"] += 1
        wrong += [f"PaddlePaddle: {what}: {'; '.join(filter(None, reasons))}"] if any(reasons) else []
    print(f"PaddlePaddle: {dict(counts)}")
    return wrong
