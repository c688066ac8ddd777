"""Layers that pool regions of a feature map: the R-CNN family."""

from __future__ import annotations

import numpy as np

from ..layer_writer import LayerWriter


def roi_pooling(layer: LayerWriter) -> None:
    """The maximum of each cell of a grid over each region [image, x1, y1, x2, y2] (Girshick 2015)."""
    param = layer.param("roi_pooling_param")
    pooled = [param.pooled_h, param.pooled_w]
    regions = _regions(layer)
    layer.emit("MaxRoiPool", [layer.inputs[0], regions], pooled_shape=pooled, spatial_scale=param.spatial_scale)


def _regions(layer: LayerWriter) -> str:
    """The regions as [R, 5]: files also write them as R x 5 x 1 x 1."""
    if len(layer.shape(1)) == 2:
        return layer.inputs[1]
    return layer.add("regions", "Reshape", [layer.inputs[1], layer.ints("regions_shape", [-1, 5])])


def psroi_pooling(layer: LayerWriter) -> None:
    """The mean of each cell of a grid over each region, each cell from channels of its own (R-FCN, Dai et al. 2016).

    ONNX has no such operator. The sum over any rectangle is four numbers of the map summed up from its corner
    (in double precision, as their differences cancel).
    """
    param = layer.param("psroi_pooling_param")
    grid, depth = param.group_size, param.output_dim
    channels, height, width = layer.sizes(layer.shape()[1:])
    if channels != grid * grid * depth:
        raise layer.error(f"expected {grid * grid * depth} channels, found {channels}")
    image, left, top, right, bottom = _columns(layer, _regions(layer))
    lines = _cell_borders(layer, "rows", top, bottom, height)
    rows = [_unsqueezed(layer, border, (1, 3)) for border in lines]  # [R, 1, grid, 1]
    lines = _cell_borders(layer, "columns", left, right, width)
    columns = [_unsqueezed(layer, border, (1, 2)) for border in lines]  # [R, 1, 1, grid]
    corners = _corner_sums(layer, image, rows, columns)
    _emit_mean(layer, corners, rows, columns)


def _columns(layer: LayerWriter, regions: str) -> tuple[str, ...]:
    """The five columns of the regions, each [R, 1]."""
    outputs = [layer.graph.temporary(f"{layer.name}/{side}") for side in ("image", "left", "top", "right", "bottom")]
    parts = layer.ints("fifths", [1] * 5)
    layer.graph.node("Split", [regions, parts], outputs, name=f"{layer.name}/columns", axis=1)
    return tuple(outputs)


def _cell_borders(layer: LayerWriter, axis: str, first: str, last: str, size: int) -> tuple[str, str]:
    """Where each cell of the grid begins and ends along one axis: two [R, grid] of whole pixels."""
    grid = layer.param("psroi_pooling_param").group_size
    start = _on_map(layer, f"{axis}_start", first, 0.5)
    end = _on_map(layer, f"{axis}_end", last, 1.5)  # the last pixel belongs to the region
    extent = layer.add(f"{axis}_extent", "Sub", [end, start])
    extent = layer.add(f"{axis}_extent_kept", "Max", [extent, layer.constant(f"{axis}_least", 0.1)])
    cell = layer.add(f"{axis}_cell", "Div", [extent, layer.constant(f"{axis}_grid", grid)])
    steps = np.arange(grid + 1, dtype=np.float32)[None]
    return (
        _border(layer, f"{axis}_from", "Floor", (cell, start), steps[:, :-1], size),
        _border(layer, f"{axis}_to", "Ceil", (cell, start), steps[:, 1:], size),
    )


def _on_map(layer: LayerWriter, role: str, pixel: str, offset: float) -> str:
    """A coordinate of the image, rounded to a pixel, in units of the feature map."""
    shifted = layer.add(f"{role}_shifted", "Add", [pixel, layer.constant(f"{role}_offset", offset)])
    nearest = layer.add(f"{role}_pixel", "Floor", [shifted])
    scale = layer.constant(f"{role}_scale", layer.param("psroi_pooling_param").spatial_scale)
    return layer.add(role, "Mul", [nearest, scale])


def _border(layer: LayerWriter, role: str, rounding: str, line: tuple[str, str], steps: np.ndarray, size: int) -> str:
    """start + step * cell, rounded and kept inside the map, as integers."""
    cell, start = line
    inside = layer.add(f"{role}_cells", "Mul", [cell, layer.constant(f"{role}_steps", steps)])
    whole = layer.add(f"{role}_whole", rounding, [layer.add(f"{role}_exact", "Add", [inside, start])])
    bounds = (layer.constant(f"{role}_low", 0), layer.constant(f"{role}_high", size))
    return layer.add(role, "Cast", [layer.add(f"{role}_clipped", "Clip", [whole, *bounds])], to=7)


def _unsqueezed(layer: LayerWriter, value: str, axes: tuple[int, ...]) -> str:
    name = value.rpartition("/")[2]
    return layer.add(f"{name}_aligned", "Unsqueeze", [value, layer.ints(f"{name}_axes", axes)])


def _corner_sums(layer: LayerWriter, image: str, rows: list[str], columns: list[str]) -> list[str]:
    """The summed map at the four corners of every cell: [[R, depth, grid, grid]] for (row, column) = 00 01 10 11."""
    param = layer.param("psroi_pooling_param")
    grid, depth = param.group_size, param.output_dim
    channels, height, width = layer.sizes(layer.shape()[1:])
    plane = (height + 1) * (width + 1)
    flat = _summed_map(layer)
    image = layer.add("image_index", "Cast", [image], to=7)
    image = layer.add("image_offset", "Mul", [image, layer.ints("image_size", [channels * plane])])
    image = layer.add("image_aligned", "Unsqueeze", [image, layer.ints("image_axes", [2, 3])])
    offsets = np.arange(depth * grid * grid).reshape(1, depth, grid, grid) * plane
    base = layer.add("base", "Add", [image, layer.constant("channel_offset", offsets, np.int64)])
    sums = []
    for i, row in enumerate(rows):
        line = layer.add(f"line{i}", "Mul", [row, layer.ints(f"line{i}_size", [width + 1])])
        line = layer.add(f"line{i}_index", "Add", [base, line])
        for j, column in enumerate(columns):
            place = layer.add(f"corner{i}{j}_index", "Add", [line, column])
            sums.append(layer.add(f"corner{i}{j}", "Gather", [flat, place], axis=0))
    return sums


def _summed_map(layer: LayerWriter) -> str:
    """The feature map summed from its corner, with a row and a column of zeros before it, flattened."""
    value = layer.add("precise", "Cast", layer.inputs[:1], to=11)
    for axis in (2, 3):
        value = layer.add(f"summed{axis}", "CumSum", [value, layer.constant(f"axis{axis}", axis, np.int64)])
    padded = layer.add("padded", "Pad", [value, layer.ints("pads", [0, 0, 1, 1, 0, 0, 0, 0])])
    return layer.add("flat", "Reshape", [padded, layer.ints("flat_shape", [-1])])


def _emit_mean(layer: LayerWriter, corners: list[str], rows: list[str], columns: list[str]) -> None:
    top_left, top_right, bottom_left, bottom_right = corners
    below = layer.add("below", "Sub", [bottom_right, bottom_left])
    above = layer.add("above", "Sub", [top_right, top_left])
    total = layer.add("total", "Cast", [layer.add("difference", "Sub", [below, above])], to=1)
    tall = layer.add("cell_height", "Sub", [rows[1], rows[0]])
    wide = layer.add("cell_width", "Sub", [columns[1], columns[0]])
    area = layer.add(
        "cell_area", "Max", [layer.add("cell_product", "Mul", [tall, wide]), layer.ints("least_area", [1])]
    )
    layer.emit("Div", [total, layer.add("cell_pixels", "Cast", [area], to=1)])


LAYERS = {"ROIPooling": roi_pooling, "PSROIPooling": psroi_pooling}
