"""NCNN itself as the independent witness of the parity certificate, in floats."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import onnx

from ..certificate import Reference
from ..errors import InputError
from ..oracle_process import run_oracle
from ..sample_inputs import sample_inputs
from .companion import find_pair, is_text
from .layers.detection import ENDS
from .param import UNNAMED, read_param

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
    numbers = blob_numbers(param)
    wanted = {name: numbers[name] for name in names if name in numbers}
    inputs = {str(numbers[name]): value[0] for name, value in feeds.items()}
    try:
        with tempfile.TemporaryDirectory() as folder:
            values = run_oracle(_PROCESS, (param, weights), inputs, list(wanted.values()), Path(folder))
    except InputError as error:
        raise InputError(f"NCNN cannot run this network ({error})") from None
    found = {name: values[str(number)][None] for name, number in wanted.items()}
    return Reference(f"NCNN {version('ncnn')}", "the original files, in floats", feeds, found)


def blob_numbers(param: Path) -> dict[str, int]:
    """What NCNN calls each blob: they are counted as layers make them, or a binary file says it.

    Not those that boxes are decoded to: that may fail on noise.
    """
    layers = read_param(param)
    blobs = [(blob, layer.type) for layer in layers for blob in layer.tops]
    counted = is_text(param)
    return {
        blob: place if counted else int(blob.removeprefix(UNNAMED))
        for place, (blob, kind) in enumerate(blobs)
        if kind not in ENDS
    }
