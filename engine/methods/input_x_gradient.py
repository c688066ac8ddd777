"""input_x_gradient: what each pixel adds to a score, were the network linear."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..images import Images, channels_first, image_input
from ..targets import Target
from .attributing import Progress, Wanted, attribution
from .attribution import FOR_OR_AGAINST, Attribution, Maps, Method
from .gradients import image_gradients

if TYPE_CHECKING:
    import numpy as np

    from ..model import Model

_MEANING = "the network's input times the score's gradient with respect to it, summed over the channels"
_NOTE = "the input's 0, the network's mean colour, say, gets nothing: integrated_gradients states its baseline"


def input_x_gradient(
    model: Model,
    images: Images,  # files, folders, globs, or arrays [N, H, W, 3]
    *,
    target: Wanted | Sequence[Wanted] = None,  # what is explained; None: each image's own first class
    memory: int | str | None = None,  # what the process may hold: 2GB
    progress: Progress | None = None,
) -> Attribution:
    """The gradient of a score with respect to the network's input, times that input, summed over the channels.

    Maps are [N, H, W] float32, in units of the score, positive where a pixel speaks for it; `raw` is [N, C, H, W].
    The input is what the network gets, mean and scale applied. In a network of ReLUs without biases they sum up to the
    score.
    Raises InputError when the target is not in the network, gradients do not reach it, or no image can be read.
    Source: Shrikumar et al. 2016, Not Just a Black Box, arXiv:1605.01713.
    """

    def explain(batch: np.ndarray, wanted: Target) -> Maps:
        scores, gradient = image_gradients(model, batch, wanted, memory)
        raw = channels_first(batch, model.spec) * gradient
        return Maps(scores, raw.sum(1), image, raw)

    image = image_input(model)[0]
    method = Method("input_x_gradient", _MEANING, explain, signed=True, ends=FOR_OR_AGAINST, notes=(_NOTE,))
    return attribution(model, images, target, method, progress)
