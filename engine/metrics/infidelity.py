"""infidelity: by how much the map errs in what a change of the image does to the score."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ...importers.errors import InputError
from ...importers.provenance import SEED
from ..images import Images, channels_first
from ..methods.attributing import Progress
from ..methods.attribution import Attribution
from ..methods.baselines import Baseline, check_baseline
from ..methods.options import check_choice, check_count, check_positive
from ..results import Result
from .removing import emptied, replaced
from .scoring import Row, Targets, rows, scores

if TYPE_CHECKING:
    from ..model import Model

_GREY_LEVELS = 255


@dataclass(frozen=True)
class Infidelity(Result):
    """For every row of an Attribution the mean squared error of the score's change, in squares of the score."""

    method: str
    images: tuple[str, ...]  # [R]
    targets: tuple[str, ...]  # [R]
    infidelity: np.ndarray  # [R] 0 is perfect
    scaled: np.ndarray  # [R] with the map in the unit that fits best: for maps whose size means nothing
    changes: np.ndarray  # [R] mean square of the score's change: what a map of zeros has
    settings: Mapping[str, Any]


def infidelity(
    model: Model,
    found: Attribution,
    images: Images,  # those that were explained
    *,
    target: Targets = None,  # what was explained
    slopes: bool = False,  # whether the raw values are the score's growth per input (gradients), or shares of the score
    perturbation: Literal["squares", "noise"] = "squares",  # a square becomes the baseline, or noise is taken away
    samples: int = 200,
    square: float = 0.2,  # side as a share of the image's shorter one
    baseline: Baseline = "black",
    noise: float = 0.1,  # standard deviation as a share of the range of grey levels
    seed: int = SEED,
    memory: int | str | None = None,  # what the process may hold: 2GB
    progress: Progress | None = None,
) -> Infidelity:
    """The mean of (I · Phi - (f(x) - f(x - I)))² over random perturbations I of the image x: the map Phi says how the
    score f should change. Phi are the raw values where there is one for every number of the input, else the map's.
    The perturbations are drawn alike for all rows.

    Raises InputError when these are not the images and targets of `found`, or noise is asked of a map of shares, which
    says nothing of it.
    Source: Yeh, Hsieh, Suggala, Inouye and Ravikumar 2019, arXiv:1901.09392, definition 2.1 and section 2.2; `scaled`
    has the factor of the authors' code (captum's `normalize`).
    """
    check_choice("perturbation", perturbation, ("squares", "noise"))
    check_count("samples", samples)
    if not 0 < square <= 1:
        raise InputError(f"square expects a share of the image's side, above 0 and at most 1, found {square!r}")
    check_positive("noise", noise)
    check_baseline(baseline)
    if perturbation == "noise" and not slopes:
        raise InputError("noise can be judged with slopes only; shares of the score want squares")
    size, results = found.maps.shape[1:], []

    def squares() -> Iterator[np.ndarray]:
        generator = np.random.default_rng(seed)
        return (random_square(generator, size, square) for _ in range(samples))

    def versions(image: np.ndarray) -> Iterator[np.ndarray]:
        if perturbation == "noise":
            generator = np.random.default_rng(seed)
            return (image - _noise(generator, image, model, noise) for _ in range(samples))
        empty = emptied(model, image, baseline, seed)
        return (replaced(image, empty, where, model) for where in squares())

    for row in rows(model, found, images, target, progress):
        values = _values(found, row, model, slopes)
        if slopes:
            expected = [(values * _planes(row.image - version, model)).sum() for version in versions(row.image)]
        else:
            expected = [values[..., where].sum() for where in squares()]
        before, *after = scores(model, row.target, chain([row.image], versions(row.image)), memory)
        results.append(_errors(np.array(expected), before - np.array(after)))
    settings: dict[str, Any] = {"slopes": slopes, "perturbation": perturbation, "samples": samples, "seed": seed}
    settings |= {"noise": noise} if perturbation == "noise" else {"square": square, "baseline": baseline}
    plain, scaled, changes = np.array(results).T
    return Infidelity(found.method, found.images, found.targets, plain, scaled, changes, settings)


def random_square(generator: np.random.Generator, size: tuple[int, ...], share: float) -> np.ndarray:  # [H, W] bool
    """A square somewhere inside, its side such a share of the shorter side."""
    side = max(1, round(share * min(size)))
    top, left = (int(generator.integers(length - side + 1)) for length in size)
    inside = np.zeros(size, bool)
    inside[top : top + side, left : left + side] = True
    return inside


def _noise(generator: np.random.Generator, image: np.ndarray, model: Model, noise: float) -> np.ndarray:
    scale = np.abs(np.asarray(model.spec.scale)) * _GREY_LEVELS * noise  # of each channel, or of all
    per_channel = scale if model.spec.layout == "NHWC" else scale[:, None, None]
    return (generator.normal(size=image.shape) * per_channel).astype(image.dtype)


def _values(found: Attribution, row: Row, model: Model, slopes: bool) -> np.ndarray:  # [C, H, W] or [H, W], float64
    shape = _planes(row.image, model).shape
    if found.raw is not None and found.raw.shape[1:] == shape:
        return found.raw[row.number].astype(np.float64)
    if slopes:
        raise InputError(f"expected slopes, a raw value for every number of the input, {found.method} has none such")
    return found.maps[row.number].astype(np.float64)


def _planes(image: np.ndarray, model: Model) -> np.ndarray:  # [C, H, W]
    return channels_first(image[None], model.spec)[0]


def _errors(expected: np.ndarray, lost: np.ndarray) -> tuple[float, float, float]:
    """Infidelity, the same with the best factor before the map, and with a map of zeros."""
    squares = float((expected**2).sum())
    factor = float((expected * lost).sum()) / squares if squares else 0.0
    errors = (expected - lost, factor * expected - lost, lost)
    return tuple(float((error**2).mean()) for error in errors)  # type: ignore[return-value]
