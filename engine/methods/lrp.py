"""lrp: a score taken apart backwards, layer by layer, down to the pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..images import Images, image_input
from ..targets import Target
from .attributing import Progress, Wanted, attribution
from .attribution import FOR_OR_AGAINST, Attribution, Maps, Method
from .gradients import image_gradients
from .options import check_choice

if TYPE_CHECKING:
    from ..model import Model

# What the rules do: convolutions, dense layers, layers that the image goes into.
RULES = {
    "composite": "convolutions alpha 1 beta 0, dense layers epsilon, the first layer flat",
    "epsilon": "epsilon everywhere",
    "alpha-beta": "alpha 2 beta 1 in all layers with weights",
}
_MEANING = "the pixel's share of the score"


def lrp(
    model: Model,
    images: Images,  # files, folders, globs, or arrays [N, H, W, 3]
    *,
    target: Wanted | Sequence[Wanted] = None,  # what is explained; None: each image's own first class
    rule: str = "composite",  # one of RULES
    memory: int | str | None = None,  # what the process may hold: 2GB
    progress: Progress | None = None,
) -> Attribution:
    """Layer-wise relevance propagation: each layer hands the relevance of what it makes to what it makes it of.

    Maps are [N, H, W] float32, in units of the score, summed over the channels: above 0 what speaks for it. `raw` is
    [N, C, H, W]. `gap` is by how much its sum misses the score: what biases have taken, and epsilon.
    Networks of convolutions, dense layers, activations, poolings, sums and moves of values have rules.
    Raises InputError naming every node that there is none for (attention, products of computed tensors …), when the
    rule is unknown, the target is not in the network, or no image can be read.
    Source: Bach et al. 2015, doi:10.1371/journal.pone.0130140, equations 58 and 60; the composite as of Montavon et al.
    2019, Layer-Wise Relevance Propagation: An Overview, doi:10.1007/978-3-030-28954-6_10, with the first layer flat as
    of Lapuschkin et al. 2019, arXiv:1902.10178.
    """

    def explain(batch: np.ndarray, wanted: Target) -> Maps:
        from ..gradient.relevance import RELEVANCE_RULES

        scores, raw = image_gradients(model, batch, wanted, memory, RELEVANCE_RULES[rule])
        gap = raw.sum((1, 2, 3), np.float64) - scores
        return Maps(scores, raw.sum(1), image, raw, gap.astype(np.float32))

    check_choice("rule", rule, RULES)
    image = image_input(model)[0]
    options, notes = {"rule": rule}, (RULES[rule],)
    method = Method("lrp", _MEANING, explain, signed=True, ends=FOR_OR_AGAINST, settings=options, notes=notes)
    return attribution(model, images, target, method, progress)
