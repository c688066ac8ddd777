"""insertion_deletion: how fast a score falls when the map's best pixels go first, and rises when they come first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from ...importers.provenance import SEED
from ..images import Images
from ..methods.attributing import Progress
from ..methods.attribution import Attribution
from ..methods.baselines import Baseline, check_baseline
from ..methods.options import check_count
from ..results import Result
from .removing import emptied, replaced
from .scoring import Targets, probability_where_class, rows, scores

if TYPE_CHECKING:
    from ..model import Model

_BASELINES = ("black", "blur")  # of deletion and of insertion: the paper's


@dataclass(frozen=True)
class InsertionDeletion(Result):
    """For every row of an Attribution two curves of the score, and the area under each."""

    method: str
    images: tuple[str, ...]  # [R]
    scored: tuple[str, ...]  # [R] what was scored: a class's probability, or the target
    shares: np.ndarray  # [steps + 1] of the pixels, 0 to 1
    deletion: np.ndarray  # [R, steps + 1] the score with this share of the pixels taken out
    insertion: np.ndarray  # [R, steps + 1] the score with this share of the pixels put in
    deletion_auc: np.ndarray  # [R] low is good
    insertion_auc: np.ndarray  # [R] high is good
    settings: Mapping[str, Any]


def insertion_deletion(
    model: Model,
    found: Attribution,
    images: Images,  # those that were explained
    *,
    target: Targets = None,  # what was explained
    steps: int = 100,
    baseline: Baseline | None = None,  # in place of pixels; None: black where they go, blur before they come
    seed: int = SEED,  # of the order of pixels with the same value, and of a baseline of noise
    memory: int | str | None = None,  # what the process may hold: 2GB
    progress: Progress | None = None,
) -> InsertionDeletion:
    """Pixels leave the image, or enter an empty one, in the order of their value in the map, the largest first. The
    area under the score's curve, by trapezoids over the share of pixels: small for deletion and large for insertion
    where the map found what the score depends on. A class is scored by its probability, anything else as it is.

    Raises InputError when these are not the images and targets of `found`, or there is no step.
    Source: Petsiuk, Das and Saenko 2018, RISE, arXiv:1806.07421, section 4.2 and algorithm 1 of the supplement.
    """
    check_count("steps", steps)
    goes_to, comes_into = _BASELINES if baseline is None else (baseline, baseline)
    check_baseline(goes_to)
    check_baseline(comes_into)
    shares = np.linspace(0, 1, steps + 1)
    curves, scored = [], []
    for row in rows(model, found, images, target, progress):
        wanted = probability_where_class(row.target, model)
        order = removal_order(found.maps[row.number], seed)
        without, start = (emptied(model, row.image, entry, seed) for entry in (goes_to, comes_into))
        versions = chain(
            _versions(row.image, without, order, shares, model), _versions(start, row.image, order, shares, model)
        )
        curves.append(scores(model, wanted, versions, memory))
        scored += wanted.labels(1)
    deletion, insertion = np.stack(curves).reshape(-1, 2, steps + 1).transpose(1, 0, 2)
    return InsertionDeletion(
        method=found.method,
        images=found.images,
        scored=tuple(scored),
        shares=shares,
        deletion=deletion,
        insertion=insertion,
        deletion_auc=np.trapezoid(deletion, shares),
        insertion_auc=np.trapezoid(insertion, shares),
        settings={"steps": steps, "baseline": baseline, "seed": seed},
    )


def removal_order(values: np.ndarray, seed: int) -> np.ndarray:  # [H, W] -> [H, W] int, 0 for the largest
    """The place of each pixel in the order of falling values. Equal ones (Grad-CAM's zeros) come in random order: in
    that of the rows, the upper half of the image would count as more important."""
    shuffled = np.random.default_rng(seed).permutation(values.size)
    places = np.empty(values.size, int)
    places[np.lexsort((shuffled, -values.ravel()))] = np.arange(values.size)
    return places.reshape(values.shape)


def _versions(
    image: np.ndarray, other: np.ndarray, order: np.ndarray, shares: np.ndarray, model: Model
) -> Iterator[np.ndarray]:
    """The image with more and more of its pixels replaced by the other's."""
    return (replaced(image, other, order < count, model) for count in np.rint(shares * order.size))
