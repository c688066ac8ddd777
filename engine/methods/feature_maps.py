"""What the CAM family shares: the feature map that is looked at, and coarse maps enlarged to the image's size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ...importers.errors import InputError
from ..images import image_input
from ..structure.last_feature_map import last_feature_map
from ..structure.places import Places, places
from ..structure.semantics import constant_tensors
from ..targets import Target, tensor_named

if TYPE_CHECKING:
    from ..model import Model


@dataclass(frozen=True)
class FeatureMap:
    """A tensor that has values for every place of the image: [N, C, h, w], [N, h, w, C] or tokens [N, T, C]."""

    tensor: str
    places: Places

    def planes(self, values: np.ndarray) -> np.ndarray:  # [N, C, h, w]
        """The tensor's value, or its gradient, channel by channel; tokens that are no places are left out."""
        at = self.places
        if at.layout == "channels first":
            return values
        grid = values[:, at.extra :].reshape(len(values), at.height, at.width, -1)
        return np.moveaxis(grid, -1, 1)

    def factors(self, masks: np.ndarray) -> np.ndarray:  # [M, h, w] -> [M, …]
        """What multiplies the tensor's value so that every place is kept to the mask's share; tokens that are no
        places stay as they are."""
        at = self.places
        if at.layout == "channels first":
            return masks[:, None]
        if at.layout == "channels last":
            return masks[..., None]
        rows = masks.reshape(len(masks), -1)
        return np.concatenate([np.ones((len(masks), at.extra), masks.dtype), rows], 1)[..., None]


def feature_map(model: Model, layer: str | None, target: Target) -> FeatureMap:
    """The feature map or grid of tokens of that name (its node's will do); None: the last one before the target.

    Raises InputError when it is none, or there is none.
    """
    size = image_size(model)
    tensor = last_feature_map(model.graph, target.tensor(model), size) if layer is None else tensor_named(model, layer)
    found = places(model.graph, tensor, size, constant_tensors(model.graph))
    if found is None:
        shape = list(model.graph.shape(tensor) or ["?"])
        raise InputError(f"expected a feature map [N, C, H, W] of more than one place, {tensor} is {shape}")
    return FeatureMap(tensor, found)


@dataclass(frozen=True)
class FeatureGradients:
    """What a network says of n images at its feature map, and how the score depends on it."""

    tensor: str
    scores: np.ndarray  # [n]
    features: np.ndarray  # [n, C, h, w]
    gradients: np.ndarray  # [n, C, h, w]


def feature_gradients(
    model: Model, layer: str | None, batch: np.ndarray, target: Target, memory: int | str | None
) -> FeatureGradients:
    """The feature map of `feature_map`, and the score's gradient with respect to it.

    Raises InputError as of `feature_map` and when the map does not reach the target.
    """
    network = model.torch()  # where nothing has gradients, that is said, not that there is no feature map
    at = feature_map(model, layer, target)
    found = network.gradients(batch, target, [at.tensor], memory=memory)
    values, gradients = found.values[at.tensor], found.gradients[at.tensor]
    return FeatureGradients(at.tensor, found.scores, at.planes(values), at.planes(gradients))


def image_size(model: Model) -> tuple[int, int]:
    """Height and width of the network's input."""
    shape = image_input(model)[1]
    return (shape[1], shape[2]) if model.spec.layout == "NHWC" else (shape[2], shape[3])


def enlarged(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:  # [N, h, w] -> [N, H, W] float32
    """Maps of the image's size, bilinear between the centres of their places."""
    shape = (size[1], size[0])
    planes = [Image.fromarray(plane.astype(np.float32)).resize(shape, Image.Resampling.BILINEAR) for plane in maps]
    return np.stack([np.asarray(plane) for plane in planes])


def above_least(maps: np.ndarray) -> np.ndarray:  # [N, h, w]
    """Each map from its own smallest value on: of scores only the differences between places say where."""
    lowered: np.ndarray = maps - maps.min((1, 2), keepdims=True)
    return lowered
