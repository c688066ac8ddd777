"""expected_gradients: what each pixel adds to a score, on the way from other images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...importers.errors import InputError
from ...importers.provenance import SEED
from ..images import ImageBatches, Images, channels_first, image_input
from ..targets import Target
from .attributing import Progress, Wanted, attribution
from .attribution import FOR_OR_AGAINST, Attribution, Maps, Method
from .gradients import versions_gradients
from .image_scores import image_scores
from .options import check_count

if TYPE_CHECKING:
    from ..model import Model

_MEANING = "what the pixel adds to the score's change from other images to this one, on average, over the channels"
_READ_AT_ONCE = 8


def expected_gradients(
    model: Model,
    images: Images,  # files, folders, globs, or arrays [N, H, W, 3]
    *,
    target: Wanted | Sequence[Wanted] = None,  # what is explained; None: each image's own first class
    background: Images | None = None,  # the images to start from; None: the images themselves
    samples: int = 100,  # starts drawn for each image
    seed: int = SEED,
    memory: int | str | None = None,  # what the process may hold: 2GB
    progress: Progress | None = None,
) -> Attribution:
    """The gradient of a score somewhere between another image and this one, times their difference, on average.

    Maps are [N, H, W] float32, in units of the score, positive where a pixel speaks for it; `raw` is [N, C, H, W] and
    sums up to the score less the mean of the drawn images', but for `gap`, which more samples make smaller. Every
    image gets the same draws.
    Raises InputError when there is nothing to start from, an option is out of range, the target is not in the network,
    gradients do not reach it, or no image can be read.
    Source: Erion et al. 2019, Improving performance of deep learning models with axiomatic attribution priors and
    expected gradients, arXiv:1906.10670.
    """
    check_count("samples", samples)
    generator = np.random.default_rng(seed)
    starts = _draw(model, images if background is None else background, samples, generator)
    if background is None and starts.readable < 2:
        raise InputError("expected_gradients starts from other images, found none: give some as background")
    places = generator.random(samples)

    def explain(batch: np.ndarray, wanted: Target) -> Maps:
        end = batch.astype(np.float64)
        drawn = [starts.images[number] for number in starts.drawn]
        versions = ((start + a * (end - start)).astype(batch.dtype) for start, a in zip(drawn, places, strict=True))
        total = np.zeros_like(channels_first(end, model.spec))
        for start, (_, gradient) in zip(drawn, versions_gradients(model, versions, wanted, memory), strict=True):
            total += channels_first(end - start, model.spec) * gradient
        raw = total / samples
        scores = image_scores(model, batch, wanted)
        change = scores - starts.mean(lambda start: image_scores(model, np.repeat(start[None], len(batch), 0), wanted))
        return Maps(scores, raw.sum(1), image, raw, raw.sum((1, 2, 3)) - change)

    image = image_input(model)[0]
    options = {"background": starts.names, "samples": samples, "seed": seed}
    method = Method("expected_gradients", _MEANING, explain, signed=True, ends=FOR_OR_AGAINST, settings=options)
    return attribution(model, images, target, method, progress)


@dataclass(frozen=True)
class _Starts:
    """Images drawn with replacement."""

    drawn: list[int]  # [samples]
    images: Mapping[int, np.ndarray]  # those of them that were drawn, as the network takes them
    paths: Mapping[int, Path]  # of these
    readable: int  # how many there were to draw from

    @property
    def names(self) -> list[str]:
        """Of the images that were drawn, once each."""
        return [str(self.paths[number]) for number in sorted(self.paths)]

    def mean(self, of: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """The mean over the draws of a function of an image."""
        shares = {number: count / len(self.drawn) for number, count in Counter(self.drawn).items()}
        return np.sum([share * of(self.images[number]) for number, share in shares.items()], axis=0)


def _draw(model: Model, images: Images, samples: int, generator: np.random.Generator) -> _Starts:
    """Every image in turn takes each sample's place with probability 1 / (images so far): a fair draw in one pass,
    that holds no more images than samples."""
    drawn, kept, readable = np.zeros(samples, int), {}, 0
    for paths, batch in ImageBatches(images, model, _READ_AT_ONCE):
        for path, image in zip(paths, batch, strict=True):
            drawn[generator.random(samples) * (readable + 1) < 1] = readable
            kept[readable] = path, image
            readable += 1
        kept = {number: kept[number] for number in set(drawn.tolist())}
    paths_drawn = {number: path for number, (path, _) in kept.items()}
    return _Starts(drawn.tolist(), {number: image for number, (_, image) in kept.items()}, paths_drawn, readable)
