"""integrated_gradients: what each pixel adds to a score on the way from an image that says nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...importers.provenance import SEED
from ..images import Images, channels_first, image_input
from ..targets import Target
from .attributing import Progress, Wanted, attribution
from .attribution import FOR_OR_AGAINST, Attribution, Maps, Method
from .baselines import Baseline, baseline_inputs, check_baseline
from .gradients import versions_gradients
from .image_scores import image_scores
from .options import check_choice, check_count

if TYPE_CHECKING:
    from ..model import Model

_MEANING = "what the pixel adds to the score's change between the baseline and the image, summed over the channels"
_NOTE = "a pixel that is as the baseline is gets nothing, a black one with the baseline black: compare baselines"


def integrated_gradients(
    model: Model,
    images: Images,  # files, folders, globs, or arrays [N, H, W, 3]
    *,
    target: Wanted | Sequence[Wanted] = None,  # what is explained; None: each image's own first class
    baseline: Baseline = "black",  # or mean (the image's own colour), blur, noise, a grey level 0..255, a picture
    steps: int = 50,  # gradients taken on the way
    rule: str = "gauss-legendre",  # how the integral is approximated; or riemann: the trapezoidal sum
    seed: int = SEED,  # of the baseline "noise"
    memory: int | str | None = None,  # what the process may hold: 2GB
    progress: Progress | None = None,
) -> Attribution:
    """The gradients of a score along the straight way from a baseline to the image, integrated, times that difference.

    Maps are [N, H, W] float32, in units of the score, positive where a pixel speaks for it; `raw` is [N, C, H, W] and
    sums up to the score less the baseline's, but for `gap`, which more steps make smaller.
    Raises InputError when an option is out of range, the target is not in the network, gradients do not reach it, or
    no image can be read.
    Source: Sundararajan, Taly and Yan 2017, Axiomatic Attribution for Deep Networks, arXiv:1703.01365, equation 1.
    """
    check_choice("rule", rule, _RULES)
    check_count("steps", steps, least=2)
    check_baseline(baseline)
    places, weights = _RULES[rule](steps)

    def explain(batch: np.ndarray, wanted: Target) -> Maps:
        origin = baseline_inputs(model, batch, baseline, seed)
        way = batch.astype(np.float64) - origin
        versions = ((origin + place * way).astype(batch.dtype) for place in places)
        mean = np.zeros_like(channels_first(way, model.spec))
        for weight, (_, gradient) in zip(weights, versions_gradients(model, versions, wanted, memory), strict=True):
            mean += weight * gradient
        raw = channels_first(way, model.spec) * mean
        scores = image_scores(model, batch, wanted)
        change = scores.astype(np.float64) - image_scores(model, origin, wanted)
        return Maps(scores, raw.sum(1), image, raw, raw.sum((1, 2, 3)) - change)

    image = image_input(model)[0]
    options = {"baseline": baseline, "steps": steps, "rule": rule, "seed": seed}
    method = Method("integrated_gradients", _MEANING, explain, True, "score", FOR_OR_AGAINST, options, (_NOTE,))
    return attribution(model, images, target, method, progress)


def _gauss_legendre(steps: int) -> tuple[np.ndarray, np.ndarray]:
    nodes, weights = np.polynomial.legendre.leggauss(steps)  # on -1..1
    return (nodes + 1) / 2, weights / 2


def _trapezoids(steps: int) -> tuple[np.ndarray, np.ndarray]:
    weights = np.full(steps, 1 / (steps - 1))
    weights[[0, -1]] /= 2
    return np.linspace(0, 1, steps), weights


_RULES: dict[str, Callable[[int], tuple[np.ndarray, np.ndarray]]] = {  # steps -> places on 0..1, weights that sum to 1
    "gauss-legendre": _gauss_legendre,
    "riemann": _trapezoids,
}
