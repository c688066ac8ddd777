"""The shape of a graph input: as the file says, as the user does, else as far as its readers' weights tell."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ..graph_builder import Dim
from .layer_writer import BATCH, LayerWriter
from .param import Layer
from .windows import CONVOLUTION, window

_SIDES = ("height", "width")
_AXES = {"Convolution": 2, "ConvolutionDepthWise": 2, "Convolution1D": 1, "Convolution3D": 3}
_SAME = ("Split", "Noop", "Padding", "Cast")  # leave the channels as they are


def input_shape(
    writer: LayerWriter,
    layers: Sequence[Layer],
    given: Mapping[str, Sequence[int]],
    size: tuple[int, int] | None,  # (height, width) of an image
) -> tuple[Dim, ...]:
    """With the batch in front. Raises InputError when nothing tells how many axes there are."""
    blob = writer.layer.tops[0]
    said = given.get(blob) or given.get("")
    if said:
        return tuple(said)
    known = _written(writer)
    if known:
        shape: tuple[Dim, ...] = (BATCH, *known)
        return (*shape[:-2], *size) if size and len(shape) == 4 else shape
    return _from_readers(writer, layers, blob, size)


def _written(writer: LayerWriter) -> list[int]:
    """The sizes in the file, outermost first: w, h, d, c are the parameters 0, 1, 11, 2."""
    sizes = [writer.whole(key) for key in (2, 11, 1, 0)]
    while sizes and not sizes[0]:
        sizes = sizes[1:]
    sizes = [size for place, size in enumerate(sizes) if size or place != 1 or len(sizes) < 4]
    if any(size < 1 for size in sizes):
        raise writer.error(f"expected sizes from 1, found {sizes}")
    return sizes


def _from_readers(
    writer: LayerWriter, layers: Sequence[Layer], blob: str, size: tuple[int, int] | None
) -> tuple[Dim, ...]:
    """As the first convolution or dense layer needs it; sides stay open."""
    names = {blob}
    for layer in layers:
        if names & set(layer.bottoms) and layer.type in _SAME:
            names.update(layer.tops)
        reader = LayerWriter(layer, writer.graph, layer.bottoms, writer.weights)
        if names & set(layer.bottoms[:1]) and layer.type in _AXES:
            axes = _AXES[layer.type]
            view = window(reader, axes, CONVOLUTION)
            group = reader.whole(7, 1) if "DepthWise" in layer.type else 1
            channels = reader.whole(6) // max(math.prod(view.kernel) * reader.whole(0, 1), 1) * group
            sides: tuple[Dim, ...] = ("depth", *_SIDES)[-axes:]
            return (BATCH, channels, *(size if size and axes == 2 else sides))
        if names & set(layer.bottoms[:1]) and layer.type == "InnerProduct":
            return (BATCH, reader.whole(2) // max(reader.whole(0, 1), 1))
    raise writer.error("the file does not say the size of the input; say it with --shape")
