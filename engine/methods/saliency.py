"""saliency: how strongly a score depends on each pixel, to first order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..images import Images, image_input
from ..targets import Target
from .attributing import Progress, Wanted, attribution
from .attribution import PER_GREY_LEVEL, PER_INPUT, Attribution, Maps, Method
from .gradients import image_gradients

if TYPE_CHECKING:
    from ..model import Model

_MAGNITUDE = "the largest magnitude over the channels of the score's gradient with respect to the network's input"
_SIGNED = "how much the score grows for each grey level (of 255) that the pixel gets brighter"
_DARKER_OR_BRIGHTER = ("better darker", "better brighter")


def saliency(
    model: Model,
    images: Images,  # files, folders, globs, or arrays [N, H, W, 3]
    *,
    target: Wanted | Sequence[Wanted] = None,  # what is explained; None: each image's own first class
    signed: bool = False,  # brighter or darker: the gradient summed over the channels instead of its magnitude
    memory: int | str | None = None,  # what the process may hold: 2GB
    progress: Progress | None = None,
) -> Attribution:
    """The gradient of a score with respect to the image: for each pixel the largest magnitude over the channels.

    Maps are [N, H, W] float32, in score per unit of the network's input; `signed`: in score per grey level.
    Raises InputError when the target is not in the network, gradients do not reach it, or no image can be read.
    Source: Simonyan, Vedaldi and Zisserman 2013, Deep Inside Convolutional Networks, arXiv:1312.6034, section 3.
    """

    def explain(batch: np.ndarray, wanted: Target) -> Maps:
        scores, gradient = image_gradients(model, batch, wanted, memory)
        maps = brightening(gradient, model.spec.scale) if signed else np.abs(gradient).max(1)
        return Maps(scores, maps, image, gradient)

    image = image_input(model)[0]
    options = {"signed": signed}
    if signed:
        method = Method("saliency", _SIGNED, explain, True, PER_GREY_LEVEL, _DARKER_OR_BRIGHTER, options)
    else:
        method = Method("saliency", _MAGNITUDE, explain, units=PER_INPUT, settings=options)
    return attribution(model, images, target, method, progress)


def brightening(gradient: np.ndarray, scale: tuple[float, ...]) -> np.ndarray:  # [N, C, H, W] -> [N, H, W]
    """The derivative along one more grey level in every channel, which `scale` makes so much input of."""
    return (gradient * np.asarray(scale, gradient.dtype)[:, None, None]).sum(1)
