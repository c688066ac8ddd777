"""PaddlePaddle itself as the independent witness of the parity certificate.

A program's operators may do anything: some write files, some run code. So PaddlePaddle gets a program only where each
of its operators is one that this reader knows, and these only compute.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import onnx

from ..certificate import Reference
from ..errors import InputError, MissingExtra
from ..oracle_process import run_oracle
from ..sample_inputs import sample_inputs
from .files import is_pir
from .operators import operator_functions
from .reader import Program
from .source import Source, open_source

ELSEWHERE = "ONNXRAY_PADDLE_PYTHON"  # a Python that has PaddlePaddle, which pins packages that others need newer
_PROCESS = Path(__file__).with_name("paddle_process.py")
_SIDE = 64  # pixels, where the file leaves the sides of images open and nobody says any


def find_python() -> str | None:
    """A Python that has PaddlePaddle: the one the environment names, else this one if it does."""
    named = os.environ.get(ELSEWHERE)
    return named or (sys.executable if find_spec("paddle") is not None else None)


def reference(
    path: Path,
    companion: Path | None,
    proto: onnx.ModelProto,
    names: Sequence[str],
    shapes: Mapping[str, Sequence[int]],
    size: tuple[int, int] | None,  # height, width of images
) -> Reference:
    """Tensors of the same network, by name.

    Raises MissingExtra without PaddlePaddle and InputError where it cannot or must not run the program.
    """
    python = find_python()
    if python is None:
        raise MissingExtra("comparing with PaddlePaddle", "paddle")
    source = open_source(path, companion)
    check_only_computes(source.program)
    feeds = sample_inputs(proto, {"": (1, 3, *(size or (_SIDE, _SIDE))), **shapes})
    wanted = [name for name in names if name in source.program.variables]
    with tempfile.TemporaryDirectory() as folder:
        words = _files(source)
        if is_pir(source.file):  # whose values have no names: it gives what is fetched, of files that are called alike
            wanted, words = source.program.fetches, _linked(source, Path(folder))
        try:
            found = run_oracle(_PROCESS, words, feeds, wanted, Path(folder), python)
        except InputError as error:
            raise InputError(f"PaddlePaddle cannot run this network ({error})") from None
    values = {name: found[str(at)] for at, name in enumerate(wanted) if str(at) in found}
    return Reference(f"PaddlePaddle {found['version']}", "the original files", feeds, values)


def check_only_computes(program: Program) -> None:
    """Raise InputError where an operator is none that this reader knows."""
    unknown = dict.fromkeys(each.type for each in program.operators if each.type not in operator_functions())
    if unknown:
        raise InputError(f"operators that PaddlePaddle would run and that are not known here: {', '.join(unknown)}")


def _linked(source: Source, folder: Path) -> tuple[Path, Path | str]:
    program, weights = _files(source)
    places = folder / "program.json", folder / "program.pdiparams"
    places[0].symlink_to(program)
    if weights:
        places[1].symlink_to(weights)
    return places


def _files(source: Source) -> tuple[Path, Path | str]:
    """The program, and the file of all weights; "": each has its own."""
    weights = source.weights_file
    return source.file.absolute(), weights.absolute() if weights is not None and weights.is_file() else ""
