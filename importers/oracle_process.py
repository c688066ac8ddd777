"""An independent reader of a format in a process of its own: what it imports, and how it crashes, is not ours."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .errors import InputError

OPENCV = Path(__file__).with_name("opencv_process.py")  # its first word is the name of OpenCV's reader
_TIMEOUT = 600  # seconds for one network and one input
_LONGEST = 300  # characters of what it said


def run_oracle(
    script: Path,
    words: Sequence[object],  # the script's first arguments: the model's files
    feeds: Mapping[str, np.ndarray],
    wanted: Sequence[Any],  # what it shall compute, for JSON
    folder: Path,  # to write in
    python: str = sys.executable,
) -> dict[str, np.ndarray]:
    """Call `script WORDS feeds.npz wanted.json results.npz`; returns the results.

    Raises InputError with what it said when it refuses, crashes or takes too long.
    """
    inputs, list_, results = (folder / name for name in ("feeds.npz", "wanted.json", "results.npz"))
    np.savez(inputs, **feeds)  # type: ignore[arg-type]
    list_.write_text(json.dumps(wanted))
    run_command([python, "-P", script, *words, inputs, list_, results])
    with np.load(results) as stored:
        return {key: stored[key] for key in stored.files}


def run_command(words: Sequence[object]) -> None:
    """Raises InputError with what it said when it refuses, crashes or takes too long."""
    command = [str(word) for word in words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    except OSError as error:
        raise InputError(f"{command[0]} cannot be started: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise InputError(f"it took longer than {_TIMEOUT} s") from None
    if done.returncode:
        reason = " ".join(done.stderr.split())[-_LONGEST:]
        raise InputError(reason if done.returncode > 0 else f"it crashed, signal {-done.returncode}")
