"""Images made larger or smaller."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..layer_writer import LayerWriter


def resize(
    layer: LayerWriter,
    x: str,
    interpolation: str,
    scales: Sequence[float],
    sizes: Sequence[int],
    places: str = "half_pixel",  # of pixels, in ONNX's words
) -> None:
    """The layer's result: x [N, C, *sides] with sides by factors, or to sizes where these are given.

    The nearest pixel of one in the middle of two is the later; where pixels count from their edges, the earlier.
    """
    if interpolation not in ("nearest", "bilinear"):
        raise layer.error(f"interpolation {interpolation} is not supported")
    if interpolation == "bilinear" and not layer.channels_last and not layer.scope.images_first:
        # onnxruntime moves a Transpose across such a Resize and then refuses what it made.
        raise layer.error("bilinear with channels first, in a model whose images have them last, is not supported")
    nearest = {"mode": "nearest", "nearest_mode": "floor" if places == "asymmetric" else "round_prefer_ceil"}
    how = {"mode": "linear"} if interpolation == "bilinear" else nearest
    if sizes:
        # Batch and channels of a size that is known only as the network runs: they are put before the new sides.
        kept = layer.add("kept", "Shape", [x], end=2)
        to = layer.add("sizes", "Concat", [kept, layer.ints("sides", sizes)], axis=0)
        inputs = [x, "", "", to]
    else:
        inputs = [x, "", layer.constant("scales", [1, 1, *scales])]
    layer.emit("Resize", inputs, coordinate_transformation_mode=places, **how)


def _up_sampling(axes: int) -> Callable[[LayerWriter], None]:
    def write(layer: LayerWriter) -> None:
        x = layer.spatial()
        scales = layer.per_axis("size", axes, 2)
        interpolation = layer.option("interpolation", "nearest")
        # Each pixel `scale` times: whole factors need no rounding.
        resize(layer, x, interpolation, scales, (), "asymmetric" if interpolation == "nearest" else "half_pixel")

    return write


def resizing(layer: LayerWriter) -> None:
    """An image to a height and width; first cropped in the middle, or bordered, where it is to keep its shape."""
    sizes = [layer.option("height"), layer.option("width")]
    interpolation, x = layer.option("interpolation", "bilinear"), layer.spatial()
    if layer.flag("crop_to_aspect_ratio"):
        x = _cropped(layer, x, sizes)
    elif layer.flag("pad_to_aspect_ratio"):
        x = _bordered(layer, x, sizes)
    if layer.flag("antialias") and interpolation == "bilinear":
        _smooth(layer, x, sizes)
    else:
        resize(layer, x, interpolation, (), sizes)


def _sides(layer: LayerWriter, x: str, sizes: Sequence[int]) -> tuple[tuple[int, ...], list[int]]:
    """The sides of x, and what each would be to have the new sides' ratio to the other."""
    high, wide = layer.sizes(layer.graph.shape(x)[2:])
    return (high, wide), [int(wide * sizes[0] / sizes[1]), int(high * sizes[1] / sizes[0])]


def _cropped(layer: LayerWriter, x: str, sizes: Sequence[int]) -> str:
    """The middle of an image that has the ratio of the new sides."""
    sides, fitting = _sides(layer, x, sizes)
    kept = [max(min(side, fit), 1) for side, fit in zip(sides, fitting, strict=True)]
    starts = [(side - part) // 2 for side, part in zip(sides, kept, strict=True)]
    ends = [start + part for start, part in zip(starts, kept, strict=True)]
    bounds = [layer.ints("starts", starts), layer.ints("ends", ends)]
    return layer.add("cropped", "Slice", [x, *bounds, layer.ints("axes", [2, 3])])


def _bordered(layer: LayerWriter, x: str, sizes: Sequence[int]) -> str:
    """The image with a border that gives it the ratio of the new sides, but for an odd pixel, as Keras has it."""
    if layer.option("fill_mode", "constant") != "constant":
        raise layer.error("only the fill_mode constant is supported")
    sides, fitting = _sides(layer, x, sizes)
    border = [(max(side, fit) - side) // 2 for side, fit in zip(sides, fitting, strict=True)]
    pads = layer.ints("pads", [0, 0, *border, 0, 0, *border])
    return layer.add("bordered", "Pad", [x, pads, layer.constant("fill_value", layer.option("fill_value", 0.0))])


def _smooth(layer: LayerWriter, x: str, sizes: Sequence[int]) -> None:
    """The layer's result: bilinear with antialiasing, for which ONNX has no operator of this opset."""
    high, wide = layer.sizes(layer.graph.shape(x)[2:])
    rows = layer.constant("rows", _triangles(high, sizes[0]))
    columns = layer.constant("columns", _triangles(wide, sizes[1]).T)
    layer.emit("MatMul", [layer.add("shorter", "MatMul", [rows, x]), columns])


def _triangles(side: int, size: int) -> np.ndarray:
    """[size, side]: the share of each old pixel in each new one, a triangle as wide as the new pixels are apart."""
    step = side / size
    centres = (np.arange(size) + 0.5) * step
    apart = np.abs(np.arange(side) + 0.5 - centres[:, None]) / max(step, 1)
    shares = np.maximum(1 - apart, 0)
    return shares / shares.sum(1, keepdims=True)


LAYERS = {"Resizing": resizing, **{f"UpSampling{axes}D": _up_sampling(axes) for axes in (1, 2, 3)}}
