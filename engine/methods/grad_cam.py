"""grad_cam: where in the image the last feature map speaks for a score."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ...importers.errors import InputError
from ..images import Images, channels_first, image_input
from ..structure.last_feature_map import is_feature_map, last_feature_map
from ..targets import Target, as_target, tensor_named
from .attribution import Attribution, Method, attribution

if TYPE_CHECKING:
    from ..model import Model

_MEANING = "channels weighted with the score's mean gradient, added up and cut off below 0"


def grad_cam(
    model: Model,
    images: Images,  # files, folders, globs, or arrays [N, H, W, 3]
    *,
    target: Target | int | str | None = None,  # what is explained; None: each image's own first class
    layer: str | None = None,  # feature map [N, C, H, W], a tensor or its node; None: the last one
    memory: int | str | None = None,  # what the process may hold: 2GB
    progress: Callable[[int, int], None] | None = None,  # called with (images done, images in all)
) -> Attribution:
    """The feature map's channels, each weighted with the mean gradient of the score, added up and cut off below 0.

    Maps are [N, H, W] float32 of the image's size, enlarged bilinearly, in units of the score.
    Raises InputError when the layer is no feature map or does not reach the target, or no image can be read.
    Source: Selvaraju et al. 2017, Grad-CAM, arXiv:1610.02391, equations 1 and 2.
    """
    model.torch()  # where there are no gradients at all, that is what must be said, not that there is no feature map
    read = as_target(target, model).tensor(model)
    looked_at = last_feature_map(model.graph, read) if layer is None else _feature_map(model, layer)

    def explain(batch: np.ndarray, wanted: Target) -> tuple[np.ndarray, np.ndarray]:
        found = model.torch().gradients(batch, wanted, [looked_at], memory=memory)
        maps = class_activation(found.values[looked_at], found.gradients[looked_at])
        return found.scores, enlarged(maps, channels_first(batch, model.spec).shape[2:])

    image_input(model)
    method = Method("grad_cam", looked_at, _MEANING, explain)
    return attribution(model, images, target, method, progress)


def class_activation(features: np.ndarray, gradients: np.ndarray) -> np.ndarray:  # [N, C, h, w] twice -> [N, h, w]
    """The coarse map of Grad-CAM."""
    weights = gradients.mean((2, 3))  # eq. 1
    return np.maximum(np.einsum("nc,nchw->nhw", weights, features), 0)  # eq. 2


def enlarged(maps: np.ndarray, size: tuple[int, ...]) -> np.ndarray:  # [N, h, w] -> [N, H, W] float32
    """Maps of the image's size, bilinear between the centres of their places."""
    shape = (size[1], size[0])
    planes = [Image.fromarray(plane.astype(np.float32)).resize(shape, Image.Resampling.BILINEAR) for plane in maps]
    return np.stack([np.asarray(plane) for plane in planes])


def _feature_map(model: Model, layer: str) -> str:
    tensor = tensor_named(model, layer)
    if not is_feature_map(model.graph, tensor):
        shape = model.graph.shape(tensor)
        raise InputError(
            f"Grad-CAM expects a feature map [N, C, H, W] of more than one place, {tensor} is {list(shape or ['?'])}"
        )
    return tensor
