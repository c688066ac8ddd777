"""cam: how much every place of the last feature map adds to a class's score, read off the network's own weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...importers.errors import InputError
from ..images import Images
from ..structure.pooled_head import pooled_head
from ..structure.semantics import constant_tensors
from ..targets import ClassScore, Target
from .attributing import Progress, Wanted, attribution
from .attribution import FOR_OR_AGAINST, Attribution, Maps, Method
from .feature_maps import FeatureMap, enlarged, image_size
from .forward import forward

if TYPE_CHECKING:
    from ..model import Model

_MEANING = "what each place of the last feature map adds to the class's score"


def cam(
    model: Model,
    images: Images,  # files, folders, globs, or arrays [N, H, W, 3]
    *,
    target: Wanted | Sequence[Wanted] = None,  # what is explained; None: each image's own first class
    memory: int | str | None = None,  # what the process may hold: 2GB
    progress: Progress | None = None,
) -> Attribution:
    """The last feature map's channels, weighted with the class's weights in the dense layer behind the pooling.

    For networks that end in global average pooling and at most one dense layer; for them it is exact. Raw maps are
    [N, h, w], divided by the number of places, so that their sum and the class's bias make the score; `gap` is by how
    much they miss it. Maps are raw, [N, H, W] float32 of the image's size, enlarged bilinearly. No gradients.
    Raises InputError when the network ends in another way, the target is no class's score, or no image can be read.
    Source: Zhou et al. 2016, Learning Deep Features for Discriminative Localization, arXiv:1512.04150, eq. 1 and 2.
    """

    def explain(batch: np.ndarray, wanted: Target) -> Maps:
        if not isinstance(wanted, ClassScore):
            raise InputError(f"expected a class's score for cam, found {wanted.label}; grad_cam takes any target")
        head = pooled_head(model.graph, wanted.tensor(model), image_size(model), constant_tensors(model.graph))
        scores, values = forward(model, batch, wanted, [head.features], memory)
        classes = list(wanted.indices(len(batch)))
        features = FeatureMap(head.features, head.places).planes(values[head.features])
        maps = contributions(features, head.weights[classes])
        gap = maps.sum((1, 2)) - (scores - head.bias[classes])
        return Maps(scores, enlarged(maps, image_size(model)), head.features, maps, gap)

    method = Method("cam", _MEANING, explain, signed=True, ends=FOR_OR_AGAINST, needs="onnxruntime")
    return attribution(model, images, target, method, progress)


def contributions(features: np.ndarray, weights: np.ndarray) -> np.ndarray:  # [N, C, h, w], [N, C] -> [N, h, w]
    """What each place adds to the score (eq. 2, shared out over the places that are averaged)."""
    found: np.ndarray = np.einsum("nc,nchw->nhw", weights, features) / np.prod(features.shape[2:])
    return found
