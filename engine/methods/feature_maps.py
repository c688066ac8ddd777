"""What the CAM family shares: the feature map that is looked at, and coarse maps enlarged to the image's size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ...importers.errors import InputError
from ..images import image_input
from ..structure.last_feature_map import is_feature_map, last_feature_map
from ..targets import Target, tensor_named

if TYPE_CHECKING:
    from ..model import Model


def feature_map(model: Model, layer: str | None, target: Target) -> str:
    """The tensor [N, C, H, W] of that name (its node's will do); None: the last one before the target.

    Raises InputError when it is no feature map, or there is none.
    """
    if layer is None:
        return last_feature_map(model.graph, target.tensor(model))
    tensor = tensor_named(model, layer)
    if not is_feature_map(model.graph, tensor):
        shape = list(model.graph.shape(tensor) or ["?"])
        raise InputError(f"expected a feature map [N, C, H, W] of more than one place, {tensor} is {shape}")
    return tensor


def image_size(model: Model) -> tuple[int, int]:
    """Height and width of the network's input."""
    shape = image_input(model)[1]
    return (shape[1], shape[2]) if model.spec.layout == "NHWC" else (shape[2], shape[3])


def enlarged(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:  # [N, h, w] -> [N, H, W] float32
    """Maps of the image's size, bilinear between the centres of their places."""
    shape = (size[1], size[0])
    planes = [Image.fromarray(plane.astype(np.float32)).resize(shape, Image.Resampling.BILINEAR) for plane in maps]
    return np.stack([np.asarray(plane) for plane in planes])
