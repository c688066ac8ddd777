"""The weights a layer needs against the weights the caffemodel holds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import InputError
from .reader import Layer

Shape = tuple[int, ...]


def attach_weights(layers: list[Layer], trained: list[Layer], source: str) -> None:
    """Give each layer the blobs of its namesake in the caffemodel; shared weights also come from those who share them.

    Raises InputError when no layer of the net is in the caffemodel at all.
    """
    stored = {layer.name: layer.blobs for layer in trained if layer.blobs}
    for layer in layers:
        layer.blobs = stored.get(layer.name, layer.blobs)
    shared = {name: blob for layer in layers for name, blob in zip(layer.shared, layer.blobs, strict=False) if name}
    for layer in layers:
        if not layer.blobs and layer.shared and all(name in shared for name in layer.shared):
            layer.blobs = [shared[name] for name in layer.shared]
    if stored and not any(layer.blobs for layer in layers):
        names = ", ".join(list(stored)[:5])
        raise InputError(
            f"{source} holds weights for none of the prototxt's layers; it has {names} …: another network?"
        )


def checked_weights(layer: Layer, wanted: Mapping[str, Shape], fillers: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Role -> array of the wanted shape, float32.

    Old files pad shapes to four dimensions with ones, so ones do not count. Raises InputError naming the layer and
    both shapes.
    """
    blobs = layer.blobs
    if not blobs:
        blobs = [_filled(layer, shape, fillers.get(role)) for role, shape in wanted.items()]
    if len(blobs) != len(wanted) or any(
        _significant(blob.shape) != _significant(shape) for blob, shape in zip(blobs, wanted.values(), strict=True)
    ):
        raise InputError(
            f"layer {layer.name} ({layer.type}): the prototxt asks for weights of shape {_list(wanted.values())}, "
            f"the caffemodel holds {_list(blob.shape for blob in blobs)}; do the two files belong together?"
        )
    arrays = zip(wanted.items(), blobs, strict=True)
    return {role: blob.reshape(shape).astype(np.float32, copy=False) for (role, shape), blob in arrays}


def _significant(shape: Shape) -> Shape:
    return tuple(dim for dim in shape if dim != 1)


def _list(shapes: Any) -> str:
    return ", ".join("x".join(map(str, shape)) or "scalar" for shape in shapes) or "none"


def _filled(layer: Layer, shape: Shape, filler: Any) -> np.ndarray:
    """Weights that training never touched may be missing from the file, when the prototxt says what they are."""
    kind = filler.type if filler is not None and (filler.HasField("type") or filler.HasField("value")) else ""
    if kind == "constant":
        return np.full(shape, filler.value, np.float32)
    if kind == "bilinear" and len(shape) == 4:
        return np.broadcast_to(_bilinear(shape[-1]), shape).astype(np.float32)
    raise InputError(
        f"layer {layer.name} ({layer.type}): the caffemodel holds no weights for it, the prototxt asks for "
        f"{_list([shape])}; do the two files belong together?"
    )


def _bilinear(side: int) -> np.ndarray:
    """Caffe's bilinear filler: [side, side], a pyramid whose top is 1."""
    factor = math.ceil(side / 2)
    centre = (2 * factor - 1 - factor % 2) / (2.0 * factor)
    ramp = 1 - np.abs(np.arange(side) / factor - centre)
    return ramp[:, None] * ramp[None, :]
