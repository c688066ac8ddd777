"""rise: how high the score is, on average, when a pixel is seen, under random masks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice, tee
from typing import TYPE_CHECKING

import numpy as np

from ...importers.errors import InputError
from ...importers.provenance import SEED
from ..images import Images, image_input
from ..targets import Target
from .attributing import Progress, Wanted, attribution
from .attribution import Attribution, Maps, Method, Report, Stop, Together
from .feature_maps import above_least, enlarged, image_size
from .forward import dimmed, forward, versions_scores_of_each
from .options import check_count

if TYPE_CHECKING:
    from ..model import Model

_MEANING = "the mean score of masked images in which the pixel is seen, above the lowest of all pixels"
_MASKED = "what a mask hides has the network's input 0: the mean colour that preprocessing subtracts"
_AT_ONCE = 32  # masks that are held
_NEVER_SEEN = 1e-9  # of a sum of masks: no mask shows the pixel


def rise(
    model: Model,
    images: Images,  # files, folders, globs, or arrays [N, H, W, 3]
    *,
    target: Wanted | Sequence[Wanted] = None,  # what is explained; None: each image's own first class
    samples: int = 2000,  # masks; the noise of a map falls with their square root
    grid: int = 7,  # cells of a mask along each side of the image
    share: float = 0.5,  # of the cells are seen
    seed: int = SEED,
    memory: int | str | None = None,  # what the process may hold: 2GB
    progress: Progress | None = None,  # may raise Stop: maps are then of the masks that were seen
) -> Attribution:
    """For each pixel the mean score of the image under random masks that show it. No gradients, no layer.

    Maps are [N, H, W] float32, in units of the score, each counted from its lowest pixel; `raw` are the paper's own,
    [N, H, W]. A mask is a grid of cells that are seen or hidden, enlarged bilinearly and shifted by part of a cell;
    what it hides has the network's input 0. All images get the same masks. An image takes a forward pass a mask.
    The mean is over the masks as they were drawn, where equation 6 divides by the `share` that they have on average:
    else the part of the score that no mask changes, which is large for scores before the softmax, would show the masks.
    The paper takes the class's probability: `ClassProbability` as target.
    Raises InputError when an option has no meaning, the target is not in the network, or no image can be read.
    Source: Petsiuk, Das and Saenko 2018, RISE, arXiv:1806.07421, equations 3 and 6, section 3.2.
    """
    check_count("samples", samples)
    check_count("grid", grid, least=2)
    if not 0 < share < 1:
        raise InputError(f"share expects a part between 0 and 1, found {share!r}")

    def explain(batch: np.ndarray, targets: Sequence[Target], report: Report) -> list[Maps]:
        masks, again = tee(random_masks(samples, grid, share, size, seed))  # holds those of one run
        masked = (dimmed(batch, mask, model.spec) for mask in masks)
        seen = versions_scores_of_each(model, masked, targets, memory)
        sums, weights, stopped = np.zeros((len(targets), len(batch), *size)), np.zeros(size), ""
        for number, (mask, scores) in enumerate(zip(again, seen, strict=True), 1):
            sums += scores[..., None, None] * mask
            weights += mask
            try:
                report(number / samples)
            except Stop:
                stopped = f"stopped after {number} of {samples} masks" if number < samples else ""
                break
        maps = sums / np.maximum(weights, _NEVER_SEEN)  # eq. 3 and 6
        return [
            Maps(forward(model, batch, target, (), memory)[0], above_least(of_one), looked_at, of_one, stopped=stopped)
            for target, of_one in zip(targets, maps, strict=True)
        ]

    size, looked_at = image_size(model), image_input(model)[0]
    options = {"samples": samples, "grid": grid, "share": share, "seed": seed}
    method = Method("rise", _MEANING, Together(explain), settings=options, notes=(_MASKED,), needs="onnxruntime")
    return attribution(model, images, target, method, progress)


def random_masks(
    samples: int, grid: int, share: float, size: tuple[int, int], seed: int
) -> Iterator[np.ndarray]:  # each [H, W] float32 in 0..1
    """Masks of the image's size (section 3.2); the same ones for the same seed, and the first of them for less."""
    generator = np.random.default_rng(seed)
    cell = [-(-side // grid) for side in size]  # rounded up, so that a shifted mask covers the image
    whole = ((grid + 1) * cell[0], (grid + 1) * cell[1])
    for start in range(0, samples, _AT_ONCE):
        cells = generator.random((_AT_ONCE, grid, grid)) < share
        shifts = generator.integers(0, cell, (_AT_ONCE, 2))
        for mask, (down, right) in islice(zip(enlarged(cells, whole), shifts, strict=True), samples - start):
            yield mask[down : down + size[0], right : right + size[1]]
