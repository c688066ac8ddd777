"""guided_grad_cam: the fine detail of guided backpropagation where Grad-CAM finds the class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..images import Images
from ..targets import Target
from .attributing import Progress, Wanted, attribution, wanted_targets
from .attribution import Attribution, Maps, Method
from .feature_maps import enlarged, feature_gradients, image_size
from .grad_cam import class_activation
from .gradients import image_gradients
from .rectified import DARKER_OR_BRIGHTER, check_rectifiers
from .saliency import brightening

if TYPE_CHECKING:
    from ..model import Model

_MEANING = "the guided gradient per grey level, times Grad-CAM's map"
_UNITS = "score² per grey level"


def guided_grad_cam(
    model: Model,
    images: Images,  # files, folders, globs, or arrays [N, H, W, 3]
    *,
    target: Wanted | Sequence[Wanted] = None,  # what is explained; None: each image's own first class
    layer: str | None = None,  # feature map [N, C, H, W] or tokens, a tensor or its node; None: the last one
    memory: int | str | None = None,  # what the process may hold: 2GB
    progress: Progress | None = None,
) -> Attribution:
    """Guided backpropagation of the score to the image, times the enlarged map of Grad-CAM.

    Maps are [N, H, W] float32, summed over the channels, per grey level: positive where a brighter pixel raises the
    score. `raw` is the product, [N, C, H, W], per unit of the network's input.
    Raises InputError when nothing before the target rectifies, the layer is no feature map or does not reach the
    target, or no image can be read.
    Source: Selvaraju et al. 2017, Grad-CAM, arXiv:1610.02391, section 3.2; Springenberg et al. 2015, arXiv:1412.6806.
    """

    from ..gradient.rules import GUIDED

    def explain(batch: np.ndarray, wanted: Target) -> Maps:
        found = feature_gradients(model, layer, batch, wanted, memory)
        coarse = class_activation(found.features, found.gradients)
        gradients = image_gradients(model, batch, wanted, memory, GUIDED)[1]
        product = gradients * enlarged(coarse, image_size(model))[:, None]
        return Maps(found.scores, brightening(product, model.spec.scale), found.tensor, product)

    targets = wanted_targets(target, model)
    check_rectifiers("guided_grad_cam", model, targets)
    options = {"layer": layer}
    method = Method("guided_grad_cam", _MEANING, explain, True, _UNITS, DARKER_OR_BRIGHTER, options)
    return attribution(model, images, targets, method, progress)
