"""lrp: a score taken apart backwards, layer by layer, down to the pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...importers.errors import InputError
from ..images import Images, image_input
from ..targets import Target
from .attributing import Progress, Wanted, attribution
from .attribution import FOR_OR_AGAINST, Attribution, Maps, Method
from .gradients import image_gradients
from .options import check_choice, check_positive

if TYPE_CHECKING:
    from ..model import Model

# What the rules do: convolutions, dense layers, layers that the image goes into.
RULES = {
    "composite": "convolutions alpha {alpha:g} beta {beta:g}, dense layers epsilon {epsilon:g}, the first layer flat",
    "epsilon": "epsilon {epsilon:g} in all layers with weights",
    "alpha-beta": "alpha {alpha:g} beta {beta:g} in all layers with weights",
}
_DEFAULTS = {  # of the options that the rules have
    "composite": {"epsilon": 1e-6, "alpha": 1.0},
    "epsilon": {"epsilon": 1e-6},
    "alpha-beta": {"alpha": 2.0},
}
_MEANING = "the pixel's share of the score"


def lrp(
    model: Model,
    images: Images,  # files, folders, globs, or arrays [N, H, W, 3]
    *,
    target: Wanted | Sequence[Wanted] = None,  # what is explained; None: each image's own first class
    rule: str = "composite",  # one of RULES
    epsilon: float | None = None,  # of the rules composite and epsilon, in units of what a layer makes; None: 1e-6
    alpha: float | None = None,  # of the rules composite (None: 1) and alpha-beta (None: 2)
    memory: int | str | None = None,  # what the process may hold: 2GB
    progress: Progress | None = None,
) -> Attribution:
    """Layer-wise relevance propagation: each layer hands the relevance of what it makes to what it makes it of.

    Maps are [N, H, W] float32, in units of the score, summed over the channels: above 0 what speaks for it. `raw` is
    [N, C, H, W]. `gap` is by how much its sum misses the score: what biases have taken, and epsilon.
    `epsilon` is absolute, in units of a layer's output z, which z + epsilon stands for (z - epsilon below 0): the
    larger it is, the more relevance it takes, first of all from layers that are near 0. `alpha` weighs what speaks for
    an output, beta = alpha - 1 what speaks against it. All else that divides, such as sums and poolings, has 1e-6.
    Networks of convolutions, dense layers, activations, poolings, sums and moves of values have rules, quantised and
    fused ones by the layers of real numbers that they stand for.
    Raises InputError naming every node that there is none for (attention, products of computed tensors …), when the
    rule is unknown, an option is out of range or none of that rule's, the target is not in the network, or no image
    can be read.
    Source: Bach et al. 2015, doi:10.1371/journal.pone.0130140, equations 58 and 60; the composite as of Montavon et al.
    2019, Layer-Wise Relevance Propagation: An Overview, doi:10.1007/978-3-030-28954-6_10, with the first layer flat as
    of Lapuschkin et al. 2019, arXiv:1902.10178.
    """
    options = _options(rule, {"epsilon": epsilon, "alpha": alpha})

    def explain(batch: np.ndarray, wanted: Target) -> Maps:
        from ..gradient.relevance import RELEVANCE_RULES

        scores, raw = image_gradients(model, batch, wanted, memory, RELEVANCE_RULES[rule](**options))
        gap = raw.sum((1, 2, 3), np.float64) - scores
        return Maps(scores, raw.sum(1), image, raw, gap.astype(np.float32))

    image = image_input(model)[0]
    notes = (RULES[rule].format(**options, beta=options.get("alpha", 1) - 1),)
    settings = {"rule": rule, **options}
    method = Method("lrp", _MEANING, explain, signed=True, ends=FOR_OR_AGAINST, settings=settings, notes=notes)
    return attribution(model, images, target, method, progress)


def _options(rule: str, given: Mapping[str, float | None]) -> dict[str, float]:
    """The rule's options: what was given, or its defaults."""
    check_choice("rule", rule, RULES)
    stated = {name: value for name, value in given.items() if value is not None}
    for name, value in stated.items():
        if name not in _DEFAULTS[rule]:
            raise InputError(f"{name} is no option of the rule {rule}, which has {', '.join(_DEFAULTS[rule])}")
        check_positive(name, value)
    options = {name: float(value) for name, value in (_DEFAULTS[rule] | stated).items()}
    if options.get("alpha", 1) < 1:
        raise InputError(f"alpha expects a number of at least 1, as beta is alpha - 1, found {given['alpha']!r}")
    return options
