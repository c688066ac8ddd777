"""segmentation: the object that a class is seen in, cut out by its colours from where the saliency map points."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from ...importers.errors import MissingExtra
from ...importers.provenance import SEED
from ..images import Images, displayable, image_input
from ..targets import Target
from .attributing import Progress, Wanted, attribution
from .attribution import Attribution, Maps, Method
from .gradients import image_gradients

if TYPE_CHECKING:
    from ..model import Model

_MEANING = "1 inside the object: colours like those of the most salient pixels, unlike those of the least"
_ROUNDS = 5  # of GrabCut
_BLUR = 1 / 40  # standard deviation, as a share of the shorter side: single pixels of gradients are noise


def segmentation(
    model: Model,
    images: Images,  # files, folders, globs, or arrays [N, H, W, 3]
    *,
    target: Wanted | Sequence[Wanted] = None,  # what is explained; None: each image's own first class
    high: float = 0.95,  # quantile of the saliency above which pixels show the object's colours
    low: float = 0.30,  # quantile below which they show the background's
    seed: int = SEED,  # of the colour models' first guess
    memory: int | str | None = None,  # what the process may hold: 2GB
    progress: Progress | None = None,
) -> Attribution:
    """The object of a class, without having learnt objects' outlines: saliency seeds a cut by colour.

    Maps are [N, H, W] float32, 1 inside, 0 outside: the largest connected part of what GrabCut, which learns the
    colours of both sides from the seeds, takes for the object. `raw` is the saliency map.
    Raises MissingExtra without OpenCV; InputError as of saliency.
    Source: Simonyan, Vedaldi and Zisserman 2013, arXiv:1312.6034, section 3.2; GrabCut: Rother et al. 2004.
    """
    cv2 = _opencv()

    def explain(batch: np.ndarray, wanted: Target) -> Maps:
        scores, gradient = image_gradients(model, batch, wanted, memory)
        salient = np.abs(gradient).max(1)
        pictures = [displayable(picture, model.spec) for picture in batch]
        masks = [cut(cv2, *pair, high, low, seed) for pair in zip(pictures, salient, strict=True)]
        return Maps(scores, np.stack(masks).astype(np.float32), image, salient)

    image = image_input(model)[0]
    options = {"high": high, "low": low, "seed": seed}
    method = Method("segmentation", _MEANING, explain, units="", ends=("outside", "inside"), settings=options)
    return attribution(model, images, target, method, progress)


def cut(
    cv2: ModuleType, picture: np.ndarray, salient: np.ndarray, high: float, low: float, seed: int
) -> np.ndarray:  # [H, W, 3] uint8, [H, W] -> [H, W] bool
    """The object; nothing where the saliency map is blank."""
    smooth = cv2.GaussianBlur(salient, (0, 0), _BLUR * min(salient.shape))
    least, most = np.quantile(smooth, [low, high])
    seeds = smooth > most
    if not seeds.any():
        return seeds
    # The seeds often spill over the outline, so they may turn out to be background, unless all of them would.
    for certainty in (cv2.GC_PR_FGD, cv2.GC_FGD):
        labels = np.where(smooth <= least, cv2.GC_BGD, cv2.GC_PR_BGD).astype(np.uint8)
        labels[seeds] = certainty
        inside = _grab_cut(cv2, picture, labels, seed)
        if inside.any():
            break
    return _largest_part(cv2, inside)


def _grab_cut(cv2: ModuleType, picture: np.ndarray, labels: np.ndarray, seed: int) -> np.ndarray:  # [H, W] bool
    cv2.setRNGSeed(seed)
    models = np.zeros((2, 1, 65))  # OpenCV's five Gaussians for each side
    bgr = np.ascontiguousarray(picture[..., ::-1])
    cv2.grabCut(bgr, labels, None, models[0], models[1], _ROUNDS, cv2.GC_INIT_WITH_MASK)
    found: np.ndarray = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    return found


def _largest_part(cv2: ModuleType, inside: np.ndarray) -> np.ndarray:
    count, parts, statistics, _ = cv2.connectedComponentsWithStats(inside.astype(np.uint8))
    if count < 2:
        return inside
    largest: np.ndarray = parts == 1 + int(statistics[1:, cv2.CC_STAT_AREA].argmax())
    return largest


def _opencv() -> ModuleType:
    try:
        import cv2
    except ImportError:
        raise MissingExtra("segmentation", "verify") from None
    return cv2
