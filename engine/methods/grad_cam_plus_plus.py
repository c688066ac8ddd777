"""grad_cam_plus_plus: Grad-CAM for several things of one class: each place has its own share in a channel's weight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..images import Images
from ..targets import Target
from .attributing import Progress, Wanted, attribution
from .attribution import Attribution, Maps, Method
from .feature_maps import enlarged, feature_gradients, image_size

if TYPE_CHECKING:
    from ..model import Model

_MEANING = "channels weighted with the score's positive gradients, added up and cut off below 0"
_SMALL = 1e-6  # of a denominator below, which may be 0


def grad_cam_plus_plus(
    model: Model,
    images: Images,  # files, folders, globs, or arrays [N, H, W, 3]
    *,
    target: Wanted | Sequence[Wanted] = None,  # what is explained; None: each image's own first class
    layer: str | None = None,  # feature map [N, C, H, W] or tokens, a tensor or its node; None: the last one
    memory: int | str | None = None,  # what the process may hold: 2GB
    progress: Progress | None = None,
) -> Attribution:
    """The feature map's channels, each weighted with its positive gradients of the score, added up, cut off below 0.

    Maps are [N, H, W] float32 of the image's size, enlarged bilinearly, in units of the score. The paper's score is
    exp(S) of the score S that is explained here; its factor exp(S), the same at every place, is left out.
    Raises InputError when the layer is no feature map or does not reach the target, or no image can be read.
    Source: Chattopadhyay et al. 2018, Grad-CAM++, arXiv:1710.11063, equations 5, 7 and 19.
    """

    def explain(batch: np.ndarray, wanted: Target) -> Maps:
        found = feature_gradients(model, layer, batch, wanted, memory)
        maps = weighted_activation(found.features, found.gradients)
        return Maps(found.scores, enlarged(maps, image_size(model)), found.tensor, maps)

    method = Method("grad_cam_plus_plus", _MEANING, explain, settings={"layer": layer})
    return attribution(model, images, target, method, progress)


def weighted_activation(features: np.ndarray, gradients: np.ndarray) -> np.ndarray:  # [N, C, h, w] twice -> [N, h, w]
    """The coarse map of Grad-CAM++."""
    sums = features.sum((2, 3), keepdims=True)
    shares = gradients**2 / (2 * gradients**2 + sums * gradients**3 + _SMALL)  # eq. 19
    weights = (shares * np.maximum(gradients, 0)).sum((2, 3))  # eq. 5
    return np.maximum(np.einsum("nc,nchw->nhw", weights, features), 0)  # eq. 7
