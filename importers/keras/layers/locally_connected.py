"""LocallyConnected1D and 2D of Keras 1 and 2: a convolution with a kernel of its own for every place."""

from __future__ import annotations

import math

import numpy as np

from ..layer_writer import LayerWriter
from .activation import end_in_activation


def locally_connected(layer: LayerWriter) -> None:
    """x [N, *sides, C]; kernel [places, window * C, filters], bias [*places, filters]."""
    sizes = layer.sizes(layer.shape()[1:])
    axes = len(sizes) - 1
    if layer.option("padding", "valid") != "valid" or layer.option("implementation", 1) != 1 or not layer.channels_last:
        raise layer.error("only padding valid, implementation 1 and channels last are supported")
    window, strides = layer.per_axis("kernel_size", axes), layer.per_axis("strides", axes, 1)
    kernel = layer.array("kernel")
    places = [(size - side) // step + 1 for size, side, step in zip(sizes, window, strides, strict=False)]
    wanted = (math.prod(places), math.prod(window) * sizes[-1])
    if kernel.ndim != 3 or kernel.shape[:2] != wanted:
        raise layer.error(f"expected a kernel [{wanted[0]}, {wanted[1]}, filters], found {list(kernel.shape)}")
    flat = layer.add("flat", "Reshape", [layer.source(), layer.ints("flat_shape", [0, math.prod(sizes)])])
    indices = layer.constant("indices", _indices(sizes, window, strides, places), np.int64)
    patches = layer.add("patches", "Gather", [flat, indices], axis=1)
    alone = layer.add("alone", "Unsqueeze", [patches, layer.ints("row", [2])])
    product = layer.add("product", "MatMul", [alone, layer.weight("kernel", lambda: kernel)])
    end_in_activation(layer)
    shape = layer.ints("shape", [0, *places, kernel.shape[2]])
    if not layer.has("bias"):
        layer.emit("Reshape", [product, shape])
        return
    bias = layer.weight("bias", lambda: layer.array("bias").reshape(*places, -1))
    layer.emit("Add", [layer.add("image", "Reshape", [product, shape]), bias])


def _indices(sizes: tuple[int, ...], window: list[int], strides: list[int], places: list[int]) -> np.ndarray:
    """[places, window * C]: which numbers of a flat image each place reads."""
    numbers = np.arange(math.prod(sizes)).reshape(sizes)
    rows = []
    for place in np.ndindex(*places):
        begins = [at * step for at, step in zip(place, strides, strict=True)]
        part = numbers[tuple(slice(begin, begin + side) for begin, side in zip(begins, window, strict=True))]
        rows.append(part.ravel())
    return np.stack(rows)


LAYERS = dict.fromkeys(("LocallyConnected1D", "LocallyConnected2D"), locally_connected)
