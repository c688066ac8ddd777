"""completeness: whether the values add up to the score's change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...importers.errors import InputError
from ...importers.provenance import SEED
from ..images import Images
from ..methods.attributing import Progress
from ..methods.attribution import Attribution
from ..methods.baselines import Baseline, check_baseline
from ..results import Result
from .explaining import values_of
from .removing import emptied
from .scoring import Targets, rows, scores

if TYPE_CHECKING:
    from ..model import Model


@dataclass(frozen=True)
class Completeness(Result):
    """For every row of an Attribution how far its sum is from the score's change."""

    method: str
    images: tuple[str, ...]  # [R]
    targets: tuple[str, ...]  # [R]
    gap: np.ndarray  # [R] the sum minus the change
    change: np.ndarray  # [R] of the score, from the baseline to the image
    share: np.ndarray  # [R] |gap| / |change|: 0 is perfect; NaN where the score does not change
    settings: Mapping[str, Any]


def completeness(
    model: Model,
    found: Attribution,
    images: Images,  # those that were explained
    *,
    target: Targets = None,  # what was explained
    baseline: Baseline | None = None,  # None: the method's own, which gave its gap
    seed: int = SEED,  # of a baseline of noise
    memory: int | str | None = None,  # what the process may hold: 2GB
    progress: Progress | None = None,
) -> Completeness:
    """The sum of all raw values of a row against what the score gained from a baseline to the image.

    Raises InputError when the values have no sign, no baseline is named for a method that has none of its own, or these
    are not the images and targets of `found`.
    Source: Sundararajan, Taly and Yan 2017, arXiv:1703.01365, proposition 1.
    """
    if baseline is None and found.gap is None:
        raise InputError(f"{found.method} has no baseline of its own, to which it would add up: name one")
    if baseline is not None and not found.signed:
        raise InputError(f"expected values for and against, which can add up; {found.method}'s have no sign")
    if baseline is not None:
        check_baseline(baseline)
    values = values_of(found)
    sums = values.reshape(len(values), -1).sum(1)
    if baseline is None:
        change = sums - found.gap
    else:
        changes = []
        for row in rows(model, found, images, target, progress):
            empty = emptied(model, row.image, baseline, seed)
            before, after = scores(model, row.target, (empty, row.image), memory)
            changes.append(after - before)
        change = np.array(changes)
    gap = sums - change
    share = np.divide(np.abs(gap), np.abs(change), out=np.full(len(gap), np.nan), where=change != 0)
    return Completeness(
        found.method, found.images, found.targets, gap, change, share, {"baseline": baseline, "seed": seed}
    )
