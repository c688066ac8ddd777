"""Images made larger or smaller."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..layer_writer import LayerWriter


def _resize(layer: LayerWriter, x: str, interpolation: str, scales: Sequence[float], sizes: Sequence[int]) -> None:
    """The layer's result: x [N, C, *sides] with sides by factors, or to sizes where these are given.

    A pixel's centre is at its half; the nearest pixel of one in the middle of two is the later.
    """
    if interpolation not in ("nearest", "bilinear"):
        raise layer.error(f"interpolation {interpolation} is not supported")
    if interpolation == "bilinear" and not layer.channels_last and not layer.scope.images_first:
        # onnxruntime moves a Transpose across such a Resize and then refuses what it made.
        raise layer.error("bilinear with channels first, in a model whose images have them last, is not supported")
    how = (
        {"mode": "linear"} if interpolation == "bilinear" else {"mode": "nearest", "nearest_mode": "round_prefer_ceil"}
    )
    if sizes:
        # Batch and channels of a size that is known only as the network runs: they are put before the new sides.
        kept = layer.add("kept", "Shape", [x], end=2)
        to = layer.add("sizes", "Concat", [kept, layer.ints("sides", sizes)], axis=0)
        inputs = [x, "", "", to]
    else:
        inputs = [x, "", layer.constant("scales", [1, 1, *scales])]
    layer.emit("Resize", inputs, coordinate_transformation_mode="half_pixel", **how)


def _up_sampling(axes: int) -> Callable[[LayerWriter], None]:
    def write(layer: LayerWriter) -> None:
        x = layer.spatial()
        scales = layer.per_axis("size", axes, 2)
        interpolation = layer.option("interpolation", "nearest")
        if interpolation != "nearest":
            _resize(layer, x, interpolation, scales, ())
            return
        inputs = [x, "", layer.constant("scales", [1, 1, *scales])]
        # Each pixel `scale` times: whole factors need no rounding.
        layer.emit("Resize", inputs, coordinate_transformation_mode="asymmetric", mode="nearest", nearest_mode="floor")

    return write


def resizing(layer: LayerWriter) -> None:
    """An image to a height and width."""
    for name in ("crop_to_aspect_ratio", "pad_to_aspect_ratio", "antialias"):
        if layer.flag(name):
            raise layer.error(f"{name} is not supported")
    sizes = [layer.option("height"), layer.option("width")]
    _resize(layer, layer.spatial(), layer.option("interpolation", "bilinear"), (), sizes)


LAYERS = {"Resizing": resizing, **{f"UpSampling{axes}D": _up_sampling(axes) for axes in (1, 2, 3)}}
