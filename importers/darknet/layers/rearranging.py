"""Layers that move numbers, enlarge, cut out, or share out."""

from __future__ import annotations

from typing import Any

from ..layer_writer import LayerWriter

_NEAREST: dict[str, Any] = {
    "mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor",
}  # fmt: skip


def upsample(layer: LayerWriter) -> str:
    """Each place `stride` times in both directions, multiplied by `scale`."""
    value, stride, scale = layer.map(layer.input), layer.positive("stride", 2), layer.section.number("scale", 1)
    inputs = [value, "", layer.constant("factors", [1, 1, stride, stride])]
    nearest: dict[str, Any] = {
        "mode": "nearest",
        "coordinate_transformation_mode": "asymmetric",
        "nearest_mode": "floor",
    }
    if scale == 1:
        return layer.emit("Resize", inputs, **nearest)
    return layer.emit("Mul", [layer.add("enlarged", "Resize", inputs, **nearest), layer.constant("scale", scale)])


def reorg(layer: LayerWriter) -> str:
    """Blocks of places to channels in the order of YOLOv2, which takes the map for one that is `stride` times as large
    in both directions and has so fewer channels; `reverse` turns that round.
    """
    value, stride = layer.map(layer.input), layer.positive("stride")
    channels, height, width = layer.extent(value)
    _check_blocks(layer, channels, stride * stride)
    if layer.section.integer("reverse"):
        return layer.emit("DepthToSpace", [value], blocksize=stride, mode="DCR")
    for side in (height, width):
        _check_blocks(layer, side, stride)
    few = channels // (stride * stride)
    blocks = layer.add(
        "blocks", "Reshape", [value, layer.ints("blocks_shape", [0, few, height, stride, width, stride])]
    )
    moved = layer.add("moved", "Transpose", [blocks], perm=[0, 3, 5, 1, 2, 4])
    shape = [0, channels * stride * stride, height // stride, width // stride]
    return layer.emit("Reshape", [moved, layer.ints("shape", shape)])


def _check_blocks(layer: LayerWriter, size: int, block: int) -> None:
    if size % block:
        raise layer.error(f"stride {layer.section.text('stride')} does not divide its input: {size} by {block}")


def reorg3d(layer: LayerWriter) -> str:
    """Blocks of places to channels."""
    value, stride = layer.map(layer.input), layer.positive("stride")
    for side in layer.extent(value)[1:]:
        _check_blocks(layer, side, stride)
    return layer.emit("SpaceToDepth", [value], blocksize=stride)


def crop(layer: LayerWriter) -> str:
    """The middle of the image, its numbers from 0..1 to -1..1 unless `noadjust`."""
    value = layer.map(layer.input)
    sizes, wanted = layer.extent(value)[1:], (layer.positive("crop_height"), layer.positive("crop_width"))
    if any(side > size for side, size in zip(wanted, sizes, strict=True)):
        raise layer.error(f"cannot cut {wanted[0]}x{wanted[1]} out of {sizes[0]}x{sizes[1]}")
    starts = [(size - side) // 2 for side, size in zip(wanted, sizes, strict=True)]
    ends = [start + side for start, side in zip(starts, wanted, strict=True)]
    bounds = [layer.ints(role, places) for role, places in (("starts", starts), ("ends", ends), ("axes", [2, 3]))]
    if layer.section.integer("noadjust"):
        return layer.emit("Slice", [value, *bounds])
    middle = layer.add("middle", "Slice", [value, *bounds])
    return layer.emit(
        "Sub", [layer.add("doubled", "Mul", [middle, layer.constant("two", 2)]), layer.constant("one", 1)]
    )


def softmax(layer: LayerWriter) -> str:
    """Shares of the whole row, or of each of `groups` parts of it."""
    value, groups = layer.row(layer.input), layer.positive("groups")
    count, temperature = layer.graph.shape(value)[1], layer.section.number("temperature", 1)
    assert isinstance(count, int)
    if count % groups or temperature == 0:
        raise layer.error(f"{count} numbers in {groups} groups at temperature {temperature:g} have no softmax")
    if temperature != 1:
        value = layer.add("cooled", "Div", [value, layer.constant("temperature", temperature)])
    if groups == 1:
        return layer.emit("Softmax", [value], axis=1)
    parts = layer.add("parts", "Reshape", [value, layer.ints("parts_shape", [0, groups, count // groups])])
    shares = layer.add("shares", "Softmax", [parts], axis=2)
    return layer.emit("Reshape", [shares, layer.ints("row_shape", [0, count])])


LAYERS = {"crop": crop, "reorg": reorg, "reorg3d": reorg3d, "softmax": softmax, "upsample": upsample}
