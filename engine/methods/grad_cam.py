"""grad_cam: where in the image the last feature map speaks for a score."""

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

_MEANING = "channels weighted with the score's mean gradient, added up and cut off below 0"


def grad_cam(
    model: Model,
    images: Images,  # files, folders, globs, or arrays [N, H, W, 3]
    *,
    target: Wanted | Sequence[Wanted] = None,  # what is explained; None: each image's own first class
    layer: str | None = None,  # feature map [N, C, H, W] or tokens, a tensor or its node; None: the last one
    memory: int | str | None = None,  # what the process may hold: 2GB
    progress: Progress | None = None,
) -> Attribution:
    """The feature map's channels, each weighted with the mean gradient of the score, added up and cut off below 0.

    Maps are [N, H, W] float32 of the image's size, enlarged bilinearly, in units of the score.
    Raises InputError when the layer is no feature map or does not reach the target, or no image can be read.
    Source: Selvaraju et al. 2017, Grad-CAM, arXiv:1610.02391, equations 1 and 2.
    """

    def explain(batch: np.ndarray, wanted: Target) -> Maps:
        found = feature_gradients(model, layer, batch, wanted, memory)
        maps = class_activation(found.features, found.gradients)
        return Maps(found.scores, enlarged(maps, image_size(model)), found.tensor, maps)

    method = Method("grad_cam", _MEANING, explain, settings={"layer": layer})
    return attribution(model, images, target, method, progress)


def class_activation(features: np.ndarray, gradients: np.ndarray) -> np.ndarray:  # [N, C, h, w] twice -> [N, h, w]
    """The coarse map of Grad-CAM."""
    weights = gradients.mean((2, 3))  # eq. 1
    return np.maximum(np.einsum("nc,nchw->nhw", weights, features), 0)  # eq. 2
