"""Whether a file is a TensorFlow.js model, told by its first words."""

from __future__ import annotations

import re
from pathlib import Path

_HEAD = 1 << 16  # bytes
_MODEL = re.compile(rb'\A(\xef\xbb\xbf)?\s*\{.*?"(modelTopology|weightsManifest)"\s*:', re.DOTALL)


def is_model_json(path: Path) -> bool:
    """JSON that has a topology or a list of weights."""
    with path.open("rb") as file:
        return _MODEL.match(file.read(_HEAD)) is not None
