"""The shape of inputs that a training file leaves to its database: from crop_size, the weights, or by trying."""

from __future__ import annotations

from collections.abc import Sequence

from ..image_sides import USUAL_SIDES
from .inference_net import InferenceNet
from .reader import Layer

Shape = tuple[int | None, ...]


def complete_inputs(net: InferenceNet) -> dict[str, Shape]:
    """Shape of each input; None for what nothing in the file tells."""
    return {blob: _complete(net, blob, shape) for blob, shape in net.inputs.items()}


def _complete(net: InferenceNet, blob: str, shape: Sequence[int]) -> Shape:
    if shape:
        return tuple(dim if dim > 0 else None for dim in shape)
    layer = next((layer for layer in net.data_layers if blob in layer.tops), None)
    height, width = image_size(layer) if layer is not None else (None, None)
    return (1, _channels(net, blob, layer), height, width)


def image_size(layer: Layer) -> tuple[int | None, int | None]:
    """(height, width) of the images a data layer delivers, as far as it says so."""
    crop = crop_size(layer)
    if crop:
        return crop, crop
    for given in (layer.param("image_data_param"), layer.param("transform_param").resize_param):
        names = ("new_height", "new_width") if hasattr(given, "new_height") else ("height", "width")
        height, width = (getattr(given, name) for name in names)
        if height and width:
            return height, width
    return None, None


def crop_size(layer: Layer) -> int:
    """Side of the square cut out of each image; 0 for none. Older files keep it with the data source."""
    sources = ("transform_param", "data_param", "image_data_param", "window_data_param")
    return next((size for name in sources if (size := layer.param(name).crop_size)), 0)


def _channels(net: InferenceNet, blob: str, data: Layer | None) -> int | None:
    """From the weights of the first convolution that sees the blob."""
    seen = {blob}
    for layer in net.layers:
        if not seen & set(layer.bottoms):
            continue
        if layer.type in ("Convolution", "Deconvolution") and layer.blobs and layer.blobs[0].ndim > 1:
            group = layer.param("convolution_param").group
            first, second = layer.blobs[0].shape[:2]
            return second * group if layer.type == "Convolution" else first
        seen.update(layer.tops)
    if data is not None and data.param("transform_param").force_gray:
        return 1
    return None


def sides_to_try(net: InferenceNet, inputs: dict[str, Shape]) -> tuple[int, ...]:
    """Image sides that could fill the gaps: worth trying where an inner product fixes what comes out right."""
    gaps = any(None in shape[2:] for shape in inputs.values())
    return USUAL_SIDES if gaps and any(layer.type == "InnerProduct" for layer in net.layers) else ()


def with_side(inputs: dict[str, Shape], side: int) -> dict[str, Shape]:
    """The inputs with `side` wherever an image size is missing."""
    return {blob: (*shape[:2], *(side if dim is None else dim for dim in shape[2:])) for blob, shape in inputs.items()}
