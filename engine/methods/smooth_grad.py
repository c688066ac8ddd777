"""smooth_grad: gradients of many noisy copies of the image, put together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...importers.provenance import SEED
from ..images import Images, channels_first, image_input
from ..targets import Target
from .attributing import Progress, Wanted, attribution
from .attribution import PER_INPUT, Attribution, Maps, Method
from .gradients import versions_gradients
from .image_scores import image_scores
from .options import check_choice, check_count, check_positive

if TYPE_CHECKING:
    from ..model import Model

_MEANINGS = {
    "mean": "the largest magnitude over the channels of the score's mean gradient over noisy copies of the image",
    "squared": "the largest over the channels of the score's mean squared gradient over noisy copies of the image",
    "variance": "the largest over the channels of the variance of the score's gradient over noisy copies of the image",
}


def smooth_grad(
    model: Model,
    images: Images,  # files, folders, globs, or arrays [N, H, W, 3]
    *,
    target: Wanted | Sequence[Wanted] = None,  # what is explained; None: each image's own first class
    kind: str = "mean",  # SmoothGrad; "squared": SmoothGrad²; "variance": VarGrad
    samples: int = 50,  # noisy copies of each image
    noise: float = 0.15,  # their normal noise's standard deviation, as a share of the image's range of values
    seed: int = SEED,
    memory: int | str | None = None,  # what the process may hold: 2GB
    progress: Progress | None = None,
) -> Attribution:
    """The mean of a score's gradients over noisy copies of the image, or the mean of their squares, or their variance.

    Maps are [N, H, W] float32: for each pixel the largest magnitude over the channels, in score per unit of the
    network's input, squared for the latter two. `raw` is [N, C, H, W]. Scores are of the images without noise, the
    class is the one that these have. Every image gets the same noise, scaled with its own range of values.
    Raises InputError when an option is out of range, the target is not in the network, gradients do not reach it, or
    no image can be read.
    Source: Smilkov et al. 2017, SmoothGrad, arXiv:1706.03825, section 3; squared: Hooker et al. 2018, arXiv:1806.10758;
    variance: Adebayo et al. 2018, arXiv:1810.03292.
    """
    check_choice("kind", kind, _MEANINGS)
    check_count("samples", samples)
    check_positive("noise", noise)

    def explain(batch: np.ndarray, wanted: Target) -> Maps:
        versions = _noisy(batch, samples, noise, seed)
        total, squares = np.zeros((2, *channels_first(batch, model.spec).shape))  # float64
        for _, gradient in versions_gradients(model, versions, wanted, memory):
            total += gradient
            squares += np.square(gradient, dtype=np.float64)
        raw = _moment(kind, total / samples, squares / samples)
        return Maps(image_scores(model, batch, wanted), np.abs(raw).max(1), image, raw)

    image = image_input(model)[0]
    options = {"kind": kind, "samples": samples, "noise": noise, "seed": seed}
    units = PER_INPUT if kind == "mean" else f"({PER_INPUT})²"
    method = Method("smooth_grad", _MEANINGS[kind], explain, units=units, settings=options)
    return attribution(model, images, target, method, progress)


def _noisy(batch: np.ndarray, samples: int, noise: float, seed: int) -> Iterator[np.ndarray]:
    """x + N(0, sigma²), sigma = noise * (x_max - x_min)."""
    import torch  # draws three times as fast as NumPy

    generator = torch.Generator().manual_seed(seed)
    sigma = noise * np.ptp(batch, axis=tuple(range(1, batch.ndim)), keepdims=True)
    for _ in range(samples):
        yield batch + sigma * torch.randn(batch.shape[1:], generator=generator, dtype=torch.float32).numpy()


def _moment(kind: str, mean: np.ndarray, mean_square: np.ndarray) -> np.ndarray:
    if kind == "variance":
        return np.maximum(mean_square - mean**2, 0)  # of rounding
    return mean if kind == "mean" else mean_square
