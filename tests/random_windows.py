"""Random nodes with windows, as test_windows.py sweeps them: seeded, small, of every shape that files may hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from backend_cases import Case
from onnx import helper


@dataclass(frozen=True)
class Node:
    """One operator and what goes in."""

    op: str
    opset: int
    inputs: tuple[np.ndarray | None, ...]
    attributes: dict[str, Any]
    outputs: int = 1

    def case(self) -> Case:
        """As a model of its own, nothing expected yet."""
        names = ["" if value is None else f"in{number}" for number, value in enumerate(self.inputs)]
        while not names[-1]:
            names.pop()
        results = [f"out{number}" for number in range(self.outputs)]
        node = helper.make_node(self.op, names, results, self.op.lower(), **self.attributes)
        given = {name: value for name, value in zip(names, self.inputs, strict=False) if value is not None}
        infos = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
            for name, value in given.items()
        ]
        graph = helper.make_graph([node], "g", infos, [helper.make_empty_tensor_value_info(name) for name in results])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)
        return Case(str(self), model, tuple(given.values()), (), 2e-4, 2e-5)

    def __str__(self) -> str:
        shapes = [
            None if value is None else value.tolist() if value.ndim == 1 else list(value.shape) for value in self.inputs
        ]
        return f"{self.op}-{self.opset} {shapes} {self.attributes}"


class Draw:
    """Random choices."""

    def __init__(self, seed: int) -> None:
        self.generator = np.random.default_rng(seed)

    def int(self, low: int, high: int) -> int:
        return int(self.generator.integers(low, high + 1))

    def ints(self, count: int, low: int, high: int) -> list[int]:
        return [self.int(low, high) for _ in range(count)]

    def of(self, *values: Any) -> Any:
        return values[self.int(0, len(values) - 1)]

    def normal(self, *shape: int) -> np.ndarray:
        return self.generator.normal(size=shape).astype(np.float32)

    def uniform(self, low: float, high: float, *shape: int) -> np.ndarray:
        return self.generator.uniform(low, high, shape).astype(np.float32)


def window(draw: Draw, rank: int) -> dict[str, Any]:
    """Kernel, strides, sometimes dilations, and pads in one of the ways that a node can state them."""
    kernel = draw.ints(rank, 1, 4)
    attributes: dict[str, Any] = {"kernel_shape": kernel, "strides": draw.ints(rank, 1, 3)}
    attributes |= draw.of({}, {}, {"dilations": draw.ints(rank, 1, 2)})
    pads = {"pads": [draw.int(0, size - 1) for size in kernel * 2]}
    return attributes | draw.of({}, {"auto_pad": draw.of("SAME_UPPER", "SAME_LOWER", "VALID")}, pads, pads, pads)


def convolutions(draw: Draw) -> Iterator[Node]:
    rank, group = draw.int(1, 3), draw.int(1, 2)
    x = draw.normal(draw.int(1, 2), group * draw.int(1, 2), *draw.ints(rank, 5, 9))
    attributes = window(draw, rank) | {"group": group}
    kernel, out = attributes["kernel_shape"], group * draw.int(1, 2)
    w, b = draw.normal(out, x.shape[1] // group, *kernel), draw.of(None, draw.normal(out))
    yield Node("Conv", 17, (x, w, b), attributes)
    w, b = draw.normal(x.shape[1], out, *kernel), draw.of(None, draw.normal(out * group))
    padding = {"output_padding": [draw.int(0, stride - 1) for stride in attributes["strides"]]}
    yield Node("ConvTranspose", draw.of(11, 17), (x, w, b), attributes | draw.of({}, padding))
    dilations = attributes.get("dilations", [1] * rank)
    sizes = [
        (size - 1) * stride + (taps - 1) * dilation + 1 - draw.int(-1, 2)
        for size, stride, taps, dilation in zip(x.shape[2:], attributes["strides"], kernel, dilations, strict=True)
    ]
    shaped = {key: value for key, value in attributes.items() if key != "pads"} | {"output_shape": sizes}
    yield Node("ConvTranspose", 17, (x, w, b), shaped)


def pools(draw: Draw) -> Iterator[Node]:
    rank = draw.int(1, 3)
    x = draw.normal(draw.int(1, 2), draw.int(1, 3), *draw.ints(rank, 5, 11))
    attributes = window(draw, rank) | {"ceil_mode": draw.int(0, 1)}
    yield Node("MaxPool", draw.of(11, 17), (x,), attributes)
    yield Node("MaxPool", 17, (x,), attributes | {"storage_order": draw.int(0, 1)}, outputs=2)
    yield Node("MaxPool", 17, ((x * 20).astype(draw.of(np.int8, np.uint8)),), attributes)
    yield Node("LpPool", 18, (x,), attributes | {"p": draw.int(1, 3)})
    counted = {"count_include_pad": draw.int(0, 1)}
    yield Node("AveragePool", 19, (x,), attributes | counted)
    plain = {key: value for key, value in attributes.items() if key != "dilations"}
    yield Node("AveragePool", draw.of(11, 17), (x,), plain | counted)


_COORDINATES = (
    "half_pixel",
    "half_pixel_symmetric",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
    "tf_crop_and_resize",
)


def resizes(draw: Draw) -> Iterator[Node]:
    mode, opset, coordinates = draw.of("nearest", "linear", "cubic"), draw.of(11, 13, 18, 19), draw.of(*_COORDINATES)
    if coordinates == "half_pixel_symmetric":
        opset = 19
    rank = 2 if mode == "cubic" else draw.int(1, 3)
    x = draw.normal(1, draw.int(1, 2), *draw.ints(rank, 2, 9))
    attributes: dict[str, Any] = {"mode": mode, "coordinate_transformation_mode": coordinates}
    empty = np.zeros(0, np.float32) if opset < 13 else None
    roi = empty
    if coordinates == "tf_crop_and_resize":
        begins, ends = draw.uniform(-0.2, 0.4, rank), draw.uniform(0.6, 1.3, rank)
        roi = np.concatenate((np.zeros(2), begins, np.ones(2), ends)).astype(np.float32)
        attributes["extrapolation_value"] = 0.5
    if mode == "nearest":
        attributes["nearest_mode"] = draw.of("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
    if mode == "cubic":
        attributes |= {"cubic_coeff_a": draw.of(-0.5, -0.75), "exclude_outside": draw.int(0, 1)}
    if opset >= 18 and mode != "nearest" and rank == 2 and coordinates != "tf_crop_and_resize":
        attributes |= draw.of({}, {"antialias": 1, "exclude_outside": draw.int(0, 1)})
    sizes = np.array([1, x.shape[1], *draw.ints(rank, 2, 18)])
    scales = np.array([1, 1, *(draw.of(0.5, 2, 3, 0.61, 1.7, 2.5, 1) for _ in range(rank))], np.float32)
    yield Node("Resize", opset, (x, roi, empty, sizes), attributes)
    yield Node("Resize", opset, (x, roi, scales), attributes)
    if opset >= 18 and coordinates != "tf_crop_and_resize":
        kept = {"keep_aspect_ratio_policy": draw.of("not_larger", "not_smaller"), "axes": list(range(2, 2 + rank))}
        yield Node("Resize", opset, (x, None, None, sizes[2:]), attributes | kept)
    if mode != "cubic":
        yield Node("Resize", 10, (x, scales), {"mode": mode})
        yield Node("Upsample", 9, (x, np.maximum(scales, 1)), {"mode": mode})


def nearest_resizes(draw: Draw) -> Iterator[Node]:
    """Sizes whose places lie on halves and whole numbers, where rounding decides."""
    size, out = draw.int(1, 60), draw.int(1, 90)
    x = np.arange(size, dtype=np.float32).reshape(1, 1, size)
    attributes = {
        "mode": "nearest",
        "coordinate_transformation_mode": draw.of(*_COORDINATES[:5]),
        "nearest_mode": draw.of("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"),
    }
    yield Node("Resize", 19, (x, None, None, np.array([1, 1, out])), attributes)
    scale = draw.of(1 / 2, 1 / 3, 0.75, 1.25, 1.5, 2, 2.5, 3)
    if size * scale >= 1:
        yield Node("Resize", 19, (x, None, np.array([1, 1, scale], np.float32)), attributes)


def grids(draw: Draw) -> Iterator[Node]:
    rank = draw.int(2, 3)
    x, grid = draw.normal(2, 2, *draw.ints(rank, 2, 7)), draw.normal(2, *draw.ints(rank, 1, 5), rank)
    attributes = {"padding_mode": draw.of("zeros", "border", "reflection"), "align_corners": draw.int(0, 1)}
    for mode in ("linear", "nearest", "cubic")[: 5 - rank]:
        yield Node("GridSample", 20, (x, grid), attributes | {"mode": mode})


def regions(draw: Draw) -> Iterator[Node]:
    x, count = draw.normal(2, 3, *draw.ints(2, 4, 12)), draw.int(1, 5)
    corners = draw.uniform(-3, 14, count, 2)
    boxes = np.concatenate((corners, corners + draw.uniform(0, 9, count, 2)), 1)
    image = draw.generator.integers(0, 2, count)
    scale, size = {"spatial_scale": draw.of(1.0, 0.5, 0.25)}, draw.ints(2, 1, 4)
    attributes = scale | {"output_height": size[0], "output_width": size[1], "mode": draw.of("avg", "max")}
    attributes["sampling_ratio"] = draw.int(0, 3)
    yield Node("RoiAlign", 10, (x, boxes, image), attributes)
    moved = {"coordinate_transformation_mode": draw.of("half_pixel", "output_half_pixel")}
    yield Node("RoiAlign", 16, (x, boxes, image), attributes | moved)
    rois = np.concatenate((image[:, None], boxes), 1).astype(np.float32)
    yield Node("MaxRoiPool", 17, (x, rois), scale | {"pooled_shape": draw.ints(2, 1, 7)})


def deformed(draw: Draw) -> Iterator[Node]:
    kernel, size, offset_group = draw.ints(2, 1, 3), draw.ints(2, 5, 8), draw.int(1, 2)
    strides, pads, dilations = draw.ints(2, 1, 2), draw.ints(4, 0, 1), draw.ints(2, 1, 2)
    out = [
        (size[axis] + pads[axis] + pads[2 + axis] - dilations[axis] * (kernel[axis] - 1) - 1) // strides[axis] + 1
        for axis in range(2)
    ]
    attributes = {"strides": strides, "pads": pads, "dilations": dilations}
    taps = kernel[0] * kernel[1]
    x, w, offset = draw.normal(2, 4, *size), draw.normal(4, 2, *kernel), draw.normal(2, offset_group * taps * 2, *out)
    mask, b = draw.of(None, draw.normal(2, offset_group * taps, *out)), draw.of(None, draw.normal(4))
    inputs = (x, w, offset, b, mask) if mask is not None or b is not None else (x, w, offset)
    yield Node("DeformConv", 19, inputs, attributes | {"group": 2, "offset_group": offset_group})
    columns = draw.normal(2, 3 * taps, out[0] * out[1])
    yield Node("Col2Im", 18, (columns, np.array(size), np.array(kernel)), attributes)


def suppressions(draw: Draw) -> Iterator[Node]:
    count, centred = draw.int(3, 30), draw.int(0, 1)
    corners = draw.uniform(0, 1, 2, count, 2)
    boxes = np.concatenate((corners, draw.uniform(0, 0.5, 2, count, 2) + (0 if centred else corners)), 2)
    scores = draw.uniform(0, 1, 2, 2, count).round(1)  # with ties
    limits = np.array([draw.int(0, 8)]), draw.uniform(0, 1, 1), draw.of(None, np.array([0.3], np.float32))
    yield Node("NonMaxSuppression", 11, (boxes, scores, *limits), {"center_point_box": centred})


def normalisations(draw: Draw) -> Iterator[Node]:
    x = draw.normal(2, 4, *draw.ints(draw.int(1, 3), 1, 5))
    per_place = [draw.normal(*x.shape[1:]) for _ in range(3)]
    statistics = draw.normal(4), draw.normal(4), draw.normal(4), draw.uniform(0, 2, 4)
    yield Node("BatchNormalization", draw.of(9, 14, 15), (x, *statistics), {"epsilon": 1e-3})
    yield Node("BatchNormalization", 7, (x, *per_place, abs(per_place[0])), {"spatial": 0})
    yield Node("InstanceNormalization", 17, (x, draw.normal(4), draw.normal(4)), {})
    scale, bias = draw.normal(*x.shape[2:]), draw.of(None, draw.normal(*x.shape[2:]))
    yield Node("LayerNormalization", 17, (x, scale, bias), {"axis": 2}, outputs=3)
    yield Node("LpNormalization", 13, (x,), {"axis": draw.int(0, 2), "p": draw.int(1, 2)})
    yield Node("GlobalLpPool", 13, (x,), {"p": draw.int(1, 3)})
    yield Node("GlobalMaxPool", 13, (x,), {})
    image = draw.normal(2, 7, *draw.ints(2, 2, 4))
    yield Node("LRN", 13, (image,), {"size": draw.of(1, 3, 5), "alpha": 0.1, "bias": 1.5})
    yield Node("MeanVarianceNormalization", 13, (image,), {})


# name -> (one draw's nodes, draws)
SWEEPS: dict[str, tuple[Callable[[Draw], Iterator[Node]], int]] = {
    "convolutions": (convolutions, 20),
    "deformed": (deformed, 12),
    "grids": (grids, 12),
    "nearest_resizes": (nearest_resizes, 40),
    "normalisations": (normalisations, 6),
    "pools": (pools, 20),
    "regions": (regions, 15),
    "resizes": (resizes, 30),
    "suppressions": (suppressions, 15),
}
