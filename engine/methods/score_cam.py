"""score_cam: the feature map's channels, each weighted with the score of the image seen through it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..images import Images
from ..targets import Target
from .attributing import Progress, Wanted, attribution
from .attribution import OF_FEATURES, Attribution, Maps, Method
from .feature_maps import enlarged, feature_map, image_size
from .forward import dimmed, forward, versions_scores

if TYPE_CHECKING:
    from ..model import Model

_MEANING = "channels weighted with the score of the image seen through each, added up and cut off below 0"
_MASKED = "what a mask hides has the network's input 0: the mean colour that preprocessing subtracts"


def score_cam(
    model: Model,
    images: Images,  # files, folders, globs, or arrays [N, H, W, 3]
    *,
    target: Wanted | Sequence[Wanted] = None,  # what is explained; None: each image's own first class
    layer: str | None = None,  # feature map [N, C, H, W] or tokens, a tensor or its node; None: the last one
    memory: int | str | None = None,  # what the process may hold: 2GB
    progress: Progress | None = None,
) -> Attribution:
    """The feature map's channels, each weighted with the softmax over channels of the score that the image has when it
    is seen through that channel alone; added up and cut off below 0. No gradients.

    Maps are [N, H, W] float32 of the image's size, enlarged bilinearly, in units of the feature map. A channel as a
    mask is enlarged first, then stretched to 0..1; what it hides has the network's input 0, which is black in the
    paper's terms. An image takes a forward pass a channel.
    Raises InputError when the layer is no feature map, the target is not in the network, or no image can be read.
    Source: Wang et al. 2020, Score-CAM, arXiv:1910.01279, equations 4 to 7 and algorithm 1.
    """

    def explain(batch: np.ndarray, wanted: Target) -> Maps:
        looked_at = feature_map(model, layer, wanted)
        scores, values = forward(model, batch, wanted, [looked_at.tensor], memory)
        features = looked_at.planes(values[looked_at.tensor])
        seen = np.stack(list(versions_scores(model, _seen_through(batch, features), wanted, memory)), 1)  # [n, C]
        maps = np.maximum(np.einsum("nc,nchw->nhw", _softmax(seen), features), 0)  # eq. 7
        return Maps(scores, enlarged(maps, size), looked_at.tensor, maps)

    def _seen_through(batch: np.ndarray, features: np.ndarray) -> Iterator[np.ndarray]:
        for channel in range(features.shape[1]):
            yield dimmed(batch, as_masks(enlarged(features[:, channel], size)), model.spec)  # eq. 5

    size = image_size(model)
    options = {"layer": layer}
    method = Method(
        "score_cam", _MEANING, explain, units=OF_FEATURES, settings=options, notes=(_MASKED,), needs="onnxruntime"
    )
    return attribution(model, images, target, method, progress)


def as_masks(planes: np.ndarray) -> np.ndarray:  # [N, H, W] -> [N, H, W] in 0..1
    """Each plane stretched to 0..1 (eq. 6); one that is the same everywhere shows nothing."""
    low, high = planes.min((1, 2), keepdims=True), planes.max((1, 2), keepdims=True)
    masks: np.ndarray = (planes - low) / np.where(high > low, high - low, 1)
    return masks


def _softmax(scores: np.ndarray) -> np.ndarray:  # [n, C]
    powers = np.exp(scores.astype(np.float64) - scores.max(1, keepdims=True))
    shares: np.ndarray = powers / powers.sum(1, keepdims=True)
    return shares
