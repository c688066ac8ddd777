"""Time per operator, measured by onnxruntime's own profiler on the graph as it is in the file."""

from __future__ import annotations

import json
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from ...importers.errors import InputError
from ...importers.provenance import SEED
from ..providers import open_session

if TYPE_CHECKING:
    from ..model import Model

_SUFFIX = "_kernel_time"


def time_operators(
    model: Model,
    *,
    seconds: float = 1.0,  # of measuring, at most; never fewer than 3 runs
    runs: int = 20,  # at most
) -> dict[str, float]:
    """Node name -> seconds of one run on the CPU, the median over the runs after a first one that is not counted.

    onnxruntime's graph optimisations are off, so that every node of the file is measured as itself; a run with them
    on is faster. Input: seeded normal noise, batch 1. Raises InputError when onnxruntime cannot run the model.
    """
    with tempfile.TemporaryDirectory() as folder:
        session = open_session(
            model.proto, (), ["CPUExecutionProvider"], folder=model.folder, profile=Path(folder) / "profile"
        )
        try:
            _run(session, _noise(model), seconds, runs)
        except Exception as error:  # onnxruntime has a dozen error types and documents none
            raise InputError(f"{model.path}: onnxruntime cannot run the model to measure it ({error})") from error
        finally:
            profile = session.end_profiling()
        events = json.loads(Path(profile).read_text("utf-8"))
    return _medians(events)


def _run(session: object, feeds: dict[str, np.ndarray], seconds: float, runs: int) -> None:
    start = time.perf_counter()
    for done in range(runs + 1):
        if done > 3 and time.perf_counter() - start > seconds:
            break
        session.run(None, feeds)  # type: ignore[attr-defined]


def _noise(model: Model) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(SEED)
    return {
        name: generator.normal(size=shape).astype(model.graph.types[name].dtype)
        for name, shape in model.input_shapes.items()
    }


def _medians(events: list[dict[str, object]]) -> dict[str, float]:
    """Node -> median of its durations; the first run, which also fills caches, is left out."""
    durations: dict[str, list[float]] = defaultdict(list)
    for event in events:
        name = str(event.get("name", ""))
        if event.get("cat") == "Node" and name.endswith(_SUFFIX):
            durations[name.removesuffix(_SUFFIX)].append(float(str(event["dur"])) * 1e-6)
    return {name: median(times[1:] or times) for name, times in durations.items()}
