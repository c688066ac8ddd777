"""max_sensitivity: how much the explanation changes when the image hardly does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...importers.provenance import SEED
from ..images import Images, displayable
from ..methods.attributing import Progress
from ..methods.options import check_count, check_positive
from ..results import Result
from .explaining import Explains, explained_versions, values_of
from .scoring import Targets, explained

if TYPE_CHECKING:
    from ..model import Model

_GREY_LEVELS = 255


@dataclass(frozen=True)
class MaxSensitivity(Result):
    """For every image and target the largest change found."""

    method: str
    images: tuple[str, ...]  # [R]
    targets: tuple[str, ...]  # [R]
    sensitivity: np.ndarray  # [R] as a share of the explanation's own norm; 0 is perfect
    settings: Mapping[str, Any]


def max_sensitivity(
    model: Model,
    images: Images,  # files, folders, globs, or arrays [N, H, W, 3]
    method: Explains,  # called as method(model, images, target=…); functools.partial holds its other options
    *,
    target: Targets = None,  # what is explained: the same for the changed images
    radius: float = 0.02,  # as a share of the range of grey levels: 5 of 255
    samples: int = 10,
    seed: int = SEED,
    progress: Progress | None = None,
) -> MaxSensitivity:
    """The largest |Phi(x + e) - Phi(x)| / |Phi(x)| over random changes e of the image x, uniform within `radius`: Phi
    is what the method gives raw. All images get the same changes, stay within 0 to 255, and are taken as the network
    sees them, in whole grey levels.

    Raises InputError as the method does, or when there is no sample or no radius.
    Source: Yeh, Hsieh, Suggala, Inouye and Ravikumar 2019, arXiv:1901.09392, definition 3.1, estimated by sampling;
    divided by the norm as in the authors' code.
    """
    check_count("samples", samples)
    check_positive("radius", radius)
    changes: list[np.ndarray] = []
    names: list[str] = []
    labels: list[str] = []
    method_name = ""
    for seen in explained(model, images, target, progress):
        picture = displayable(seen.image, model.spec).astype(np.float32)
        noise = _noise(picture.shape, model.spec.channel_order == "GREY", radius, samples, seed)
        versions = (picture, *((picture + entry).clip(0, _GREY_LEVELS) for entry in noise))
        found = list(explained_versions(method, model, versions, seen.targets))
        values = np.concatenate([values_of(part) for part in found])
        changes.append(_largest_changes(values.reshape(1 + samples, len(seen.targets), -1)))
        names += [seen.name] * len(seen.targets)
        labels += seen.labels
        method_name = found[0].method
    settings = {"radius": radius, "samples": samples, "seed": seed}
    return MaxSensitivity(method_name, tuple(names), tuple(labels), np.concatenate(changes), settings)


def _largest_changes(values: np.ndarray) -> np.ndarray:  # [1 + samples, targets, …] the first unchanged -> [targets]
    size = np.linalg.norm(values[0], axis=1)
    apart = np.linalg.norm(values[1:] - values[0], axis=2)
    return apart.max(0) / np.where(size == 0, 1, size)


def _noise(shape: tuple[int, ...], grey: bool, radius: float, samples: int, seed: int) -> np.ndarray:
    """[samples, H, W, 3 or 1], in grey levels."""
    size = (samples, *shape[:2], 1 if grey else 3)
    most = radius * _GREY_LEVELS
    return np.random.default_rng(seed).uniform(-most, most, size).astype(np.float32)
