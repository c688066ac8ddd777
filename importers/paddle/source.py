"""What an import starts from: the program, the weights and the files they came from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from .files import find_pair, is_pir
from .pir import read_pir
from .reader import Program, read_program
from .weights import read_weights


@dataclass(frozen=True)
class Source:
    """A model opened."""

    file: Path
    weights_file: Path | None  # or their folder
    program: Program
    weights: dict[str, np.ndarray]


def open_source(path: Path, companion: Path | None) -> Source:
    """Raises InputError when a file is missing, damaged, or the two do not belong together."""
    file, weights_file = find_pair(path, companion)
    try:
        program = (read_pir if is_pir(file) else read_program)(file.read_bytes())
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
    return Source(file, weights_file, program, read_weights(weights_file, program.weights))
