"""TensorFlow.js itself in Node, where the user has both: NODE_PATH says where its packages are."""

from __future__ import annotations

import base64
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..oracle_process import run_command

_PROCESS = Path(__file__).with_name("tfjs_process.js")
_TYPES = {"float32": np.float32, "int32": np.int32, "bool": np.bool_}


def run_tfjs(
    path: Path, feeds: Mapping[str, np.ndarray], wanted: Sequence[Any]
) -> tuple[str, dict[int, np.ndarray]] | None:
    """(version, number in `wanted` -> value), axes as in the file; None where Node or the packages are not there.

    Raises InputError with what TensorFlow.js said when it refuses, crashes or takes too long.
    """
    node = shutil.which("node")
    if node is None:
        return None
    with tempfile.TemporaryDirectory() as name:
        inputs, list_, results = (Path(name) / part for part in ("feeds.json", "wanted.json", "results.json"))
        inputs.write_text(json.dumps([[name, _plain(value)] for name, value in feeds.items()]))
        list_.write_text(json.dumps(wanted))
        try:
            run_command([node, _PROCESS, path.resolve(), inputs, list_, results])
        except InputError as error:
            if "Cannot find module '@tensorflow/" in str(error):
                return None
            raise InputError(f"TensorFlow.js cannot run this model ({error})") from None
        found = json.loads(results.read_text())
    return found["version"], {int(number): _array(value) for number, value in found["values"].items()}


def _plain(value: np.ndarray) -> dict[str, Any]:
    kind = "bool" if value.dtype == bool else "int32" if value.dtype.kind in "iu" else "float32"
    data = base64.b64encode(np.ascontiguousarray(value, _TYPES[kind]).tobytes()).decode()
    return {"shape": value.shape, "type": kind, "data": data}


def _array(stored: Mapping[str, Any]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(stored["data"]), _TYPES[stored["type"]]).reshape(stored["shape"])
