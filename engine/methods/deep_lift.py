"""deep_lift: how much each pixel's difference from a baseline adds to a score, by slopes instead of derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...importers.provenance import SEED
from ..batching import memory_bytes
from ..images import Images, channels_first, image_input
from ..targets import Target, of_images
from .attributing import Progress, Wanted, attribution
from .attribution import FOR_OR_AGAINST, Attribution, Maps, Method
from .baselines import Baseline, baseline_inputs, check_baseline
from .gradients import image_gradients

if TYPE_CHECKING:
    from ..model import Model

_MEANING = "how much the pixel's difference from the baseline adds to the score"
_COPIES = 4  # of every activation, as an upper bound: those of gradients, and as many of the baseline


def deep_lift(
    model: Model,
    images: Images,  # files, folders, globs, or arrays [N, H, W, 3]
    *,
    target: Wanted | Sequence[Wanted] = None,  # what is explained; None: each image's own first class
    baseline: Baseline = "black",  # the image without what is to be found; also a grey level or a picture
    seed: int = SEED,  # of the baseline "noise"
    memory: int | str | None = None,  # what the process may hold: 2GB
    progress: Progress | None = None,
) -> Attribution:
    """The image's difference from a baseline, times multipliers that activations pass as slopes between the two.

    Maps are [N, H, W] float32, in units of the score, summed over the channels: above 0 what speaks for it. `raw` is
    [N, C, H, W]. `gap` is by how much its sum misses the score's difference from the baseline's: rounding, unless the
    network has products of two tensors or normalises by its own statistics, which keep their gradients.
    Raises InputError when the baseline is unknown or no picture, the target is not in the network, gradients do not
    reach it, or no image can be read.
    Source: Shrikumar, Greenside and Kundaje 2017, DeepLIFT, arXiv:1704.02685, the rescale rule of section 3.5.2.
    """

    def explain(batch: np.ndarray, wanted: Target) -> Maps:
        references = baseline_inputs(model, batch, baseline, seed)
        scores, before, multipliers = _multipliers(model, batch, references, wanted, memory)
        raw = multipliers * channels_first(batch - references, model.spec)
        gap = raw.sum((1, 2, 3), np.float64) - (scores - before)  # eq. 1, summation-to-delta
        return Maps(scores, raw.sum(1), image, raw, gap.astype(np.float32))

    check_baseline(baseline)
    image = image_input(model)[0]
    options = {"baseline": baseline, "seed": seed}
    method = Method("deep_lift", _MEANING, explain, signed=True, ends=FOR_OR_AGAINST, settings=options)
    return attribution(model, images, target, method, progress)


def _multipliers(
    model: Model, batch: np.ndarray, references: np.ndarray, target: Target, memory: int | str | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # [n], [n], [n, C, H, W]
    """Scores of the images and of their baselines, and the multipliers of the images' differences."""
    from ..gradient.rescale import Rescale

    rescale, count = Rescale(), len(batch)
    size = _slice_size(model, count, target, memory)
    parts = []
    for start in range(0, count, size):
        rows = list(range(start, min(start + size, count)))
        wanted = of_images(target, rows, count)
        with rescale.recording():
            before, _ = image_gradients(model, references[rows], wanted, memory, rescale.rule)
        scores, multipliers = image_gradients(model, batch[rows], wanted, memory, rescale.rule)
        parts.append((scores, before, multipliers))
    scores, before, multipliers = (np.concatenate(part) for part in zip(*parts, strict=True))
    return scores, before, multipliers


def _slice_size(model: Model, count: int, target: Target, memory: int | str | None) -> int:
    """Images whose activations fit in memory beside those of their baselines."""
    if memory is None:
        return count
    tensors = [target.tensor(model), image_input(model)[0]]
    return model.session().batching.slice_size(count, tensors, memory_bytes(memory), _COPIES)
