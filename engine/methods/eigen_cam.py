"""eigen_cam: what the feature map's channels have most in common, whatever the class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..images import Images
from ..targets import Target
from .attributing import Progress, Wanted, attribution
from .attribution import OF_FEATURES, Attribution, Maps, Method
from .feature_maps import enlarged, feature_map, image_size
from .forward import forward

if TYPE_CHECKING:
    from ..model import Model

_MEANING = "the feature map along its first singular vector, cut off below 0"
_ANY_TARGET = "the map is the same for every target: Eigen-CAM asks what the features have in common"


def eigen_cam(
    model: Model,
    images: Images,  # files, folders, globs, or arrays [N, H, W, 3]
    *,
    target: Wanted | Sequence[Wanted] = None,  # what is explained; None: each image's own first class
    layer: str | None = None,  # feature map [N, C, H, W] or tokens, a tensor or its node; None: the last one
    memory: int | str | None = None,  # what the process may hold: 2GB
    progress: Progress | None = None,
) -> Attribution:
    """The feature map projected onto its first right singular vector. Neither gradients nor the class play a part.

    Maps are [N, H, W] float32 of the image's size, enlarged bilinearly, cut off below 0, in units of the feature map.
    A singular vector has no sign of its own: the one is taken that makes the map's sum positive, so that the map of
    features that are nowhere negative is nowhere negative. The features are not centred, as in the paper.
    Raises InputError when the layer is no feature map, the target is not in the network, or no image can be read.
    Source: Muhammad and Yeasin 2020, Eigen-CAM, arXiv:2008.00299, section III.
    """

    def explain(batch: np.ndarray, wanted: Target) -> Maps:
        looked_at = feature_map(model, layer, wanted)
        scores, values = forward(model, batch, wanted, [looked_at.tensor], memory)
        maps = np.stack([first_component(planes) for planes in looked_at.planes(values[looked_at.tensor])])
        return Maps(scores, enlarged(np.maximum(maps, 0), image_size(model)), looked_at.tensor, maps)

    method = Method(
        "eigen_cam",
        _MEANING,
        explain,
        units=OF_FEATURES,
        settings={"layer": layer},
        notes=(_ANY_TARGET,),
        needs="onnxruntime",
    )
    return attribution(model, images, target, method, progress)


def first_component(planes: np.ndarray) -> np.ndarray:  # [C, h, w] -> [h, w]
    """The coarse map of Eigen-CAM."""
    rows = planes.reshape(len(planes), -1).T.astype(np.float64)  # [places, C]
    first = np.linalg.svd(rows, full_matrices=False)[2][0]
    projected = rows @ first
    signed: np.ndarray = projected if projected.sum() >= 0 else -projected
    return signed.reshape(planes.shape[1:])
