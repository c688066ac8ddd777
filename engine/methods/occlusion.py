"""occlusion: how much the score falls when a patch of the image is covered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...importers.provenance import SEED
from ..images import Images, image_input
from ..targets import Target
from .attributing import Progress, Wanted, attribution, wanted_targets
from .attribution import FOR_OR_AGAINST, Attribution, Maps, Method, Report, Together
from .baselines import BASELINES, Baseline, baseline_inputs, check_baseline
from .covered import Covering
from .feature_maps import image_size
from .forward import forward
from .patches import Extent, places

if TYPE_CHECKING:
    from ..model import Model

ZERO = "zero"
_MEANING = "how much the score falls when the pixel is covered, on average over the patches that cover it"
_ZERO = "what covers is the network's input 0: the mean colour that preprocessing subtracts"


def occlusion(
    model: Model,
    images: Images,  # files, folders, globs, or arrays [N, H, W, 3]
    *,
    target: Wanted | Sequence[Wanted] = None,  # what is explained, all in one go; None: each image's own first class
    patch: Extent = 16,  # pixels of the network's input; rows and columns
    stride: Extent = 8,  # from one patch to the next
    fill: Baseline = ZERO,  # what covers: zero, black, mean (the image's own colour), blur, noise, a level, a picture
    seed: int = SEED,  # of the noise
    memory: int | str | None = None,  # what the process may hold: 2GB
    progress: Progress | None = None,  # may raise Stop: positions that are missing then are NaN in `raw`
) -> Attribution:
    """A patch slides over the image; the score without what it covers is compared with the score of the whole image.

    Maps are [N, H, W] float32, in units of the score: above 0 what speaks for it. `raw` is [N, rows, columns], the
    score's fall at each position, from the top left; the last of a row or column may reach over the border. Each
    position changes a part of every layer only, and only that is computed, exactly (engine/incremental); where that
    saves nothing, or torch cannot run the network, onnxruntime runs the whole of it.
    Raises InputError when the patch is larger than the image, an option is out of range, the target is not in the
    network, or no image can be read.
    Source: Zeiler and Fergus 2013, arXiv:1311.2901, section 4.2; computed as of Nakandala et al. 2019,
    doi:10.1145/3299869.3319874, without its approximations.
    """
    at = places(image_size(model), patch, stride)
    check_baseline(fill, "fill", (ZERO, *BASELINES))
    covering = Covering(model, wanted_targets(target, model), at, memory)
    image = image_input(model)[0]

    def explain(batch: np.ndarray, targets: Sequence[Target], report: Report) -> list[Maps]:
        covers = np.zeros_like(batch) if _is_zero(fill) else baseline_inputs(model, batch, fill, seed)
        scores = [forward(model, batch, wanted, (), memory)[0] for wanted in targets]
        seen, stopped = covering.scores(batch, covers, targets, report)
        falls = [score[:, None] - of_target for score, of_target in zip(scores, seen, strict=True)]
        return [
            Maps(score, at.spread(fall), image, fall.reshape(len(batch), *at.grid), stopped=stopped)
            for score, fall in zip(scores, falls, strict=True)
        ]

    shown = fill if isinstance(fill, str | int | float) else "a picture"
    options = {"patch": list(at.patch), "stride": list(at.stride), "fill": shown, "seed": seed}
    notes = (_ZERO,) if _is_zero(fill) else ()
    by_torch = not covering.why_whole
    method = Method("occlusion", _MEANING, Together(explain), True, "score", FOR_OR_AGAINST, options, notes, by_torch)
    return attribution(model, images, target, method, progress)


def _is_zero(fill: Baseline) -> bool:
    return isinstance(fill, str) and fill == ZERO
