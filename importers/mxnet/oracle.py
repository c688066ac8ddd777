"""MXNet itself as the independent witness of the parity certificate, in whichever Python has it."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx

from ..certificate import Reference
from ..errors import InputError
from ..oracle_process import run_oracle
from ..sample_inputs import sample_inputs
from .source import find_pair

ELSEWHERE = "ONNXRAY_MXNET_PYTHON"  # a Python that has MXNet: its last version wants a NumPy older than ours
_PROCESS = Path(__file__).with_name("mxnet_process.py")
_ASSUMED_SIDE = 224  # pixels


def find_python() -> str | None:
    """A Python that has MXNet: the one the environment names, else this one if it does."""
    return os.environ.get(ELSEWHERE) or (sys.executable if find_spec("mxnet") is not None else None)


def reference(
    path: Path,
    companion: Path | None,
    proto: onnx.ModelProto,
    names: Sequence[str],
    shapes: Mapping[str, Sequence[int]],
) -> Reference:
    """Tensors of the same two files, by name, as MXNet computes them. Raises InputError where it cannot run them."""
    python = find_python()
    if python is None:
        raise InputError(
            f"comparing with MXNet needs a Python that has mxnet 1.9 (and NumPy before 1.24): name it in {ELSEWHERE}"
        )
    sides = {"": (1, 3, _ASSUMED_SIDE, _ASSUMED_SIDE), **shapes}
    feeds = sample_inputs(proto, sides)
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = run_oracle(_PROCESS, find_pair(path, companion), feeds, list(names), Path(folder), python)
        except InputError as error:
            raise InputError(f"MXNet cannot run this network ({error})") from None
    values = {name: found[str(at)] for at, name in enumerate(names) if str(at) in found}
    version = str(np.asarray(found["version"]))
    return Reference(f"MXNet {version}", "the original files", feeds, values)
