"""saliency: how strongly a score depends on each pixel, to first order."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ..images import Images, channels_first, image_input
from ..targets import Target
from .attribution import Attribution, Method, attribution

if TYPE_CHECKING:
    from ..model import Model

_MAGNITUDE = "the largest magnitude over the channels of the score's gradient with respect to the network's input"
_SIGNED = "how much the score grows for each grey level (of 255) that the pixel gets brighter"


def saliency(
    model: Model,
    images: Images,  # files, folders, globs, or arrays [N, H, W, 3]
    *,
    target: Target | int | str | None = None,  # what is explained; None: each image's own first class
    signed: bool = False,  # brighter or darker: the gradient summed over the channels instead of its magnitude
    memory: int | str | None = None,  # what the process may hold: 2GB
    progress: Callable[[int, int], None] | None = None,  # called with (images done, images in all)
) -> Attribution:
    """The gradient of a score with respect to the image: for each pixel the largest magnitude over the channels.

    Maps are [N, H, W] float32, in score per unit of the network's input; `signed`: in score per grey level.
    Raises InputError when the target is not in the network, gradients do not reach it, or no image can be read.
    Source: Simonyan, Vedaldi and Zisserman 2013, Deep Inside Convolutional Networks, arXiv:1312.6034, section 3.
    """
    image = image_input(model)[0]

    def explain(batch: np.ndarray, wanted: Target) -> tuple[np.ndarray, np.ndarray]:
        found = model.torch().gradients(batch, wanted, [image], memory=memory)
        gradient = channels_first(found.gradients[image], model.spec)
        return found.scores, brightening(gradient, model.spec.scale) if signed else np.abs(gradient).max(1)

    method = Method("saliency", image, _SIGNED if signed else _MAGNITUDE, explain, signed)
    return attribution(model, images, target, method, progress)


def brightening(gradient: np.ndarray, scale: tuple[float, ...]) -> np.ndarray:  # [N, C, H, W] -> [N, H, W]
    """The derivative along one more grey level in every channel, which `scale` makes so much input of."""
    return (gradient * np.asarray(scale, gradient.dtype)[:, None, None]).sum(1)
