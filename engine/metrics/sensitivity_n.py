"""sensitivity_n: whether the map's sum over some pixels tells how much the score loses without them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...importers.errors import InputError
from ...importers.provenance import SEED
from ..images import Images
from ..methods.attributing import Progress
from ..methods.attribution import Attribution
from ..methods.baselines import Baseline, check_baseline
from ..methods.options import check_count
from ..results import Result
from .correlation import pearson
from .removing import emptied, replaced
from .scoring import Targets, rows, scores

if TYPE_CHECKING:
    from ..model import Model

_SHARES = np.geomspace(
    0.01, 0.8, 6
)  # of the pixels; with more than 0.8 too little of the image is left, says the paper


@dataclass(frozen=True)
class SensitivityN(Result):
    """For every row of an Attribution the correlation for each number of pixels."""

    method: str
    images: tuple[str, ...]  # [R]
    targets: tuple[str, ...]  # [R]
    sizes: tuple[int, ...]  # [S] pixels that are taken out
    correlations: np.ndarray  # [R, S] -1 to 1; NaN: the map or the score does not vary
    settings: Mapping[str, Any]


def sensitivity_n(
    model: Model,
    found: Attribution,
    images: Images,  # those that were explained
    *,
    target: Targets = None,  # what was explained
    sizes: Sequence[int] | None = None,  # numbers n of pixels; None: six from 1 % to 80 % of all
    samples: int = 100,  # random sets of each size
    baseline: Baseline = "black",  # in place of the pixels
    seed: int = SEED,
    memory: int | str | None = None,  # what the process may hold: 2GB
    progress: Progress | None = None,
) -> SensitivityN:
    """The correlation, over random sets of n pixels, of the map's sum over the set with what the score loses when the
    set is taken out: 1 for a perfect map of contributions, about 0 for a random one. All rows get the same sets.

    Raises InputError when these are not the images and targets of `found`, or a size does not fit the image.
    Source: Ancona, Ceolini, Öztireli and Gross 2018, arXiv:1711.06104, section 4 and definition 1.
    """
    pixels = found.maps[0].size
    chosen = tuple(int(n) for n in (np.rint(_SHARES * pixels).clip(1) if sizes is None else sizes))
    if not chosen or min(chosen) < 1 or max(chosen) > pixels:
        raise InputError(f"sizes expects numbers of pixels from 1 to {pixels}, found {list(chosen)}")
    check_count("samples", samples, least=2)
    check_baseline(baseline)

    def subsets() -> Iterator[np.ndarray]:  # [pixels] bool
        generator = np.random.default_rng(seed)
        for size in np.repeat(chosen, samples):
            subset = np.zeros(pixels, bool)
            subset[generator.choice(pixels, size, replace=False, shuffle=False)] = True
            yield subset

    correlations = []
    for row in rows(model, found, images, target, progress):
        values = found.maps[row.number].astype(np.float64)
        empty = emptied(model, row.image, baseline, seed)
        versions = (replaced(row.image, empty, subset.reshape(values.shape), model) for subset in subsets())
        sums = np.array([values.ravel()[subset].sum() for subset in subsets()]).reshape(len(chosen), samples)
        left = scores(model, row.target, versions, memory).reshape(sums.shape)
        correlations.append([pearson(expected, -score) for expected, score in zip(sums, left, strict=True)])
    settings = {"samples": samples, "baseline": baseline, "seed": seed}
    return SensitivityN(found.method, found.images, found.targets, chosen, np.array(correlations), settings)
