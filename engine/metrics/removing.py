"""Pixels taken out of an image: a baseline takes their place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..methods.baselines import Baseline, baseline_inputs

if TYPE_CHECKING:
    from ..model import Model


def emptied(model: Model, image: np.ndarray, baseline: Baseline, seed: int) -> np.ndarray:
    """The baseline of one of the network's inputs."""
    return baseline_inputs(model, image[None], baseline, seed)[0]


def replaced(
    image: np.ndarray,  # one of the network's inputs
    other: np.ndarray,  # of the same shape
    where: np.ndarray,  # [H, W] bool
    model: Model,
) -> np.ndarray:
    """The image, with the other one's pixels there."""
    return np.where(where[..., None] if model.spec.layout == "NHWC" else where, other, image)
