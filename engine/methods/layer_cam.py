"""layer_cam: Grad-CAM with a weight at every place, sharp enough for layers far from the last one."""

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

_MEANING = "the feature map weighted with the score's positive gradient at every place, added up over the channels"


def layer_cam(
    model: Model,
    images: Images,  # files, folders, globs, or arrays [N, H, W, 3]
    *,
    target: Wanted | Sequence[Wanted] = None,  # what is explained; None: each image's own first class
    layer: str | None = None,  # feature map [N, C, H, W] or tokens, a tensor or its node; None: the last one
    memory: int | str | None = None,  # what the process may hold: 2GB
    progress: Progress | None = None,
) -> Attribution:
    """The feature map times the score's positive gradient, place by place, added up over the channels, cut off below 0.

    Maps are [N, H, W] float32 of the image's size, enlarged bilinearly, in units of the score.
    Raises InputError when the layer is no feature map or does not reach the target, or no image can be read.
    Source: Jiang et al. 2021, LayerCAM: Exploring Hierarchical Class Activation Maps for Localization, IEEE
    Transactions on Image Processing 30, equations 5 to 7 (DOI 10.1109/TIP.2021.3089943; not on arXiv).
    """

    def explain(batch: np.ndarray, wanted: Target) -> Maps:
        found = feature_gradients(model, layer, batch, wanted, memory)
        maps = place_by_place(found.features, found.gradients)
        return Maps(found.scores, enlarged(maps, image_size(model)), found.tensor, maps)

    method = Method("layer_cam", _MEANING, explain, settings={"layer": layer})
    return attribution(model, images, target, method, progress)


def place_by_place(features: np.ndarray, gradients: np.ndarray) -> np.ndarray:  # [N, C, h, w] twice -> [N, h, w]
    """The coarse map of LayerCAM."""
    weighted = np.maximum(gradients, 0) * features  # eq. 5 and 6
    return np.maximum(weighted.sum(1), 0)  # eq. 7
