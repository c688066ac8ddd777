"""A small network and three photos, for verbs that explain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny_models
from PIL import Image


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return tiny_models.save(tmp_path / "tiny.onnx", seed=4)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for index, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (3, 8, 8), dtype=np.uint8)):
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return folder
