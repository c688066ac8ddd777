"""recipro_cam: what the network says when it sees one place of the last feature map alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from ..images import Images
from ..remainder import Remainder, remainder
from ..targets import Target, of_images
from .attributing import Progress, Wanted, attribution
from .attribution import Attribution, Maps, Method
from .feature_maps import FeatureMap, above_least, enlarged, feature_map, image_size
from .forward import forward, scored

if TYPE_CHECKING:
    from ..model import Model

_MEANING = "the score that each place of the feature map has alone, above the lowest of them"
_AT_ONCE = 32  # places


def recipro_cam(
    model: Model,
    images: Images,  # files, folders, globs, or arrays [N, H, W, 3]
    *,
    target: Wanted | Sequence[Wanted] = None,  # what is explained; None: each image's own first class
    layer: str | None = None,  # feature map [N, C, H, W] or tokens, a tensor or its node; None: the last one
    memory: int | str | None = None,  # what the process may hold: 2GB
    progress: Progress | None = None,
) -> Attribution:
    """The score of the network when all of the feature map but one place is 0, for each place. No gradients.

    Maps are [N, H, W] float32 of the image's size, enlarged bilinearly, in units of the score, each counted from its
    lowest place; `raw` are the scores themselves, [N, h, w]. Tokens that are no places, and what else the network reads
    from before the layer, stay as they are. Only the part of the network behind the layer runs, once a place.
    The paper takes the class's probability: `ClassProbability` as target; a score as it is does not saturate.
    Raises InputError when the layer is no feature map or does not reach the target, or no image can be read.
    Source: Byun and Lee 2022, Recipro-CAM, arXiv:2209.14074, section 3.
    """

    def explain(batch: np.ndarray, wanted: Target) -> Maps:
        at = feature_map(model, layer, wanted)
        rest = rest_of(at.tensor, wanted.tensor(model))
        done = [_one_image(at, rest, batch[i : i + 1], of_images(wanted, [i], len(batch))) for i in range(len(batch))]
        scores, maps = np.concatenate([part[0] for part in done]), np.stack([part[1] for part in done])
        return Maps(scores, enlarged(above_least(maps), image_size(model)), at.tensor, maps)

    def _one_image(
        at: FeatureMap, rest: Remainder, image: np.ndarray, wanted: Target
    ) -> tuple[np.ndarray, np.ndarray]:  # [1], [h, w]
        scores, values = forward(model, image, wanted, [at.tensor, *rest.beside], memory)
        height, width = at.places.height, at.places.width
        masks = np.eye(height * width, dtype=np.float32).reshape(-1, height, width)
        alone = [
            scored(of_images(wanted, [0] * len(some), 1), rest.run(values[at.tensor] * at.factors(some), values))
            for some in np.split(masks, range(_AT_ONCE, len(masks), _AT_ONCE))
        ]
        return scores, np.concatenate(alone).reshape(height, width)

    @cache
    def rest_of(tensor: str, wanted: str) -> Remainder:
        return remainder(model, tensor, wanted)

    method = Method("recipro_cam", _MEANING, explain, settings={"layer": layer}, needs="onnxruntime")
    return attribution(model, images, target, method, progress)
