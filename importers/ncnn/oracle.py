"""NCNN itself as the independent witness of the parity certificate, in floats."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx

from ..certificate import Reference
from ..errors import InputError
from ..oracle_process import run_oracle
from ..sample_inputs import sample_inputs
from .companion import find_pair
from .layers.detection import ENDS
from .param import read_param

_PROCESS = Path(__file__).with_name("ncnn_process.py")
_ASSUMED_SIDE = 224  # pixels


def reference(path: Path, companion: Path | None, proto: onnx.ModelProto, names: Sequence[str]) -> Reference:
    """Blobs of the same files, by name, as NCNN computes them.

    Raises InputError without NCNN, or when it refuses the files.
    """
    if find_spec("ncnn") is None:
        raise InputError("comparing with NCNN needs its package: pip install ncnn")
    param, weights = find_pair(path, companion)
    feeds = sample_inputs(proto, {"": (1, 3, _ASSUMED_SIDE, _ASSUMED_SIDE)})
    if any(len(value) != 1 for value in feeds.values()):
        raise InputError("NCNN takes one image at a time, and this graph does not")
    layers = read_param(param)
    blobs = [blob for layer in layers for blob in layer.tops]
    wanted = {name: blobs.index(name) for name in names if name in blobs}
    # A layer that decodes boxes may fail on noise; no more is asked for than what it reads.
    ends = {blob for layer in layers if layer.type in ENDS for blob in layer.tops}
    request = [(name, place) for name, place in wanted.items() if name not in ends]
    inputs = {str(blobs.index(name)): value[0] for name, value in feeds.items()}
    try:
        with tempfile.TemporaryDirectory() as folder:
            values = run_oracle(_PROCESS, (param, weights), inputs, request, Path(folder))
    except InputError as error:
        raise InputError(f"NCNN cannot run this network ({error})") from None
    found = {name: np.asarray(values[str(place)])[None] for name, place in request if str(place) in values}
    return Reference(f"NCNN {version('ncnn')}", "the original files, in floats", feeds, found)
